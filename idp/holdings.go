package idp

import (
	"context"
	"encoding/json"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Act is what goes with a change of the registry, in one transaction with it.
type Act struct {
	Event  Event
	Fences []Fence
	Mails  []Mail // who is told; nobody is told of what did not happen
}

// Mail is a message to a person in words of the catalogue.
type Mail struct {
	To   string            `json:"to"` // the address
	Lang string            `json:"lang"`
	Text string            `json:"text"` // the key of its words; those of its subject end in .subject
	Args map[string]string `json:"args,omitempty"`
}

// Holdings changes what people hold to sign in with. Each change is one
// transaction with its act: all of it or nothing.
type Holdings interface {
	authenticators.Held

	// AddAuthenticator keeps a. ErrTaken if another of its kind has its handle.
	AddAuthenticator(ctx context.Context, a authenticators.Authenticator, act Act) error

	// RenameAuthenticator, StopAuthenticator, which suspends it, and KeepRecord
	// change one thing each, so that none undoes what another server changes
	// at the same instant. ErrNotFound if subject does not hold it; for the
	// record also if it is not active.
	RenameAuthenticator(ctx context.Context, subject, id, name string, act Act) error
	StopAuthenticator(ctx context.Context, subject, id string, act Act) error
	KeepRecord(ctx context.Context, subject, id string, record json.RawMessage, act Act) error

	// StopCard suspends the card with that serial number. ErrNotFound if
	// subject has no active one.
	StopCard(ctx context.Context, subject, serial string, act Act) error

	// RemoveAuthenticator forgets it. ErrNotFound if subject does not hold it.
	RemoveAuthenticator(ctx context.Context, subject, id string, act Act) error
}

// Contacts finds people by how they are reached, and changes that.
type Contacts interface {
	// PersonByEmail returns whose e-mail that is, however it is spelt, or
	// ErrNotFound. It takes as long for nobody as for somebody with much to do.
	PersonByEmail(ctx context.Context, email string) (Contact, error)

	// SaveEmail makes email that of the person. ErrTaken if it is another's.
	SaveEmail(ctx context.Context, uid, email string, act Act) error
}

// Contact is whom an address leads to, and no more: what somebody works at or
// holds takes time to read, by which a stranger could tell that they are there.
type Contact struct {
	UID     string
	Name    Name
	Email   string
	Profile Profile
	Robot   bool
}

// SignOuts ends what people have signed in to.
type SignOuts interface {
	// SignOut ends everything of the person that began at at or before.
	SignOut(ctx context.Context, uid string, at time.Time, act Act) error
}
