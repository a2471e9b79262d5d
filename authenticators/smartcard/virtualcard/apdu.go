package virtualcard

import "slices"

// Status words (ISO 7816-4 §5.1.3; SP 800-73-4 part 2 §3).
const (
	swOK            = 0x9000
	swMore          = 0x6100 // and how much more
	swTries         = 0x63C0 // and how many tries are left
	swLength        = 0x6700
	swNoSecurity    = 0x6982
	swBlocked       = 0x6983
	swNotNow        = 0x6985
	swWrongData     = 0x6A80
	swNotFound      = 0x6A82
	swParameters    = 0x6A86
	swNoReference   = 0x6A88
	swRightLength   = 0x6C00 // and what it is
	swNoInstruction = 0x6D00
	swNoClass       = 0x6E00
)

// Instructions (SP 800-73-4 part 2 §3).
const (
	insVerify       = 0x20
	insChange       = 0x24
	insUnblock      = 0x2C
	insAuthenticate = 0x87
	insSelect       = 0xA4
	insResponse     = 0xC0
	insData         = 0xCB
)

// chained is the class bit of a command that goes on in the next one.
const chained = 0x10

// maxChain bounds what a chain of commands carries together; the longest that
// a card needs is one RSA block.
const maxChain = 2048

// Powered is a card with the power on: commands go in and answers come out, as
// SP 800-73-4 has them. It forgets the passcode with Reset; how many tries are
// left is the card's own and stays. It is for one reader: not safe for
// concurrent use.
type Powered struct {
	card     *Card
	t0       bool
	selected bool
	verified bool
	chain    command // what has come of a chain
	rest     []byte  // of an answer, for GET RESPONSE
}

// Power puts the power on. The card speaks the protocol that its answer to
// reset names first.
func (c *Card) Power() *Powered { return &Powered{card: c, t0: protocol(c.is.ATR) == 0} }

// Reset is what a reader does to start anew.
func (p *Powered) Reset() { *p = Powered{card: p.card, t0: p.t0} }

// command is a command without its lengths (ISO 7816-4 §5.1).
type command struct {
	class, ins, p1, p2 byte
	data               []byte
	expects            int // how long an answer may be; 0 says that none was asked for
}

// Process answers one command with data and status word.
func (p *Powered) Process(raw []byte) []byte {
	c, sw := parse(raw, p.t0)
	if sw != swOK {
		return status(nil, sw)
	}
	if c.class&^chained != 0 {
		return status(nil, swNoClass)
	}
	if p.card.is.Profile == Yubico && c.expects == 0 && !p.t0 {
		c.expects = 256 // such keys answer in full, and their programs count on it
	}
	if c.ins == insResponse {
		return p.answer(c)
	}
	p.rest = nil
	whole, sw := p.unchain(c)
	if sw != swOK || c.class == chained {
		return status(nil, sw)
	}
	p.rest, sw = p.do(whole)
	if sw != swOK || len(p.rest) == 0 {
		p.rest = nil
		return status(nil, sw)
	}
	// In T=0 a command that brings data gets none with its answer: the reader
	// has to ask for them (ISO 7816-3 §12.2.1).
	if len(raw) > 5 && p.t0 {
		return status(nil, swMore|askable(len(p.rest)))
	}
	return p.answer(c)
}

// parse reads the four cases of a short command. T=0 has no length of the
// answer after data.
func parse(raw []byte, t0 bool) (command, int) {
	if len(raw) < 4 {
		return command{}, swLength
	}
	c := command{class: raw[0], ins: raw[1], p1: raw[2], p2: raw[3]}
	body := raw[4:]
	switch {
	case len(body) == 0:
	case len(body) == 1:
		c.expects = most(body[0])
	case body[0] != 0 && len(body) == 1+int(body[0]):
		c.data = body[1:]
	case body[0] != 0 && len(body) == 2+int(body[0]) && !t0:
		c.data, c.expects = body[1:len(body)-1], most(body[len(body)-1])
	default: // extended lengths among them
		return command{}, swLength
	}
	return c, swOK
}

// most is the length that a byte stands for: nought is 256.
func most(b byte) int {
	if b == 0 {
		return 256
	}
	return int(b)
}

// answer gives as much of what there is as was asked for.
func (p *Powered) answer(c command) []byte {
	switch n := len(p.rest); {
	case n == 0:
		return status(nil, swNotNow)
	case c.expects == 0:
		return status(nil, swMore|askable(n))
	case p.t0 && c.expects > n:
		return status(nil, swRightLength|n)
	}
	n := min(c.expects, len(p.rest))
	now := p.rest[:n]
	p.rest = p.rest[n:]
	if len(p.rest) == 0 {
		return status(now, swOK)
	}
	return status(now, swMore|askable(len(p.rest)))
}

// askable writes how much more there is: nought is as much as can be asked for
// at once.
func askable(n int) int {
	if n > 255 {
		return 0
	}
	return n
}

// unchain gathers a chain of commands (ISO 7816-4 §5.1.1.1).
func (p *Powered) unchain(c command) (command, int) {
	begun := p.chain
	p.chain = command{}
	if begun.ins != 0 && (begun.ins != c.ins || begun.p1 != c.p1 || begun.p2 != c.p2) {
		begun = command{} // what does not go on is dropped
	}
	c.data = slices.Concat(begun.data, c.data)
	if len(c.data) > maxChain {
		return command{}, swLength
	}
	if c.class == chained {
		p.chain = c
	}
	return c, swOK
}

func (p *Powered) do(c command) ([]byte, int) {
	if c.ins == insSelect {
		return p.selectApplication(c)
	}
	if !p.selected {
		return nil, swNotNow
	}
	switch c.ins {
	case insVerify:
		return nil, p.tryPasscode(c)
	case insChange:
		return nil, p.changePasscode(c)
	case insUnblock:
		return nil, p.unblock(c)
	case insData:
		return p.read(c)
	case insAuthenticate:
		return p.sign(c)
	}
	return p.extra(c)
}

func status(data []byte, sw int) []byte {
	return append(slices.Clone(data), byte(sw>>8), byte(sw)) //nolint:gosec // a status word has two bytes
}
