package idp

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"sync"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// ErrPuzzle refuses the answer to a puzzle that is wrong, too old or was given
// before.
const ErrPuzzle Refusal = "the puzzle is not solved, too old, or its answer was given before"

// PuzzleLife is how long a puzzle may lie on a page before it is answered.
const PuzzleLife = 30 * time.Minute

// How hard puzzles are, in bits: a browser tries half as many numbers as 2 has
// powers, again and again. The least takes one a moment, so that people do not
// wait; with much to do it doubles, and doubles again.
const (
	leastBits = 13
	mostBits  = 20
	quiet     = 30 // answers a minute at one server for which puzzles are easy
)

const (
	mostPuzzle = 512 // bytes of a puzzle as it comes back
	mostAnswer = 20  // digits
)

// Puzzles makes whoever asks for something at no cost of theirs pay for it with
// the time of their computer: no other service is asked, and nobody must see
// anything. A puzzle is kept nowhere until it is solved, since it says itself,
// sealed, how hard it is and when it ends. Its answer counts once.
type Puzzles struct {
	Sealer authenticators.Sealer // the same at every server
	Limits Limits
	Now    func() time.Time

	mu           sync.Mutex
	minute       int64
	before, this int // answers in the last minute, and in this one
}

// Puzzle is one for a browser: it looks for a number such that the SHA-256 of
// Text, a colon and the number begins with Bits bits that are 0.
type Puzzle struct {
	Text string
	Bits int
}

// puzzleOf is what puzzles are sealed for.
var puzzleOf = []byte("puzzle")

// New returns a puzzle that nobody had before.
func (p *Puzzles) New() (Puzzle, error) {
	hard := p.bits()
	plain := binary.BigEndian.AppendUint64(nil, uint64(p.Now().Add(PuzzleLife).Unix()))      //nolint:gosec // a day in this age
	sealed, err := p.Sealer.Seal(append(append(plain, byte(hard)), random(16)...), puzzleOf) //nolint:gosec // no more than mostBits
	if err != nil {
		return Puzzle{}, fmt.Errorf("seal puzzle: %w", err)
	}
	return Puzzle{Text: base64.RawURLEncoding.EncodeToString(sealed), Bits: hard}, nil
}

// Spend uses up the answer to a puzzle, or is ErrPuzzle.
func (p *Puzzles) Spend(ctx context.Context, text, answer string) error {
	hard, err := p.open(text)
	if err != nil {
		return err
	}
	if len(answer) == 0 || len(answer) > mostAnswer || zeros(sha256.Sum256([]byte(text+":"+answer))) < hard {
		return ErrPuzzle
	}
	err = p.Limits.Attempt(ctx, LimitKey{Account: Hash(text), Authenticator: "puzzle"}, Limit{Free: 1, Most: 1, Life: 2 * PuzzleLife}, p.Now())
	if errors.Is(err, ErrLocked) {
		return ErrPuzzle
	}
	if err != nil {
		return fmt.Errorf("spend puzzle: %w", err)
	}
	p.count()
	return nil
}

// open returns how hard a puzzle of ours is that has not ended.
func (p *Puzzles) open(text string) (int, error) {
	if len(text) > mostPuzzle {
		return 0, ErrPuzzle
	}
	sealed, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || base64.RawURLEncoding.EncodeToString(sealed) != text {
		return 0, ErrPuzzle // spelt otherwise, with a line break in it, it would be another, and count once more
	}
	plain, err := p.Sealer.Unseal(sealed, puzzleOf)
	if err != nil || len(plain) < 9 {
		return 0, ErrPuzzle
	}
	if ends := time.Unix(int64(binary.BigEndian.Uint64(plain)), 0); !p.Now().Before(ends) { //nolint:gosec // we wrote it
		return 0, ErrPuzzle
	}
	return int(plain[8]), nil
}

// zeros is how many bits are 0 before the first that is not.
func zeros(sum [sha256.Size]byte) (n int) {
	for _, b := range sum {
		if b != 0 {
			return n + bits.LeadingZeros8(b)
		}
		n += 8
	}
	return n
}

// bits is how hard a puzzle is now: one bit more each time that there is twice
// as much to do.
func (p *Puzzles) bits() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn()
	return min(leastBits+bits.Len(uint(max(p.before, p.this)/quiet)), mostBits)
}

func (p *Puzzles) count() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn()
	p.this++
}

// turn begins another minute where one has. The caller has p.mu.
func (p *Puzzles) turn() {
	switch now := p.Now().Unix() / 60; now - p.minute {
	case 0:
	case 1:
		p.minute, p.before, p.this = now, p.this, 0
	default:
		p.minute, p.before, p.this = now, 0, 0
	}
}
