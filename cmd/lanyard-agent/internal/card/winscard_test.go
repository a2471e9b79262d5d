package card

import (
	"context"
	"crypto"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf16"
	"unsafe"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

func TestWinscard(t *testing.T) {
	for protocol, atr := range map[string][]byte{"T=0": virtualcard.T0ATR(), "T=1": virtualcard.DefaultATR()} {
		t.Run("own rule: winscard lends a card that speaks "+protocol+", and leaves it reset", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBox()
				var told []Waiting
				found := make(chan Card, 1)
				go func() {
					c, err := Readers{service: winscard{b}}.Wait(t.Context(), func(w Waiting) { told = append(told, w) })
					if err != nil {
						t.Error(err)
					}
					found <- c
				}()
				synctest.Wait()
				b.alter(func() { b.slots = []*slotOf{{name: "Réader 0"}} })
				time.Sleep(time.Second)
				synctest.Wait()
				inside := ofKind(t, virtualcard.RSA2048, "Dr Asha Smith", func(c *virtualcard.Config) { c.ATR = atr })
				b.alter(func() { b.slots[0] = with("Réader 0", inside) })
				c := <-found
				if c == nil {
					return
				}
				if !slices.Equal(told, []Waiting{ForReader, ForCard}) {
					t.Errorf("told %v", told)
				}
				if a := c.About(); a.GUID != inside.GUID() || a.ATR != inside.ATR() || a.TriesLeft != 3 || a.Reader != "Réader 0" {
					t.Errorf("About() = %+v", a)
				}
				if err := c.Use([]byte("111111"), proves); !errors.Is(err, PINError{2}) {
					t.Errorf("a wrong passcode: %v", err)
				}
				if err := c.Use([]byte("123456"), proves); err != nil {
					t.Errorf("the right one: %v", err)
				}
				for _, l := range b.lent {
					if want := []uint32{leaveCard, resetCard, resetCard}; !slices.Equal(l.leaving, want) {
						t.Errorf("transactions ended with %v, want %v", l.leaving, want)
					}
				}
				_ = c.Close()
				synctest.Wait()
				time.Sleep(watchTime)
				if contexts, cards := b.left(); contexts != 0 || cards != 0 {
					t.Errorf("left: %d contexts, %d cards", contexts, cards)
				}
			})
		})
	}
	t.Run("own rule: winscard tells that a card or its reader was taken out", func(t *testing.T) {
		for name, take := range map[string]func(*box){
			"the card":   func(b *box) { b.slots[0].powered, b.slots[0].atr = nil, ""; b.slots[0].events++ },
			"the reader": func(b *box) { b.slots = nil },
		} {
			synctest.Test(t, func(t *testing.T) {
				b := newBox(with("A", aCard(t, "Asha", nil)))
				c := openedIn(t, b)
				synctest.Wait()
				before := time.Now()
				b.alter(func() { take(b) })
				<-c.Gone()
				if late := time.Since(before); late > watchTime/2 {
					t.Errorf("%s: told after %v", name, late)
				}
				if err := c.Use([]byte("123456"), proves); name == "the card" && !errors.Is(err, ErrRemoved) {
					t.Errorf("%s: Use() = %v", name, err)
				}
				_ = c.Close()
			})
		}
	})
	t.Run("own rule: a card that is taken out while it signs is said to be", func(t *testing.T) {
		b := newBox(with("A", aCard(t, "Asha", nil)))
		c := openedIn(t, b)
		err := c.Use([]byte("123456"), func(k crypto.Signer) error {
			b.alter(func() { b.slots[0].powered = nil })
			return proves(k)
		})
		if !errors.Is(err, ErrRemoved) {
			t.Errorf("Use() = %v", err)
		}
	})
	t.Run("own rule: a card that another program has reset is connected to anew", func(t *testing.T) {
		b := newBox(with("A", aCard(t, "Asha", nil)))
		c := openedIn(t, b)
		b.will("begin", outReset)
		if err := c.Use([]byte("123456"), proves); err != nil {
			t.Errorf("Use() = %v", err)
		}
		b.will("begin", outReset)
		b.will("reconnect", outRemoved)
		if err := c.Use([]byte("123456"), proves); !errors.Is(err, ErrRemoved) {
			t.Errorf("Use() = %v", err)
		}
	})
}

