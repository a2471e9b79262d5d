package card

import (
	"cmp"
	"context"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// What can be wrong with card readers.
var (
	// ErrBusy says that another program keeps the card to itself.
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

// Chooser asks a person which of several cards they mean.
type Chooser interface {
	// Choose returns the place in cards of the one that is meant.
	Choose(ctx context.Context, cards []About) (int, error)
}

// Readers are the card readers of this computer.
type Readers struct {
	// Choose is asked where there are several cards. Nil takes the one in the
	// reader that is first by name.
	Choose Chooser

	service service // nil: the system's own
}

// retryTime is how often a service that does not answer is asked again.
const retryTime = time.Second

// Wait implements Source. Of cards that cannot sign in it says so only where no
// other card is there.
func (r Readers) Wait(ctx context.Context, tell func(Waiting)) (Card, error) {
	s := r.service
	if s == nil {
		var err error
		if s, err = system(); err != nil {
			return nil, err
		}
	}
	told := Waiting("")
	var seen []reader
	for {
		now, err := s.Readers(ctx, seen)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil && !errors.Is(err, errService) {
			return nil, err
		}
		c, waits, err := r.look(ctx, s, now)
		silent := errors.Is(err, ErrRemoved)
		if c != nil || err != nil && !silent {
			return c, err
		}
		if waits != told {
			told = waits
			tell(waits)
		}
		if seen = now; now == nil || silent {
			// A card that is said to be there and does not answer is looked at
			// again: nobody may tell that it was changed for another.
			seen = nil
			select {
			case <-time.After(retryTime):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
	}
}

// look opens the card that is there, or says what there is to wait for. With
// ErrRemoved there was a card that did not answer.
func (r Readers) look(ctx context.Context, s service, now []reader) (Card, Waiting, error) {
	if len(now) == 0 {
		return nil, ForReader, nil
	}
	var found []*inReader
	var unusable error
	for _, at := range now {
		if !at.present {
			continue
		}
		c, err := open(ctx, s, at)
		switch {
		case err == nil:
			found = append(found, c)
		case errors.Is(err, ErrUnsupported):
			unusable = err
		case errors.Is(err, ErrRemoved):
			unusable = cmp.Or(unusable, err)
		default:
			closeBut(found, nil)
			return nil, "", err
		}
	}
	if len(found) == 0 {
		return nil, ForCard, unusable
	}
	i, err := r.choose(ctx, found)
	if err != nil {
		closeBut(found, nil)
		return nil, "", err
	}
	closeBut(found, found[i])
	found[i].watch(ctx, s)
	return found[i], "", nil
}

func (r Readers) choose(ctx context.Context, found []*inReader) (int, error) {
	if len(found) == 1 || r.Choose == nil {
		return 0, nil
	}
	cards := make([]About, len(found))
	for i, c := range found {
		cards[i] = c.about
	}
	i, err := r.Choose.Choose(ctx, cards)
	if err == nil && (i < 0 || i >= len(found)) {
		err = fmt.Errorf("choose card: there is no card %d", i)
	}
	return i, err
}

func closeBut(cards []*inReader, kept *inReader) {
	for _, c := range cards {
		if c != kept {
			_ = c.Close() // nothing was asked of it but what it shows to everybody
		}
	}
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
	c, err := s.Connect(ctx, at.name)
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
	about.Reader, about.ATR = at.name, at.atr
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
			there := func(r reader) bool { return r.name == c.at.name && r.present && r.atr == c.at.atr }
			if err != nil || !slices.ContainsFunc(now, there) {
				close(c.gone)
				return
			}
			seen = now
		}
	}()
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
