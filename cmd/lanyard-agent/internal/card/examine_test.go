package card

import (
	"errors"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

func TestExamine(t *testing.T) {
	inside := aCard(t, "Asha", func(c *virtualcard.Config) { c.TriesLeft = new(2) })
	r := newRoom(&slotOf{name: "B"}, with("A", inside))
	for range 2 {
		all, err := examine(t.Context(), r)
		if err != nil || len(all) != 2 {
			t.Fatalf("examine() = %+v, %v", all, err)
		}
		t.Run("own rule: a card that is looked at shows what all may see, and loses no try", func(t *testing.T) {
			if a := all[0]; a.Reader != "A" || !a.Card || a.Problem != nil || a.About.Holder() != "Asha" || a.About.TriesLeft != 2 {
				t.Errorf("examine() = %+v", a)
			}
		})
		t.Run("own rule: an empty reader is there, too", func(t *testing.T) {
			if b := all[1]; b.Reader != "B" || b.Card || b.Problem != nil {
				t.Errorf("examine() = %+v", b)
			}
		})
	}
	t.Run("own rule: a look leaves no connection behind", func(t *testing.T) {
		if r.open != 0 {
			t.Errorf("%d connections", r.open)
		}
	})
	t.Run("own rule: one card that cannot be read hides no other", func(t *testing.T) {
		deaf := with("0", inside)
		deaf.powered = mute{}
		all, err := examine(t.Context(), newRoom(deaf, with("A", inside)))
		if err != nil || len(all) != 2 || !errors.Is(all[0].Problem, ErrUnsupported) || all[1].Problem != nil {
			t.Errorf("examine() = %+v, %v", all, err)
		}
	})
}

// mute is a card that knows no command.
type mute struct{}

func (mute) Process([]byte) []byte { return []byte{0x6D, 0x00} }
func (mute) Reset()                {}
