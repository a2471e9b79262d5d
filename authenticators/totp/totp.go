// Package totp signs people in with their e-mail, a password and a one-time
// code, the row of the Microsoft and Google authenticators.
//
// A person holds one authenticator of this kind, whose record is the argon2id
// hash of the password and the sealed seed of the codes. The room adds it,
// judges it, changes its password and resets it. Who writes it down is the
// registry's business, and whose mail was proved before a reset the caller's.
//
// It never says which of the three was wrong. What nobody holds is judged
// like what somebody does, against a decoy: the same calls, the same work, the
// same refusal.
package totp

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// How long questions stay open.
const (
	questionLife  = 5 * time.Minute  // of signing in
	enrolmentLife = 10 * time.Minute // of adding: to find the phone, scan, and think of a password
)

// maxAnswer bounds what comes from outside before it is read.
const maxAnswer = 4 << 10

// Refusals of this room. ErrWrong is one for everything that can be wrong.
const (
	ErrWrong authenticators.Refusal = "the e-mail, the password or the code is not right"
	ErrCode  authenticators.Refusal = "the code is not the one that the new seed gives"
	ErrHeld  authenticators.Refusal = "the person has a password and codes already"
)

// People finds people by the name that they sign in with.
type People interface {
	// ByEmail returns the uid of the person whose e-mail that is, however it
	// is spelt, or authenticators.ErrNotHeld.
	ByEmail(ctx context.Context, email string) (uid string, err error)

	// Spelt returns email as all its spellings have it, those that ByEmail
	// takes for one and no others. Tries at what is nobody's are counted by
	// it: where they were counted more or less finely than a person's, the
	// count would tell who is one.
	Spelt(email string) string
}

// Guesses counts tries, over all servers together. What it refuses with is
// not ours to read: whoever calls the room gets it as it is.
type Guesses interface {
	// Attempt counts a try for account, and says nil if it may be judged.
	Attempt(ctx context.Context, account string) error

	// Clear forgets the tries of account, after one that was right.
	Clear(ctx context.Context, account string) error
}

// Config is what a Room needs. All of it must be there but where it says so.
type Config struct {
	Service string // what people call the service: their app shows it beside the codes

	People    People
	Held      authenticators.Held
	Questions authenticators.Questions
	Guesses   Guesses
	Sealer    authenticators.Sealer
	Now       func() time.Time
	Rand      io.Reader // nil means crypto/rand

	// Passes of argon2id over 19 MiB, from 2 to 16; 0 is 4. It must be the
	// same on all servers, or the time that an answer takes tells which
	// people there are.
	Passes int

	// AtOnce is how many passwords are hashed at once; 0 is half of the
	// processors. The others wait their turn.
	AtOnce int
}

// Room signs people in by password and one-time code. It is safe for
// concurrent use.
type Room struct {
	service   string
	people    People
	held      authenticators.Held
	questions authenticators.Questions
	guesses   Guesses
	sealer    authenticators.Sealer
	hashes    *hashes
	decoy     authenticators.Authenticator // what nobody holds: judged where there is nothing to judge
	now       func() time.Time
	rand      io.Reader
}

var (
	_ authenticators.Room     = (*Room)(nil)
	_ authenticators.Enroller = (*Room)(nil)
)

// New returns a room, or an error that names what c lacks.
func New(c Config) (*Room, error) {
	switch {
	case c.Service == "":
		return nil, errors.New("password room: no name of the service")
	case c.People == nil || c.Held == nil || c.Questions == nil || c.Guesses == nil || c.Sealer == nil || c.Now == nil:
		return nil, errors.New("password room: no people, authenticators, questions, guesses, sealer or clock")
	case c.Passes != 0 && (c.Passes < fewestPasses || c.Passes > mostPasses):
		return nil, fmt.Errorf("password room: %d passes of argon2id, want %d to %d", c.Passes, fewestPasses, mostPasses)
	case c.AtOnce < 0:
		return nil, errors.New("password room: a negative number of hashes at once")
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.Passes == 0 {
		c.Passes = usualPasses
	}
	if c.AtOnce == 0 {
		// The other half is for who signs in without a password.
		c.AtOnce = max(1, runtime.GOMAXPROCS(0)/2)
	}
	r := &Room{
		service: c.Service, people: c.People, held: c.Held, questions: c.Questions, guesses: c.Guesses, sealer: c.Sealer,
		hashes: newHashes(c.Passes, c.AtOnce, c.Rand), now: c.Now, rand: c.Rand,
	}
	return r, r.makeDecoy()
}

// makeDecoy makes an authenticator that no password opens: its hash is random
// bytes and was never the hash of anything.
func (r *Room) makeDecoy() error {
	seed, err1 := r.random(seedSize)
	hash, err2 := r.hashes.decoy()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	sealed, err := r.sealer.Seal(seed, sealedFor(""))
	if err != nil {
		return fmt.Errorf("seal decoy: %w", err)
	}
	raw, err := json.Marshal(record{Hash: hash, Seed: sealed})
	r.decoy = authenticators.Authenticator{Kind: authenticators.CodeKind, Record: raw}
	return err
}

// record is what the registry keeps for the room.
type record struct {
	Hash string `json:"hash"` // of the password, argon2id in PHC text
	Seed []byte `json:"seed"` // of the codes, sealed
}

// mark is what the registry keeps of the last use.
type mark struct {
	Step int64 `json:"step"` // the last one accepted
}

// sealedFor ties a sealed seed to its person: moved to another's row it does
// not open.
func sealedFor(uid string) []byte { return []byte("totp " + uid) }

// random returns n random bytes.
func (r *Room) random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(r.rand, b); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	return b, nil
}

// asked is a question as it is kept.
type asked struct {
	For     string `json:"for"`     // signing in or enrolment: one's question is no other's
	ID      string `json:"id"`      // of the login or the act
	Browser string `json:"browser"` // that began
	Subject string `json:"subject,omitempty"`

	// Of an enrolment alone.
	Seed    []byte    `json:"seed,omitempty"` // sealed as in the record
	Tries   int       `json:"tries,omitempty"`
	Expires time.Time `json:"expires,omitzero"`
}

// What questions are for.
const (
	signIn = "sign-in"
	enrol  = "enrol"
)

// ask keeps q until expires and returns the name by which it is answered.
func (r *Room) ask(ctx context.Context, q asked, expires time.Time) (string, error) {
	b, err := r.random(32)
	if err != nil {
		return "", err
	}
	kept, err := json.Marshal(q)
	if err != nil {
		return "", fmt.Errorf("write question: %w", err)
	}
	name := base64.RawURLEncoding.EncodeToString(b)
	if err := r.questions.Ask(ctx, name, kept, expires); err != nil {
		return "", fmt.Errorf("keep question: %w", err)
	}
	return name, nil
}

// take ends the question and returns it, if it is for that and was asked in
// that browser for that id.
func (r *Room) take(ctx context.Context, name, what, id, browser string, now time.Time) (asked, error) {
	if b, err := base64.RawURLEncoding.DecodeString(name); err != nil || len(b) != 32 {
		return asked{}, authenticators.ErrAnswer
	}
	kept, err := r.questions.Take(ctx, name, now)
	if err != nil {
		return asked{}, fmt.Errorf("take question: %w", err)
	}
	var q asked
	if err := json.Unmarshal(kept, &q); err != nil {
		return asked{}, fmt.Errorf("read question: %w", err)
	}
	if q.For != what || !same(q.ID, id) || !same(q.Browser, browser) {
		return asked{}, authenticators.ErrAnswer
	}
	return q, nil
}
