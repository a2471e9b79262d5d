package card

import (
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What can be wrong with card readers.
var (
	// ErrBusy says that another program keeps the card to itself. No try was
	// used up: it can be asked again.
	ErrBusy = errors.New("another program is using the card")

	// ErrNoReaders says that this system has no service for card readers that
	// the agent knows.
	ErrNoReaders = errors.New("card readers cannot be used on this system yet")

	// errService says that the service for card readers does not answer. It
	// may start later: some run only while there is a reader.
	errService = errors.New("the service for card readers does not answer")
)

// service is a system's service for card readers (PC/SC).
type service interface {
	// Readers returns the readers in the order of their names, as soon as they
	// are others than seen, or at once for nil.
	Readers(ctx context.Context, seen []reader) ([]reader, error)

	// Connect connects to the card in a reader, without keeping others from it.
	Connect(ctx context.Context, name string) (connection, error)
}

// reader is a card reader as it stands.
type reader struct {
	name    string
	present bool   // a card is in it
	events  uint32 // counts cards that come and go, where the service does
	atr     string // of the card, upper-case hex
}

// answered says whether the card in it answered its reset as cards do
// (ISO 7816-3 §8.1). One that lies upside down does not.
func (r reader) answered() bool {
	return strings.HasPrefix(r.atr, "3B") || strings.HasPrefix(r.atr, "3F")
}

// Chooser asks a person which of several cards they mean.
type Chooser interface {
	// Choose returns the place in cards of the one that is meant. ctx is done
	// when other cards are there than were.
	Choose(ctx context.Context, cards []About) (int, error)
}

// Readers are the card readers of this computer.
type Readers struct {
	// Choose is asked where there are several cards. Nil takes the one in the
	// reader that is first by name.
	Choose Chooser

	// Poll looks again and again in place of being told of changes. Some that
	// lend readers over a network tell of none.
	Poll bool

	service service // nil: the system's own
}

// Wait implements Source. A card that cannot be used is waited for to be changed
// for another, unless one that can be used is there too.
func (r Readers) Wait(ctx context.Context, tell func(Waiting)) (Card, error) {
	s, err := r.system()
	if err != nil {
		return nil, err
	}
	told := Waiting("")
	say := func(w Waiting) {
		if w != "" && w != told {
			told = w
			tell(w)
		}
	}
	l := look{service: s}
	for {
		if err := l.again(ctx); err != nil {
			return nil, err
		}
		if len(l.found) == 0 {
			say(l.waits)
			continue
		}
		c, err := r.choose(ctx, l)
		if c == nil && err == nil { // what there was to choose from has changed
			told = ""
			continue
		}
		return c, err
	}
}

// errChanged ends a choice when what there is to choose from has changed.
var errChanged = errors.New("other cards are there")

// choose takes one of the cards that were found and lets go of the others. It
// returns none when it has to be looked again.
func (r Readers) choose(ctx context.Context, l look) (Card, error) {
	i := 0
	if len(l.found) > 1 && r.Choose != nil {
		asking, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		go func() {
			_, _ = l.service.Readers(asking, l.now)
			stop(errChanged)
		}()
		cards := make([]About, len(l.found))
		for i, c := range l.found {
			cards[i] = c.about
		}
		var err error
		if i, err = r.Choose.Choose(asking, cards); err == nil && (i < 0 || i >= len(cards)) {
			err = fmt.Errorf("choose card: there is no card %d", i)
		}
		if err != nil {
			closeBut(l.found, nil)
			if errors.Is(context.Cause(asking), errChanged) && ctx.Err() == nil {
				return nil, nil
			}
			return nil, err
		}
	}
	closeBut(l.found, l.found[i])
	l.found[i].watch(ctx, l.service)
	return l.found[i], nil
}

// inReader is a card in a reader.
type inReader struct {
	c     connection
	at    reader
	about About
	gone  chan struct{}
	stop  context.CancelFunc
}

// open connects to a card and reads what it shows to everybody.
func open(ctx context.Context, s service, at reader) (*inReader, error) {
	c, err := connect(ctx, s, at.name)
	if err != nil {
		return nil, err
	}
	about, err := func() (About, error) {
		if err := c.Begin(); err != nil {
			return About{}, err
		}
		defer func() { _ = c.End(false) }() // no passcode was tried
		if err := selectPIV(c); err != nil {
			return About{}, err
		}
		return readAbout(c)
	}()
	if err != nil {
		_ = c.Close() // what went wrong is told
		return nil, err
	}
	about.Reader, about.ATR, about.events = at.name, at.atr, at.events
	return &inReader{c: c, at: at, about: about, gone: make(chan struct{}), stop: func() {}}, nil
}

// watch looks out for the card's being taken out until Close.
func (c *inReader) watch(ctx context.Context, s service) {
	ctx, c.stop = context.WithCancel(ctx)
	go func() {
		var seen []reader
		for {
			now, err := s.Readers(ctx, seen)
			if ctx.Err() != nil {
				return
			}
			there := func(r reader) bool { return r.name == c.at.name && r.present && r.events == c.at.events }
			if err != nil || !slices.ContainsFunc(now, there) {
				close(c.gone)
				return
			}
			seen = now
		}
	}()
}

// UntilGone returns when the card that was shown is taken out, or has been since,
// or nobody can say whether it is there, or ctx is done.
func (r Readers) UntilGone(ctx context.Context, shown About) {
	s, err := r.system()
	if err != nil {
		return
	}
	var seen []reader
	for {
		now, err := s.Readers(ctx, seen)
		if err != nil || !slices.ContainsFunc(now, shown.in) {
			return
		}
		seen = now
	}
}

// Alone says whether the card that was shown is there, as it was, and no other
// that somebody could sign in with. A card that cannot be asked may be one.
func (r Readers) Alone(ctx context.Context, shown About) bool {
	s, err := r.system()
	if err != nil {
		return false
	}
	l := look{service: s}
	if err := l.again(ctx); err != nil {
		return false
	}
	defer closeBut(l.found, nil)
	return slices.ContainsFunc(l.now, shown.in) && !l.soon && len(l.found) == 1 && l.found[0].about.same(shown)
}

// in says whether it is the card in a reader, and has been since it was shown. One
// that somebody resets does not answer for a moment, and was not taken out.
func (a About) in(r reader) bool {
	return r.name == a.Reader && r.present && (r.atr == a.ATR || !r.answered()) && r.events == a.events
}

func (r Readers) system() (service, error) {
	s := r.service
	if s == nil {
		var err error
		if s, err = system(); err != nil {
			return nil, err
		}
	}
	if r.Poll {
		s = polled{s}
	}
	return s, nil
}

// About implements Card.
func (c *inReader) About() About { return c.about }

// Gone implements Card.
func (c *inReader) Gone() <-chan struct{} { return c.gone }

// Use implements Card: one transaction from the application's name to the
// signature, and a reset, so that no other program finds the passcode tried.
func (c *inReader) Use(passcode []byte, do func(crypto.Signer) error) error {
	if err := c.c.Begin(); err != nil {
		return err
	}
	defer func() { _ = c.c.End(true) }() // a card that is gone has forgotten, too
	if err := selectPIV(c.c); err != nil {
		return err
	}
	// Between two transactions the card may have been changed for another.
	if guid, err := readGUID(c.c); err != nil {
		return err
	} else if guid != c.about.GUID {
		return ErrRemoved
	}
	if err := verify(c.c, passcode); err != nil {
		return err
	}
	lent := &key{certificate: c.about.Certificate, c: c.c}
	defer lent.takeBack()
	return do(lent)
}

// Close implements Card.
func (c *inReader) Close() error {
	c.stop()
	return c.c.Close()
}

// ordered puts readers in the order of their names.
func ordered(all []reader) []reader {
	slices.SortFunc(all, func(a, b reader) int { return strings.Compare(a.name, b.name) })
	return all
}

func atrText(atr []byte) string { return strings.ToUpper(hex.EncodeToString(atr)) }
