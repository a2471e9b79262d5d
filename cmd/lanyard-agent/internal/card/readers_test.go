package card

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
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
	t.Run("own rule: of several cards the person's choice is used, and the others are let go", func(t *testing.T) {
		r := newRoom(with("B", aCard(t, "Ben", nil)), with("C", aCard(t, "Cas", nil)), with("A", aCard(t, "Asha", nil)))
		asks := &chooser{takes: 1}
		c, err := Readers{service: r, Choose: asks}.Wait(t.Context(), nil)
		if err != nil || c.About().Holder() != "Ben" || len(asks.asked) != 3 || asks.asked[0].Holder() != "Asha" || r.open != 1 {
			t.Fatalf("Wait() = %v, asked %d, open %d", err, len(asks.asked), r.open)
		}
		_ = c.Close()
		if _, err := (Readers{service: r, Choose: &chooser{takes: 3}}).Wait(t.Context(), nil); err == nil || r.open != 0 {
			t.Errorf("a choice of nothing: %v, open %d", err, r.open)
		}
	})
	t.Run("own rule: with nobody to choose the first reader by name is used", func(t *testing.T) {
		c := opened(t, newRoom(with("B", aCard(t, "Ben", nil)), with("A", aCard(t, "Asha", nil))))
		if c.About().Holder() != "Asha" {
			t.Errorf("it is %s's", c.About().Holder())
		}
	})
	t.Run("own rule: a card of another kind is said to be one, unless the right one is there too", func(t *testing.T) {
		other := &slotOf{name: "A", powered: &answers{left: []byte{0, 0x6A, 0x82}}, atr: "3B00"}
		if _, err := (Readers{service: newRoom(other)}).Wait(t.Context(), nil); !errors.Is(err, ErrUnsupported) {
			t.Errorf("Wait() = %v", err)
		}
		other.powered = &answers{left: []byte{0, 0x6A, 0x82}}
		if c := opened(t, newRoom(other, with("B", aCard(t, "Ben", nil)))); c.About().Holder() != "Ben" {
			t.Errorf("it is %s's", c.About().Holder())
		}
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
