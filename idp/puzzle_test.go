package idp_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// envelope seals with nothing but what it is for, and a number so that no two
// are the same.
type envelope struct{ n *atomic.Int64 }

func (e envelope) Seal(plain, of []byte) ([]byte, error) {
	return []byte(fmt.Sprintf("%s %016d ", of, e.n.Add(1)) + string(plain)), nil
}

func (e envelope) Unseal(sealed, of []byte) ([]byte, error) {
	plain, ok := strings.CutPrefix(string(sealed), string(of)+" ")
	if !ok || len(plain) < 17 {
		return nil, errors.New("not sealed for that")
	}
	return []byte(plain[17:]), nil
}

// solve does what a browser does.
func solve(p idp.Puzzle) string {
	for n := 0; ; n++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s:%d", p.Text, n))
		if (uint32(sum[0])<<24|uint32(sum[1])<<16|uint32(sum[2])<<8|uint32(sum[3]))>>(32-p.Bits) == 0 {
			return fmt.Sprint(n)
		}
	}
}

func puzzles(t *testing.T) (*ward, *idp.Puzzles) {
	t.Helper()
	w := aWard(t)
	return w, &idp.Puzzles{Sealer: envelope{new(atomic.Int64)}, Limits: w.live, Now: func() time.Time { return w.now }}
}

func aPuzzle(t *testing.T, ps *idp.Puzzles) idp.Puzzle {
	t.Helper()
	p, err := ps.New()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPuzzles(t *testing.T) {
	t.Run("own rule: an answer counts once, at whichever server", func(t *testing.T) {
		_, ps := puzzles(t)
		p := aPuzzle(t, ps)
		answer := solve(p)
		var all sync.WaitGroup
		var won atomic.Int64
		for range 16 {
			all.Go(func() {
				switch err := ps.Spend(context.Background(), p.Text, answer); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, idp.ErrPuzzle):
					t.Errorf("Spend: %v", err)
				}
			})
		}
		if all.Wait(); won.Load() != 1 {
			t.Errorf("it counted %d times", won.Load())
		}
		for name, text := range map[string]string{"a line break": p.Text[:9] + "\n" + p.Text[9:], "two at the end": p.Text + "\r\n"} {
			if err := ps.Spend(t.Context(), text, solve(idp.Puzzle{Text: text, Bits: p.Bits})); !errors.Is(err, idp.ErrPuzzle) {
				t.Errorf("spelt with %s it counts again: %v", name, err)
			}
		}
		if other := aPuzzle(t, ps); other.Text == p.Text {
			t.Error("two have the same puzzle")
		}
	})
	t.Run("own rule: what is wrong, too old or no puzzle of ours costs no store anything", func(t *testing.T) {
		w, ps := puzzles(t)
		p := aPuzzle(t, ps)
		answer := solve(p)
		w.server.Close()
		for name, try := range map[string][2]string{
			"no answer": {p.Text, ""}, "wrong": {p.Text, "x"}, "too long": {p.Text, strings.Repeat("1", 30)}, "another's": {aPuzzle(t, ps).Text, answer + "x"},
			"ours never": {"bm8", answer}, "no base64": {"?", answer}, "nothing": {"", ""}, "huge": {strings.Repeat("A", 5000), answer},
		} {
			if err := ps.Spend(t.Context(), try[0], try[1]); !errors.Is(err, idp.ErrPuzzle) {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.now = w.now.Add(idp.PuzzleLife)
		if err := ps.Spend(t.Context(), p.Text, answer); !errors.Is(err, idp.ErrPuzzle) {
			t.Errorf("too old: %v", err)
		}
	})
	t.Run("own rule: without its store no answer counts", func(t *testing.T) {
		w, ps := puzzles(t)
		p := aPuzzle(t, ps)
		w.server.Close()
		if err := ps.Spend(t.Context(), p.Text, solve(p)); err == nil || errors.Is(err, idp.ErrPuzzle) {
			t.Errorf("Spend: %v", err)
		}
	})
	t.Run("own rule: puzzles are harder while there is much to do, and as before afterwards", func(t *testing.T) {
		w, ps := puzzles(t)
		easy := aPuzzle(t, ps).Bits
		for range 60 {
			p := aPuzzle(t, ps)
			if err := ps.Spend(t.Context(), p.Text, solve(p)); err != nil {
				t.Fatal(err)
			}
		}
		if hard := aPuzzle(t, ps).Bits; hard != easy+2 {
			t.Errorf("after 60 answers in a minute %d bits, before %d", hard, easy)
		}
		w.pass(time.Minute)
		if hard := aPuzzle(t, ps).Bits; hard != easy+2 {
			t.Errorf("in the minute after %d bits", hard)
		}
		w.pass(2 * time.Minute)
		if again := aPuzzle(t, ps).Bits; again != easy {
			t.Errorf("when all is quiet %d bits, want %d", again, easy)
		}
	})
}

func FuzzPuzzles(f *testing.F) {
	ps := &idp.Puzzles{Sealer: envelope{new(atomic.Int64)}, Limits: unlimited{}, Now: time.Now}
	p, err := ps.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.Text, "1")
	f.Add("", "")
	f.Add("bm9ib2R5", "7")
	f.Fuzz(func(t *testing.T, text, answer string) {
		if err := ps.Spend(t.Context(), text, answer); err != nil && !errors.Is(err, idp.ErrPuzzle) {
			t.Errorf("Spend(%q, %q): %v", text, answer, err)
		}
	})
}
