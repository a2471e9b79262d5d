package card

import (
	"context"
	"crypto"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card/virtualreader"
)

// librarySocket is where pcscd's library looks for pcscd, for as long as this
// process lives.
var librarySocket = filepath.Join(os.TempDir(), fmt.Sprintf("lanyard-pcscd-%d", os.Getpid()))

// TestMain lets many tests run at once: those with a pcscd of their own wait for
// it, and do nothing meanwhile.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := errors.Join(flag.Set("test.parallel", "32"), os.Setenv("PCSCLITE_CSOCK_NAME", librarySocket)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestPCSCD(t *testing.T) {
	t.Run("by its socket", func(t *testing.T) {
		t.Parallel()
		testService(t, 4, true, func(_ *testing.T, v *virtualreader.Reader) service { return pcscd(v.Socket) })
	})
	t.Run("by its library", func(t *testing.T) {
		t.Parallel()
		l, err := pcsclite()
		if err != nil {
			t.Skipf("no library: %v", err)
		}
		// As where pcscd speaks another version than ours.
		other, _ := fakePCSCD(t, version{Major: 5}, false)
		testService(t, 1, false, func(t *testing.T, v *virtualreader.Reader) service {
			t.Helper()
			if err := os.Symlink(v.Socket, librarySocket); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Remove(librarySocket) })
			return spoken{other, func() (service, error) { return l, nil }}
		})
	})
}

// desk is a reader, and the service by which it is used.
type desk struct {
	*virtualreader.Reader
	service
}

// empty waits until pcscd has missed the cards of the test before.
func (d desk) empty(t *testing.T) {
	t.Helper()
	var seen []reader
	for {
		now, err := d.Readers(t.Context(), seen)
		if err != nil {
			t.Error(err)
			return
		}
		if seen = now; !slices.ContainsFunc(now, func(r reader) bool { return r.present }) {
			return
		}
	}
}

