package authenticators

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Authenticator is one that a person holds beside their cards, as the registry
// keeps it. What it is worth was decided when it was added; no use raises it.
type Authenticator struct {
	ID      string // names it: random, and no secret
	Subject string // whose it is: the person's uid
	Kind    Kind
	Handle  string // by which its room finds it; no two of a kind have the same
	Name    string // what its person calls it
	Model   string // what its maker calls it; empty: not known

	Method      Method // how it signs in, as amr says it
	Level       Level  // the most that it is worth
	State       State
	SelfClaimed bool // its person bound it without anybody's help: never more than AAL2

	AddedAt time.Time
	Record  json.RawMessage // the room's own: what it must know, secrets sealed

	// What changes with use. The registry writes it in the transaction of the
	// sign-in, and forgets nothing else for it.
	UsedAt time.Time       // zero: never
	Mark   json.RawMessage // the room's own: what the next use is compared with
}

// Kind says what an authenticator is, by the name of the room that judges it.
type Kind string

// The kinds of authenticators that the registry keeps.
const (
	KeyKind       Kind = "passkey"   // passkeys, security keys, Windows Hello
	CodeKind      Kind = "totp"      // a password with one-time codes
	FederatedKind Kind = "federated" // an account at the organisation's own provider
)

// State says whether an authenticator may be used.
type State string

// The states of an authenticator. A suspended one is restored by the
// registration authority alone.
const (
	Active    State = "active"
	Suspended State = "suspended"
)

// Called is how evidence, sessions and the journal call the authenticator.
func (a Authenticator) Called() string { return string(a.Kind) + ":" + a.ID }

// Use is what a sign-in leaves behind at the authenticator that made it. The
// sign-in counts only while the authenticator is held and active and, if it
// leaves a mark, while the mark that stands there is Was. So of two sign-ins at
// once that were compared with the same mark one counts.
type Use struct {
	ID   string
	Mark json.RawMessage // nil leaves the one that is there, whatever it is
	Was  json.RawMessage // the Mark that the authenticator came with; nil: none
}

// Held finds the authenticators that people hold.
type Held interface {
	// ByHandle returns the authenticator of that kind with that handle,
	// whatever its state, or ErrNotHeld.
	ByHandle(ctx context.Context, kind Kind, handle string) (Authenticator, error)

	// HeldBy returns those of a person, whatever their state, the oldest
	// first.
	HeldBy(ctx context.Context, subject string) ([]Authenticator, error)
}

// ErrNotHeld says that nobody holds such an authenticator.
var ErrNotHeld = errors.New("nobody holds that authenticator")

// ErrSuspended refuses an authenticator whose person said that it is lost, or
// that the registration authority has stopped.
const ErrSuspended Refusal = "the authenticator is suspended"

// Questions keeps what a room has asked until it is answered. A room that asks
// gives each question a name of 256 random bits, which comes back with the
// answer.
type Questions interface {
	// Ask keeps a question until expires.
	Ask(ctx context.Context, name string, question []byte, expires time.Time) error

	// Take returns a question and forgets it, in one atomic step: the first
	// gets it, and everybody after, or too late, ErrAnswer.
	Take(ctx context.Context, name string, now time.Time) ([]byte, error)
}

// Enrolment is what a room may know of the person who adds an authenticator,
// and of the browser in which they do.
type Enrolment struct {
	ID      string // names the act; an answer for another one is refused
	Browser string // base64url SHA-256 of the secret that only the browser which began has
	Subject string // the person's uid
	Email   string // their sign-in name
	Display string // their name, for people
	Held    []Authenticator
}

// Enroller is a room at which people add an authenticator.
type Enroller interface {
	// BeginEnrolment returns the question to put to the browser.
	BeginEnrolment(ctx context.Context, e Enrolment) (json.RawMessage, error)

	// FinishEnrolment judges the answer and returns the authenticator that was
	// proved, without what the registry gives it: ID, Name, State, AddedAt. It
	// consumes the question whatever the outcome. The refusal of an answer is
	// ErrRefused.
	FinishEnrolment(ctx context.Context, e Enrolment, answer json.RawMessage) (Authenticator, error)
}

// Sealer keeps what the registry must hold and nobody may read there.
type Sealer interface {
	// Seal returns plain sealed: only Unseal with the same context opens it.
	Seal(plain, context []byte) ([]byte, error)

	// Unseal returns what was sealed in that context, or an error.
	Unseal(sealed, context []byte) ([]byte, error)
}