// openedIn is the card in the only reader of a box.
func openedIn(t *testing.T, b *box) Card {
	t.Helper()
	c, err := Readers{service: winscard{b}}.Wait(t.Context(), func(w Waiting) { t.Errorf("waits for %s", w) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestWinscardWaits(t *testing.T) {
	t.Run("own rule: a wait ends with who waits, whether winscard waits already or not", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBox(with("A", aCard(t, "Asha", nil)))
			seen, err := winscard{b}.Readers(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, after := range []time.Duration{0, lockTime / 2, time.Minute} {
				ctx, stop := context.WithTimeout(t.Context(), after)
				before := time.Now()
				if _, err := (winscard{b}).Readers(ctx, seen); !errors.Is(err, context.DeadlineExceeded) || time.Since(before) > after+2*lockTime {
					t.Errorf("after %v: Readers() = %v, after %v", after, err, time.Since(before))
				}
				stop()
			}
			// Once for each time that a wait lasts at most, and not again and again.
			if contexts, _ := b.left(); contexts != 0 || b.waits == 0 || b.waits > int(time.Minute/watchTime)+4 {
				t.Errorf("left: %d contexts; waited %d times", contexts, b.waits)
			}
		})
	})
	t.Run("own rule: a winscard that hears nothing is left behind, and let go when it comes back", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBox(with("A", aCard(t, "Asha", nil)))
			b.deaf = true
			seen, _ := winscard{b}.Readers(t.Context(), nil)
			ctx, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			if _, err := (winscard{b}).Readers(ctx, seen); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Readers() = %v", err)
			}
			time.Sleep(2 * watchTime)
			synctest.Wait()
			if contexts, _ := b.left(); contexts != 0 {
				t.Errorf("left: %d contexts", contexts)
			}
		})
	})
	t.Run("own rule: readers that tell of no change are looked at again and again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBox(&slotOf{name: "A"})
			seen, _ := winscard{b}.Readers(t.Context(), nil)
			go func() {
				time.Sleep(10 * time.Second)
				b.alter(func() { b.slots[0] = with("A", aCard(t, "Asha", nil)) })
			}()
			before := time.Now()
			now, err := polled{winscard{b}}.Readers(t.Context(), seen)
			if err != nil || !now[0].present || b.waits != 0 || time.Since(before) > 10*time.Second+2*pollTime {
				t.Errorf("Readers() = %v, %v; waited %d times", now, err, b.waits)
			}
		})
	})
	t.Run("own rule: more readers than winscard looks at in one call are all seen", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBox()
			for i := range 23 {
				b.slots = append(b.slots, &slotOf{name: string(rune('a' + i))})
			}
			seen, err := winscard{b}.Readers(t.Context(), nil)
			if err != nil || len(seen) != 23 {
				t.Fatalf("Readers() = %d, %v", len(seen), err)
			}
			go func() {
				time.Sleep(time.Minute)
				b.alter(func() { b.slots[20].events++ })
			}()
			if now, err := (winscard{b}).Readers(t.Context(), seen); err != nil || now[20].events != 1 {
				t.Errorf("Readers() = %v, %v", now, err)
			}
		})
	})
	t.Run("own rule: a service that Windows has not started is no reader yet", func(t *testing.T) {
		for call, o := range map[string]outcome{"establish": 0x8010001D, "list": 0x8010001E, "change": 0x8010001E} {
			b := newBox(with("A", aCard(t, "Asha", nil)))
			b.will(call, o)
			if _, err := (winscard{b}).Readers(t.Context(), nil); !errors.Is(err, errService) {
				t.Errorf("%s: Readers() = %v", call, err)
			}
			if contexts, _ := b.left(); contexts != 0 {
				t.Errorf("%s left %d contexts", call, contexts)
			}
		}
	})
}

