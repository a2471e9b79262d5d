package card

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// aCard makes a card of somebody.
func aCard(t testing.TB, holder string, change func(*virtualcard.Config)) *virtualcard.Card {
	t.Helper()
	return ofKind(t, virtualcard.P256, holder, change)
}

func ofKind(t testing.TB, kind virtualcard.KeyType, holder string, change func(*virtualcard.Config)) *virtualcard.Card {
	t.Helper()
	key, err := keyOf(kind)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: holder}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	c := virtualcard.Config{Key: key, Certificate: certificate, Passcode: "123456", PUK: "12345678"}
	_, _ = rand.Read(c.GUID[:])
	if change != nil {
		change(&c)
	}
	card, err := virtualcard.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return card
}

// keyOf is a key of a kind. Making one of RSA takes its time, and one is as good
// as another.
func keyOf(kind virtualcard.KeyType) (crypto.Signer, error) {
	if kind == virtualcard.RSA2048 {
		return arithmeticKey()
	}
	return virtualcard.GenerateKey(kind)
}

var arithmeticKey = sync.OnceValues(func() (crypto.Signer, error) { return virtualcard.GenerateKey(virtualcard.RSA2048) })

// slotOf is a reader in the test's process.
type slotOf struct {
	name    string
	powered processor // nil: no card
	atr     string
	events  uint32
	refuses error // of whoever connects to it
}

// processor is a card with the power on.
type processor interface {
	Process(command []byte) []byte
	Reset()
}

// room is a service for readers in the test's process.
type room struct {
	mu      sync.Mutex
	slots   []*slotOf
	changed chan struct{} // closed with each change
	open    int           // connections
	sent    int           // commands
	pullAt  int           // before which command the cards are taken out; 0 for never
}

func newRoom(slots ...*slotOf) *room { return &room{slots: slots, changed: make(chan struct{})} }

// with is a reader with a card in it.
func with(name string, c *virtualcard.Card) *slotOf {
	return &slotOf{name: name, powered: c.Power(), atr: c.ATR(), events: 1}
}

// alter changes what is there.
func (r *room) alter(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
	close(r.changed)
	r.changed = make(chan struct{})
}

func (r *room) Readers(ctx context.Context, seen []reader) ([]reader, error) {
	for {
		r.mu.Lock()
		now, changed := []reader{}, r.changed
		for _, s := range r.slots {
			now = append(now, reader{name: s.name, present: s.powered != nil, atr: s.atr, events: s.events})
		}
		r.mu.Unlock()
		if now = ordered(now); seen == nil || !slices.Equal(now, seen) {
			return now, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (r *room) Connect(_ context.Context, name string) (connection, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.slots {
		if s.name == name && s.refuses != nil {
			return nil, s.refuses
		}
		if s.name == name && s.powered != nil {
			r.open++
			return &plugged{room: r, slot: s, powered: s.powered, t0: len(s.atr) > 4 && s.atr[:4] == "3B08"}, nil
		}
	}
	return nil, ErrRemoved
}

// plugged is a card in a reader of a room.
type plugged struct {
	room    *room
	slot    *slotOf
	powered processor
	t0      bool
}

func (p *plugged) T0() bool { return p.t0 }

func (p *plugged) there() error {
	if p.slot.powered != p.powered {
		return fmt.Errorf("%w: as the test wants", ErrRemoved)
	}
	return nil
}

func (p *plugged) Begin() error {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	return p.there()
}

func (p *plugged) Transmit(command []byte) ([]byte, error) {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	p.room.sent++
	if p.room.sent == p.room.pullAt {
		p.slot.powered = nil
	}
	if err := p.there(); err != nil {
		return nil, err
	}
	return p.powered.Process(command), nil
}

func (p *plugged) End(reset bool) error {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	if reset {
		p.powered.Reset()
	}
	return p.there()
}

func (p *plugged) Close() error {
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	p.room.open--
	return nil
}