// wait waits for a card.
func (d desk) wait(t *testing.T) Card {
	t.Helper()
	c, err := Readers{service: d.service}.Wait(t.Context(), func(Waiting) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// testService holds a service to what a person at a desk may do with cards, at so
// many desks at once: to all of it, or to what its commands and states are
// needed for.
func testService(t *testing.T, n int, all bool, by func(*testing.T, *virtualreader.Reader) service) {
	t.Helper()
	desks := make(chan desk, n)
	for range n {
		v := virtualreader.Start(t)
		desks <- desk{v, by(t, v)}
	}
	type lent struct {
		kind virtualcard.KeyType
		atr  []byte
	}
	cards := map[string]lent{"RSA-2048, T=0": {virtualcard.RSA2048, virtualcard.T0ATR()}, "P-384, T=1": {virtualcard.P384, virtualcard.DefaultATR()}}
	tests := map[string]func(*testing.T, desk){
		"own rule: pcscd tells that a card was taken out, and it signs nothing":                   takenOut,
		"own rule: a card waits for another program to let go of it":                              waitsForAnother,
		"own rule: another program that keeps a card in the middle is told of, and costs nothing": keptInTheMiddle,
		"own rule: a card that another program has to itself is waited for":                       keptToItself,
		"own rule: a card is looked out for until it is taken out, whoever uses it meanwhile":     untilGone,
	}
	if all {
		cards["RSA-2048, T=1"], cards["P-256, T=0"] = lent{virtualcard.RSA2048, virtualcard.DefaultATR()}, lent{virtualcard.P256, virtualcard.T0ATR()}
		tests["own rule: a card that lies upside down is said to, and the right one goes on"] = upsideDown
		tests["own rule: two cards in two slots"] = twoCards
	}
	for name, tt := range cards {
		at(t, desks, "own rule: pcscd lends a card: "+name, func(t *testing.T, d desk) {
			t.Helper()
			lends(t, d, ofKind(t, tt.kind, "Dr Asha Smith", func(c *virtualcard.Config) { c.ATR = tt.atr }))
		})
	}
	for rule, test := range tests {
		at(t, desks, rule, test)
	}
}

// at runs a test at the next desk that is free.
func at(t *testing.T, desks chan desk, rule string, test func(*testing.T, desk)) {
	t.Helper()
	t.Run(rule, func(t *testing.T) {
		t.Parallel()
		d := <-desks
		t.Cleanup(func() { desks <- d }) // when the test's own cards were taken out
		d.empty(t)
		test(t, d)
	})
}

func lends(t *testing.T, d desk, inside *virtualcard.Card) {
	t.Helper()
	var told []Waiting
	found := make(chan Card, 1)
	go func() {
		c, err := Readers{service: d.service}.Wait(t.Context(), func(w Waiting) {
			told = append(told, w)
		})
		if err != nil {
			t.Error(err)
		}
		found <- c
	}()
	defer d.Insert(t, 0, inside)()
	c := <-found
	if c == nil {
		return
	}
	defer func() { _ = c.Close() }()
	if a := c.About(); a.GUID != inside.GUID() || a.ATR != inside.ATR() || a.TriesLeft != 3 || a.Reader == "" {
		t.Errorf("About() = %+v", a)
	}
	if err := c.Use([]byte("111111"), proves); !errors.Is(err, PINError{2}) {
		t.Errorf("a wrong passcode: %v", err)
	}
	if err := c.Use([]byte("123456"), proves); err != nil {
		t.Errorf("the right one: %v", err)
	}
	if err := c.Use([]byte("123456"), proves); err != nil {
		t.Errorf("and again: %v", err)
	}
}

func takenOut(t *testing.T, d desk) {
	t.Helper()
	takeOut := d.Insert(t, 0, aCard(t, "Asha", nil))
	c := d.wait(t)
	err := c.Use([]byte("123456"), func(k crypto.Signer) error {
		takeOut()
		return proves(k)
	})
	if !errors.Is(err, ErrRemoved) {
		t.Errorf("Use() = %v", err)
	}
	select {
	case <-c.Gone():
	case <-time.After(5 * time.Second):
		t.Error("nobody tells")
	}
	if err := c.Use([]byte("123456"), proves); !errors.Is(err, ErrRemoved) {
		t.Errorf("afterwards Use() = %v", err)
	}
}

func untilGone(t *testing.T, d desk) {
	t.Helper()
	inside := aCard(t, "Asha", nil)
	takeOut := d.Insert(t, 0, inside)
	c := d.wait(t)
	shown := c.About()
	looksOut := func(ctx context.Context, poll bool) <-chan struct{} {
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			Readers{service: d.service, Poll: poll}.UntilGone(ctx, shown)
		}()
		return gone
	}
	notices := func(gone <-chan struct{}, what string) {
		t.Helper()
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Fatal(what)
		}
	}
	told, asked := looksOut(t.Context(), false), looksOut(t.Context(), true)
	for _, one := range []Card{c, d.wait(t)} { // each is reset when it has signed
		if err := errors.Join(one.Use([]byte("123456"), proves), one.Close()); err != nil {
			t.Fatal(err)
		}
	}
	stopping, stop := context.WithCancel(t.Context())
	stopped := looksOut(stopping, false)
	select {
	case <-told:
		t.Fatal("a card that was used is taken for gone")
	case <-asked:
		t.Fatal("a card that was used is taken for gone, by who asks again and again")
	case <-stopped:
		t.Fatal("a card that was used is taken for gone by who begins to look")
	case <-time.After(700 * time.Millisecond): // longer than until it is asked again
	}
	stop()
	notices(stopped, "nobody waits any more, and it goes on")
	takeOut()
	notices(told, "it was taken out")
	notices(asked, "it was taken out, and who asks again and again does not notice")
	defer d.Insert(t, 0, inside)()
	_ = d.wait(t).Close() // it is back, and may have been elsewhere
	notices(looksOut(t.Context(), false), "it was taken out and put back before anybody looked")
}

func waitsForAnother(t *testing.T, d desk) {
	t.Helper()
	defer d.Insert(t, 0, aCard(t, "Asha", nil))()
	one, two := d.wait(t), d.wait(t)
	inside, done := make(chan struct{}), make(chan error, 1)
	go func() {
		<-inside
		done <- two.Use([]byte("123456"), proves)
	}()
	err := one.Use([]byte("123456"), func(k crypto.Signer) error {
		close(inside)
		select {
		case err := <-done:
			t.Errorf("the other was let in: %v", err)
		case <-time.After(200 * time.Millisecond):
		}
		return proves(k)
	})
	if err := errors.Join(err, <-done); err != nil {
		t.Errorf("Use() = %v", err)
	}
}