func TestWinscardBusy(t *testing.T) {
	t.Run("own rule: a card waits for another program to let go of it, for a while", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBox(with("A", aCard(t, "Asha", nil)))
			b.will("connect", slices.Repeat([]outcome{outSharing}, 20)...)
			c, err := winscard{b}.Connect(t.Context(), "A")
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			b.will("connect", slices.Repeat([]outcome{outSharing}, 1000)...)
			if _, err := (winscard{b}).Connect(t.Context(), "A"); !errors.Is(err, ErrBusy) {
				t.Errorf("Connect() = %v", err)
			}
			if contexts, cards := b.left(); contexts != 0 || cards != 0 {
				t.Errorf("left: %d contexts, %d cards", contexts, cards)
			}
		})
	})
	t.Run("own rule: what another program keeps is begun when it lets go, by who asks again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBox(with("A", aCard(t, "Asha", nil)))
			c := openedIn(t, b)
			b.hangs = func() bool { return true }
			if err := c.Use([]byte("123456"), proves); !errors.Is(err, ErrBusy) {
				t.Errorf("Use() = %v", err)
			}
			close(b.hung)
			if err := c.Use([]byte("123456"), proves); err != nil {
				t.Errorf("afterwards Use() = %v", err)
			}
		})
	})
	t.Run("own rule: nobody waits for a call that does not come back, and what it got is let go", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBox(with("A", aCard(t, "Asha", nil)))
			c, err := winscard{b}.Connect(t.Context(), "A")
			if err != nil {
				t.Fatal(err)
			}
			b.hangs = func() bool { return true }
			before := time.Now()
			if err := c.Begin(); !errors.Is(err, ErrBusy) || time.Since(before) > 2*lendTime {
				t.Errorf("Begin() = %v after %v", err, time.Since(before))
			}
			if err := c.Begin(); !errors.Is(err, ErrBusy) {
				t.Errorf("again Begin() = %v", err)
			}
			if _, err := c.Transmit([]byte{0, 0xA4, 0, 0}); !errors.Is(err, ErrRemoved) {
				t.Errorf("Transmit() = %v", err)
			}
			_ = c.Close()
			if _, cards := b.left(); cards != 1 {
				t.Errorf("it was let go in the midst of a call")
			}
			close(b.hung)
			synctest.Wait()
			if contexts, cards := b.left(); contexts != 0 || cards != 0 {
				t.Errorf("left: %d contexts, %d cards", contexts, cards)
			}
		})
	})
}

func TestWinscardLayout(t *testing.T) {
	t.Run("own rule: what winscard fills in has the layout that it knows", func(t *testing.T) {
		var s placeState
		p := unsafe.Sizeof(uintptr(0))
		for field, at := range map[string][2]uintptr{
			"szReader": {unsafe.Offsetof(s.Name), 0}, "dwCurrentState": {unsafe.Offsetof(s.Current), 2 * p}, "dwEventState": {unsafe.Offsetof(s.Event), 2*p + 4},
			"cbAtr": {unsafe.Offsetof(s.ATRLength), 2*p + 8}, "rgbAtr": {unsafe.Offsetof(s.ATR), 2*p + 12}, "the end": {unsafe.Sizeof(s), 2*p + 48},
		} {
			if at[0] != at[1] {
				t.Errorf("%s is at %d, want %d", field, at[0], at[1])
			}
		}
	})
	t.Run("own rule: an ATR that is longer than there is room for is none", func(t *testing.T) {
		now := placesIn([][]uint16{ended("A"), ended("B")}, []placeState{{Event: placePresent, ATRLength: 37}, {Event: placeUnknown}})
		if len(now) != 1 || now[0].atr != "" || !now[0].present {
			t.Errorf("%+v", now)
		}
	})
}

func FuzzNamesIn(f *testing.F) {
	for _, names := range []string{"", "\x00", "A\x00\x00", "A\x00B\x00\x00", "A", "A\x00B"} {
		f.Add(names)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list := utf16.Encode([]rune(text))
		total := 0
		for _, name := range namesIn(list) {
			if len(name) < 2 || name[len(name)-1] != 0 || slices.Index(name, 0) != len(name)-1 {
				t.Errorf("%q has the name %q", text, string(utf16.Decode(name)))
			}
			total += len(name)
		}
		if total > len(list) {
			t.Errorf("%q has more names than units", text)
		}
		if names := namesIn(list); len(names) > 0 {
			placesIn(names, make([]placeState, len(names)))
		}
	})
}
