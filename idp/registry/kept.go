package registry

import (
	"context"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// Enrolment is what a one-time code stands for: that the person called UID may
// add something to sign in with, in front of who made the code.
type Enrolment struct {
	Hash  string    // base64url SHA-256 of the code, which nobody keeps
	UID   string    // whose it is
	By    string    // uid of who made it
	How   string    // how they saw each other: in person, or by video
	Until time.Time // from then on it is worth nothing
}

// Enrolments keeps what codes stand for. What uses one up is Records.Spent.
type Enrolments interface {
	// FindEnrolment returns what the code with that hash stands for, and leaves
	// it as it is. It is idp.ErrNotFound where there is none, or where it is too
	// old or used: whoever guesses learns nothing.
	FindEnrolment(ctx context.Context, hash string, now time.Time) (Enrolment, error)
}

// Locks tells what wrong tries have locked.
type Locks interface {
	// Locked returns what no try is judged of any more until somebody clears it,
	// of people.
	Locked(ctx context.Context, now time.Time) ([]idp.LimitKey, error)
}

// Uses tells when people used what they sign in with.
type Uses interface {
	// LastUses returns when each of what the person called uid signs in with was
	// last used, by what sessions call it, as far as anybody knows: it may be a
	// minute behind.
	LastUses(ctx context.Context, uid string) (map[string]time.Time, error)
}

// Name is the name of something that a document can manage.
type Name struct {
	Kind string `json:"kind"` // person, organisation, client or policy
	Name string `json:"name"` // its uid, code or id
}

// Managing tells what a document manages, and what was made by hand.
type Managing interface {
	// Managed returns the names that a document manages, in order.
	Managed(ctx context.Context) ([]Name, error)
}
