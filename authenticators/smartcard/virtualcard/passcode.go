package virtualcard

import (
	"bytes"
	"errors"
)

// tryPasscode is VERIFY (SP 800-73-4 part 2 §3.2.1). Without a passcode it
// reads the counter.
func (p *Powered) tryPasscode(c command) int {
	p.card.busy.Lock()
	defer p.card.busy.Unlock()
	left := p.card.TriesLeft()
	switch {
	case c.p2 != passcodeID:
		return swNoReference
	case p.card.is.Profile == Contactless:
		return swNoSecurity
	case c.p1 == 0xFF && len(c.data) == 0:
		p.verified = false
		return swOK
	case c.p1 != 0:
		return swParameters
	case len(c.data) == 0 && p.verified:
		return swOK
	case left == 0:
		return swBlocked
	case len(c.data) == 0:
		return swTries | left
	case len(c.data) != 8:
		return swWrongData
	}
	passcode, ok := passcodeIn(c.data)
	if !ok {
		return swWrongData // which costs no try
	}
	err := p.card.verify(passcode)
	p.verified = err == nil
	return counted(err)
}

// changePasscode is CHANGE REFERENCE DATA (SP 800-73-4 part 2 §3.2.2), of the
// passcode or the PUK. Who changes the passcode has shown it.
func (p *Powered) changePasscode(c command) int {
	p.card.busy.Lock()
	defer p.card.busy.Unlock()
	given, instead, ok := pairIn(c.data)
	is := &p.card.is
	switch {
	case c.p1 != 0:
		return swParameters
	case c.p2 != passcodeID && c.p2 != pukID:
		return swNoReference
	case is.Profile == Contactless:
		return swNoSecurity
	case !ok || c.p2 == pukID && !digits(instead, 8, 8):
		return swWrongData
	case c.p2 == pukID:
		return counted(p.card.change(&is.PUK, given, instead, is.PUKTries))
	}
	err := p.card.change(&is.Passcode, given, instead, is.TriesLeft)
	p.verified = err == nil
	return counted(err)
}

// unblock is RESET RETRY COUNTER (SP 800-73-4 part 2 §3.2.3): the PUK, and the
// passcode that there is to be.
func (p *Powered) unblock(c command) int {
	p.card.busy.Lock()
	defer p.card.busy.Unlock()
	puk, passcode, ok := pairIn(c.data)
	switch {
	case c.p1 != 0:
		return swParameters
	case c.p2 != passcodeID:
		return swNoReference
	case p.card.is.Profile == Contactless:
		return swNoSecurity
	case !ok:
		return swWrongData
	}
	return counted(p.card.unblock(puk, passcode))
}

// counted is what is said of a try.
func counted(err error) int {
	wrong, counted := errors.AsType[PINError](err)
	switch {
	case err == nil:
		return swOK
	case counted:
		return swTries | wrong.TriesLeft
	default:
		return swBlocked
	}
}

// passcodeIn reads a passcode out of its eight bytes (SP 800-73-4 part 2
// §2.4.3).
func passcodeIn(data []byte) (string, bool) {
	passcode := string(bytes.TrimRight(data, "\xFF"))
	return passcode, digits(passcode, 6, 8)
}

// pairIn reads two: the one that is there, and the one that is to be.
func pairIn(data []byte) (given, instead string, ok bool) {
	if len(data) != 16 {
		return "", "", false
	}
	given, ok1 := passcodeIn(data[:8])
	instead, ok2 := passcodeIn(data[8:])
	return given, instead, ok1 && ok2
}
