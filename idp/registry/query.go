package registry

import (
	"context"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// Finder answers what registration authorities ask. Lists come in pages: After
// is the cursor that the page before returned, Most how many at most.
type Finder interface {
	// FindPeople finds people by one box: a uid, an e-mail, the serial number of
	// a card, or the beginnings of names. The best come first.
	FindPeople(ctx context.Context, q Query) ([]Found, string, error)

	// FindOrganisations finds organisations by code or the beginning of a name.
	FindOrganisations(ctx context.Context, q Query) ([]directory.Organisation, string, error)

	// Worklist returns who is on a list, on the day of now, at the organisation
	// q.At and those below it ("": everywhere).
	Worklist(ctx context.Context, l List, q Query, now time.Time) ([]Found, string, error)

	// Requests returns what waits for a second person, the oldest first.
	Waiting(ctx context.Context, q Query, now time.Time) ([]Request, string, error)

	// Events returns what happened to or by the person called uid, the newest
	// first.
	Events(ctx context.Context, uid string, q Query) ([]idp.Event, string, error)

	// ByReference returns what happened in the request that somebody reads the
	// eight-character reference of, the newest first.
	ByReference(ctx context.Context, reference string) ([]idp.Event, error)

	// Below returns the codes of an organisation and all below it.
	Below(ctx context.Context, code string) ([]string, error)
}

// Query is what is looked for, and which part of the answer.
type Query struct {
	Text  string
	At    string // code of an organisation
	After string
	Most  int
}

// Found is a person in a list.
type Found struct {
	UID     string      `json:"uid"`
	Display string      `json:"display"`
	Email   string      `json:"email,omitempty"`
	Profile idp.Profile `json:"profile"`
	At      []string    `json:"organisations,omitempty"` // codes of where they work now
	Why     string      `json:"why,omitempty"`           // of a worklist: the day, the card, the rule
}

// List names a worklist.
type List string

// The worklists.
const (
	Expiring   List = "expiring"   // cards whose certificate ends in 90 days
	Locked     List = "locked"     // blocked cards, and authenticators that too many wrong tries stopped
	Unreached  List = "no-contact" // no e-mail and no mobile
	Dormant    List = "dormant"    // positions, and no sign-in for 90 days
	Unproven   List = "unverified" // unverified, with positions
	Leavers    List = "leavers"    // whose last position has ended
	RuleStops  List = "stopped"    // whom a rule on cards stops on the day of now
	Robots     List = "robots"     // robotic workers, with owner and end
	Temporary  List = "temporary"  // positions for a time, with their reason
	Suspension List = "suspended"  // cards and authenticators that are suspended
)
