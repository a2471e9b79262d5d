package card

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// chooser is somebody who chooses.
type chooser struct {
	takes int
	asked []About
}

func (c *chooser) Choose(_ context.Context, cards []About) (int, error) {
	c.asked = cards
	return c.takes, nil
}

func TestReaders(t *testing.T) {
	t.Run("own rule: it waits for a reader, then for a card, and says each once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, inside := newRoom(), aCard(t, "Asha", nil)
			var told []Waiting
			found := make(chan Card, 1)
			go func() {
				c, err := Readers{service: r}.Wait(t.Context(), func(w Waiting) { told = append(told, w) })
				if err != nil {
					t.Error(err)
				}
				found <- c
			}()
			synctest.Wait()
			r.alter(func() { r.slots = append(r.slots, &slotOf{name: "B"}) })
			synctest.Wait()
			r.alter(func() { r.slots = append(r.slots, &slotOf{name: "A"}) })
			synctest.Wait()
			r.alter(func() { r.slots[0] = with("B", inside) })
			c := <-found
			if c.About().Reader != "B" || !slices.Equal(told, []Waiting{ForReader, ForCard}) {
				t.Errorf("%s, told %v", c.About().Reader, told)
			}
			_ = c.Close()
		})
	})
	t.Run("own rule: a card is alone at its desk when no other is there with which somebody could sign in, or which cannot be asked", func(t *testing.T) {
		asha, other := aCard(t, "Asha", nil), aCard(t, "Other", nil)
		twin := aCard(t, "Twin", func(c *virtualcard.Config) { // badly made: with the GUID of another
			if _, err := hex.Decode(c.GUID[:], []byte(asha.GUID())); err != nil {
				t.Fatal(err)
			}
		})
		r := newRoom(with("A", asha), &slotOf{name: "B"}, &slotOf{name: "C PICC"})
		c := opened(t, r)
		shown := c.About()
		_ = c.Close()
		wants := func(what string, want bool) {
			t.Helper()
			if got := (Readers{service: r}).Alone(t.Context(), shown); got != want {
				t.Errorf("%s: %t", what, got)
			}
		}
		wants("by itself", true)
		r.alter(func() { r.slots[1] = with("B", other) })
		wants("with another", false)
		r.alter(func() { r.slots[1] = with("B", twin) })
		wants("with another of one GUID", false)
		r.alter(func() { r.slots[1] = &slotOf{name: "B"} })
		wants("by itself again", true)
		r.alter(func() { r.slots[2] = with("C PICC", asha) })
		wants("the same, without contacts too", true)
		r.alter(func() { r.slots[2] = &slotOf{name: "C PICC"} })
		there := r.slots[0]
		r.alter(func() { r.slots[0] = with("A", other) })
		wants("another in its place", false)
		r.alter(func() { r.slots[0] = with("A", twin) })
		wants("another of one GUID in its place", false)
		r.alter(func() { r.slots[0] = &slotOf{name: "A"} })
		wants("nowhere", false)
		r.alter(func() { r.slots[0] = there })
		wants("as it was", true)
	})
	t.Run("own rule: a card that is taken out is gone, and one that stays is not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRoom(with("A", aCard(t, "Asha", nil)))
			c := opened(t, r)
			r.alter(func() { r.slots = append(r.slots, &slotOf{name: "B"}) })
			synctest.Wait()
			select {
			case <-c.Gone():
				t.Error("it is gone")
			default:
			}
			r.alter(func() { r.slots[0].powered, r.slots[0].atr = nil, "" })
			<-c.Gone()
		})
	})
	t.Run("own rule: a card that was taken off and laid on again, faster than anybody looks, was gone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			inside := aCard(t, "Asha", nil)
			r := newRoom(with("A", inside))
			c := opened(t, r)
			synctest.Wait()
			r.alter(func() {
				events := r.slots[0].events
				r.slots[0] = with("A", inside)
				r.slots[0].events = events + 2
			})
			<-c.Gone()
			_ = c.Close()
		})
	})
	t.Run("own rule: a card that is reset while it is looked out for was not taken out", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRoom(with("A", aCard(t, "Asha", nil)))
			shown := opened(t, r).About()
			over := make(chan struct{})
			go func() { Readers{service: r}.UntilGone(t.Context(), shown); close(over) }()
			for _, atr := range []string{"", "0000000000", shown.ATR} {
				synctest.Wait()
				r.alter(func() { r.slots[0].atr = atr })
			}
			synctest.Wait()
			select {
			case <-over:
				t.Error("it is taken for gone")
			default:
			}
			r.alter(func() { r.slots[0].atr = "3B00" }) // where a service counts no cards, another answers otherwise
			<-over
		})
	})
	t.Run("own rule: a card that was changed for another of its kind, before anybody looked out for it, is gone", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRoom(with("A", aCard(t, "Asha", nil)))
			shown := opened(t, r).About()
			over := make(chan struct{})
			go func() { Readers{service: r}.UntilGone(t.Context(), shown); close(over) }()
			synctest.Wait()
			select {
			case <-over:
				t.Fatal("one that stays is gone")
			default:
			}
			r.alter(func() {
				events := r.slots[0].events
				r.slots[0] = with("A", aCard(t, "Ben", nil))
				r.slots[0].events = events + 2
			})
			<-over
			Readers{service: r}.UntilGone(t.Context(), shown) // once more, as who looks late
		})
	})
	t.Run("own rule: of several cards the person's choice is used, and the others are let go", func(t *testing.T) {
		r := newRoom(with("B", aCard(t, "Ben", nil)), with("C", aCard(t, "Cas", nil)), with("A", aCard(t, "Asha", nil)))
		asks := &chooser{takes: 1}
		c, err := Readers{service: r, Choose: asks}.Wait(t.Context(), func(w Waiting) { t.Errorf("waits for %s", w) })
		if err != nil || c.About().Holder() != "Ben" || len(asks.asked) != 3 || asks.asked[0].Holder() != "Asha" || r.open != 1 {
			t.Fatalf("Wait() = %v, asked %d, open %d", err, len(asks.asked), r.open)
		}
		_ = c.Close()
		if _, err := (Readers{service: r, Choose: &chooser{takes: 3}}).Wait(t.Context(), func(Waiting) {}); err == nil || r.open != 0 {
			t.Errorf("a choice of nothing: %v, open %d", err, r.open)
		}
	})
	t.Run("own rule: who turns away from the choice has turned away, and every card is let go", func(t *testing.T) {
		r := newRoom(with("B", aCard(t, "Ben", nil)), with("A", aCard(t, "Asha", nil)))
		away := errors.New("turned away")
		_, err := Readers{service: r, Choose: asking(func(context.Context, []About) (int, error) { return 0, away })}.Wait(t.Context(), func(Waiting) {})
		if !errors.Is(err, away) || r.open != 0 {
			t.Errorf("Wait() = %v, open %d", err, r.open)
		}
	})
	t.Run("own rule: a choice among cards of which one is taken out is no choice any more", func(t *testing.T) {
		r := newRoom(with("B", aCard(t, "Ben", nil)), with("A", aCard(t, "Asha", nil)))
		takesOut := asking(func(ctx context.Context, _ []About) (int, error) {
			r.alter(func() { r.slots[1].powered, r.slots[1].atr = nil, "" })
			<-ctx.Done()
			return 0, ctx.Err()
		})
		c, err := Readers{service: r, Choose: takesOut}.Wait(t.Context(), func(Waiting) {})
		if err != nil || c.About().Holder() != "Ben" || r.open != 1 {
			t.Fatalf("Wait() = %v, open %d", err, r.open)
		}
		_ = c.Close()
	})
	t.Run("own rule: when every card to choose from is taken out, it is said again that one is waited for", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRoom(&slotOf{name: "A"}, &slotOf{name: "B"})
			takesOut := asking(func(ctx context.Context, _ []About) (int, error) {
				r.alter(func() { r.slots = []*slotOf{{name: "A"}, {name: "B"}} })
				<-ctx.Done()
				return 0, ctx.Err()
			})
			ctx, stop := context.WithCancel(t.Context())
			var told []Waiting
			go func() {
				_, _ = Readers{service: r, Choose: takesOut}.Wait(ctx, func(w Waiting) { told = append(told, w) })
			}()
			synctest.Wait()
			r.alter(func() { r.slots = []*slotOf{with("A", aCard(t, "Asha", nil)), with("B", aCard(t, "Ben", nil))} })
			synctest.Wait()
			stop()
			synctest.Wait()
			if !slices.Equal(told, []Waiting{ForCard, ForCard}) || r.open != 0 {
				t.Errorf("told %v, open %d", told, r.open)
			}
		})
	})
	t.Run("own rule: a card that answers in two readers is one card, and contacts come first", func(t *testing.T) {
		both := aCard(t, "Asha", nil)
		r := newRoom(with("ACME 5422CL 0", both), with("ACME 5422 0", both), with("ACME NFC 0", aCard(t, "Ben", nil)))
		asks := &chooser{takes: 0}
		c, err := Readers{service: r, Choose: asks}.Wait(t.Context(), func(Waiting) {})
		if err != nil || len(asks.asked) != 2 || asks.asked[0].Reader != "ACME 5422 0" || asks.asked[1].Holder() != "Ben" || r.open != 1 {
			t.Fatalf("Wait() = %v, asked of %v, open %d", err, asks.asked, r.open)
		}
		_ = c.Close()
	})
	t.Run("own rule: with nobody to choose the first reader by name is used", func(t *testing.T) {
		c := opened(t, newRoom(with("B", aCard(t, "Ben", nil)), with("A", aCard(t, "Asha", nil))))
		if c.About().Holder() != "Asha" {
			t.Errorf("it is %s's", c.About().Holder())
		}
	})
	t.Run("own rule: a card of another kind is said to be one, unless the right one is there too", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, told := newRoom(foreign("A")), make(chan Waiting, 10)
			go func() {
				c, err := Readers{service: r}.Wait(t.Context(), func(w Waiting) { told <- w })
				if err != nil || c.About().Holder() != "Ben" {
					t.Errorf("Wait() = %v", err)
					return
				}
				_ = c.Close()
			}()
			if w := <-told; w != ForOther {
				t.Errorf("waits for %s", w)
			}
			r.alter(func() { r.slots = []*slotOf{foreign("A"), with("B", aCard(t, "Ben", nil))} })
			synctest.Wait()
		})
	})
	t.Run("own rule: a card of another kind that lay there before is none of this sign-in's, while there is room for the right one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, told := newRoom(foreign("A"), &slotOf{name: "B"}), []Waiting(nil)
			ctx, stop := context.WithCancel(t.Context())
			go func() {
				_, _ = Readers{service: r}.Wait(ctx, func(w Waiting) { told = append(told, w) })
			}()
			synctest.Wait()
			r.alter(func() { r.slots[1] = foreign("B") })
			synctest.Wait()
			stop()
			synctest.Wait()
			if !slices.Equal(told, []Waiting{ForCard, ForOther}) || r.open != 0 {
				t.Errorf("told %v, open %d", told, r.open)
			}
		})
	})
	for name, tt := range map[string]struct {
		refuses error
		told    []Waiting
	}{
		"that another program keeps is waited for":              {ErrBusy, []Waiting{ForRelease}},
		"that does not come to life is said to, and waited for": {ErrUnreadable, []Waiting{ForReadable}},
		"in a reader that does strange things is no end":        {outcome(0x80100001), []Waiting{ForReadable}},
		"that is there and does not answer is said to":          {ErrRemoved, []Waiting{ForReadable}},
	} {
		t.Run("own rule: a card "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, told, found := newRoom(with("A", aCard(t, "Asha", nil))), []Waiting(nil), make(chan Card, 1)
				r.slots[0].refuses = tt.refuses
				go func() {
					c, err := Readers{service: r}.Wait(t.Context(), func(w Waiting) { told = append(told, w) })
					if err != nil {
						t.Error(err)
					}
					found <- c
				}()
				time.Sleep(10 * time.Second)
				r.mu.Lock()
				r.slots[0].refuses = nil // and nobody tells
				r.mu.Unlock()
				c := <-found
				if c.About().Holder() != "Asha" || !slices.Equal(told, tt.told) {
					t.Errorf("told %v", told)
				}
				_ = c.Close()
			})
		})
	}
	t.Run("own rule: beside a card that can be used, one that cannot be read is left alone", func(t *testing.T) {
		r := newRoom(with("A", aCard(t, "Asha", nil)), with("B", aCard(t, "Ben", nil)))
		r.slots[0].refuses = ErrUnreadable
		if c := opened(t, r); c.About().Holder() != "Ben" {
			t.Errorf("it is %s's", c.About().Holder())
		}
	})
	t.Run("own rule: where nobody tells of changes it is looked again and again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r, inside, found := newRoom(&slotOf{name: "A"}), aCard(t, "Asha", nil), make(chan Card, 1)
			go func() {
				c, err := Readers{service: silent{r}, Poll: true}.Wait(t.Context(), func(Waiting) {})
				if err != nil {
					t.Error(err)
				}
				found <- c
			}()
			synctest.Wait()
			r.alter(func() { r.slots[0] = with("A", inside) })
			c := <-found
			synctest.Wait()
			r.alter(func() { r.slots[0].powered, r.slots[0].events = nil, 2 })
			<-c.Gone()
			_ = c.Close()
		})
	})
	t.Run("own rule: a service for readers that starts later is found", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &late{room: newRoom(with("A", aCard(t, "Asha", nil))), from: time.Now().Add(10 * time.Second)}
			var told []Waiting
			c, err := Readers{service: s}.Wait(t.Context(), func(w Waiting) { told = append(told, w) })
			if err != nil || !slices.Equal(told, []Waiting{ForReader}) {
				t.Fatalf("Wait() = %v, told %v", err, told)
			}
			_ = c.Close()
		})
	})
	t.Run("own rule: nobody waits for longer than they want", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		_, err := Readers{service: newRoom()}.Wait(ctx, func(Waiting) { stop() })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Wait() = %v", err)
		}
	})
}

// asking is somebody who chooses in their own way.
type asking func(context.Context, []About) (int, error)

func (a asking) Choose(ctx context.Context, cards []About) (int, error) { return a(ctx, cards) }

// foreign is a reader with a card of another kind.
func foreign(name string) *slotOf {
	return &slotOf{name: name, powered: &answers{left: bytes.Repeat([]byte{1, 0x6A, 0x82}, 10)}, atr: "3B00", events: 1}
}

// silent is a service that tells of no changes.
type silent struct{ *room }

func (s silent) Readers(ctx context.Context, seen []reader) ([]reader, error) {
	if seen == nil {
		return s.room.Readers(ctx, nil)
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// late is a service that does not answer at first.
type late struct {
	*room
	from time.Time
}

func (l *late) Readers(ctx context.Context, seen []reader) ([]reader, error) {
	if time.Now().Before(l.from) {
		return nil, errService
	}
	return l.room.Readers(ctx, seen)
}
