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

	// FindUIDs returns who has one of these uids and a position at an
	// organisation or below it ("": whoever they are) and is not closed: in order
	// of uids, up to most.
	FindUIDs(ctx context.Context, uids []string, at string, most int) ([]Found, error)

	// ByNINumber returns whose National Insurance number that is: nobody is told
	// numbers, and whoever has one is told of. Who is closed counts, so that
	// nobody comes back unnoticed; a duplicate that was merged does not.
	ByNINumber(ctx context.Context, number string) ([]Found, error)

	// FindOrganisations finds organisations by code or the beginning of a name.
	FindOrganisations(ctx context.Context, q Query) ([]directory.Organisation, string, error)

	// Worklist returns who is on a list, on the day of now, at the organisation
	// q.At and those below it ("": everywhere).
	Worklist(ctx context.Context, l List, q Query, now time.Time) ([]Found, string, error)

	// Waiting returns what waits for a second person, the oldest first.
	Waiting(ctx context.Context, q Query, now time.Time) ([]Request, string, error)

	// Applicants returns who was invited to apply for a care identity and is
	// not decided on, the oldest invitation first.
	Applicants(ctx context.Context, q Query, now time.Time) ([]Applicant, string, error)

	// EventsOf returns what happened to or by the person called uid, the newest
	// first: refusals, and what was changed. What every sign-in leaves is not
	// among them.
	EventsOf(ctx context.Context, uid string, q Query) ([]idp.Event, string, error)

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
	Why     string      `json:"why,omitempty"`           // of a worklist: see List
}

// List names a worklist. Why somebody is on it is words with spaces between, in
// the order that is given here.
type List string

// The worklists. Whose profile is closed is on none of them but the last two.
const (
	Expiring   List = "expiring"   // cards whose certificate ends in 90 days: the day, the card
	Locked     List = "locked"     // blocked cards: the card; with Service.Worklist what else wrong tries have locked: its kind
	Unreached  List = "no-contact" // no e-mail and no mobile
	Dormant    List = "dormant"    // positions, and no sign-in for 90 days: the day of the last, if there was one
	Unproven   List = "unverified" // unverified, with positions
	Leavers    List = "leavers"    // whose last position has ended: its last day
	RuleStops  List = "stopped"    // whom a rule on cards stops on the day of now: the day of the rule, the card, its series
	Temporary  List = "temporary"  // positions for a time: the last day, or -, the position, the reason
	Robots     List = "robots"     // robotic workers: the last day, or -, the owner
	Suspension List = "suspended"  // cards and authenticators that are suspended: card:SERIAL, or how sessions call it
)

// Lists are all worklists.
var Lists = []List{Expiring, Locked, Unreached, Dormant, Unproven, Leavers, RuleStops, Temporary, Robots, Suspension}