func keptInTheMiddle(t *testing.T, d desk) {
	t.Helper()
	inside := aCard(t, "Asha", nil)
	defer d.Insert(t, 0, inside)()
	one, two := d.wait(t), d.wait(t)
	err := one.Use([]byte("123456"), func(k crypto.Signer) error {
		if err := two.Use([]byte("111111"), proves); !errors.Is(err, ErrBusy) || inside.TriesLeft() != 3 {
			t.Errorf("meanwhile Use() = %v, tries left %d", err, inside.TriesLeft())
		}
		return proves(k)
	})
	if err != nil {
		t.Errorf("Use() = %v", err)
	}
	if err := two.Use([]byte("123456"), proves); err != nil {
		t.Errorf("afterwards Use() = %v", err)
	}
	// Who had to wait and gave up keeps nobody out afterwards.
	_ = one.Use([]byte("123456"), func(crypto.Signer) error {
		_ = two.Use([]byte("123456"), proves)
		return two.Close()
	})
	if err := one.Use([]byte("123456"), proves); err != nil {
		t.Errorf("after one gave up, Use() = %v", err)
	}
}

func keptToItself(t *testing.T, d desk) {
	t.Helper()
	defer d.Insert(t, 0, aCard(t, "Asha", nil))()
	_ = d.wait(t).Close() // it is there
	letGo := keeps(t, d.Reader)
	waits, found := make(chan Waiting, 10), make(chan Card, 1)
	go func() {
		c, err := Readers{service: d.service}.Wait(t.Context(), func(w Waiting) { waits <- w })
		if err != nil {
			t.Error(err)
		}
		found <- c
	}()
	if w := <-waits; w != ForRelease {
		t.Errorf("waits for %s", w)
	}
	letGo()
	_ = (<-found).Close()
}

func upsideDown(t *testing.T, d desk) {
	t.Helper()
	takeOut := d.Insert(t, 0, aCard(t, "Asha", func(c *virtualcard.Config) { c.ATR = []byte{0} }))
	defer takeOut()
	waits, found := make(chan Waiting, 10), make(chan Card, 1)
	go func() {
		c, err := Readers{service: d.service, Poll: true}.Wait(t.Context(), func(w Waiting) { waits <- w })
		if err != nil {
			t.Error(err)
		}
		found <- c
	}()
	for w := range waits {
		if w == ForReadable {
			break
		}
	}
	takeOut()
	defer d.Insert(t, 0, aCard(t, "Asha", nil))()
	_ = (<-found).Close()
}

func twoCards(t *testing.T, d desk) {
	t.Helper()
	defer d.Insert(t, 1, aCard(t, "Ben", nil))()
	if c := d.wait(t); c.About().Holder() != "Ben" {
		t.Errorf("it is %s's", c.About().Holder())
	}
	defer d.Insert(t, 0, aCard(t, "Asha", nil))()
	asks := &chooser{takes: 1}
	for deadline := time.Now().Add(10 * time.Second); len(asks.asked) < 2 && time.Now().Before(deadline); {
		c, err := Readers{service: d.service, Choose: asks}.Wait(t.Context(), func(Waiting) {})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	if len(asks.asked) != 2 || asks.asked[1].Holder() != "Ben" {
		t.Errorf("asked of %d cards", len(asks.asked))
	}
}

// keeps keeps the card in the first reader from everybody else, as a program
// may that is alone with its cards.
func keeps(t *testing.T, v *virtualreader.Reader) (letGo func()) {
	t.Helper()
	s, err := pcscd(v.Socket).dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	e := establishing{Scope: scopeSystem}
	if err := s.call(cmdEstablish, &e, answerTime); err != nil || e.Outcome != 0 {
		t.Fatal(err, e.Outcome)
	}
	const alone = 1
	c := connecting{Context: e.Context, Share: alone, Offered: bothT}
	copy(c.Reader[:], "Virtual PCD 00 00")
	if err := s.call(cmdConnect, &c, answerTime); err != nil || c.Outcome != 0 {
		t.Fatal(err, c.Outcome)
	}
	return func() { _ = s.conn.Close() }
}
