// Package registry decides who may change what the registry knows of people,
// organisations, positions, cards and authenticators, and what becomes of it.
//
// A Change is a value that says what somebody wants. Service.Do alone judges
// and makes changes; pages, the API and commands make values of them, and judge
// nothing. Who may make which is the table in permissions.go.
package registry

import (
	"context"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// Kind names a kind of change: in the permission table, the journal and the
// API. It reads like an event of the journal: position_assigned.
type Kind = idp.Kind

// Change is one change that somebody asks for. Its implementations are the
// structs of this package; their JSON is that of the API.
type Change interface {
	// Kind names the change.
	Kind() Kind

	// check says whether what was given has the form that it must have: nil or a
	// Refused that names the fields. Nothing is read before.
	check() error

	// touches says what has to be read, and kept from others, to judge it.
	touches() Touch

	// about says whom and which organisations it concerns, once that is read.
	about(r *Records) About

	// make makes the change in r, or returns a refusal. It has no other effect.
	// What the journal and the actor are told of it, it writes into c.
	make(r *Records, c *Case) error
}

// About is whom and what a change concerns, as far as the right to make it
// goes.
type About struct {
	// People are uids. Nobody acts on themself, or on a robot of theirs. The
	// journal names the first.
	People []string
	Owners []string // who would answer for a robot
	New    Details  // of who is to be added, or what is to be written down of somebody

	// All are the codes of organisations at, or above, each of which the
	// authority must be held, and Any those of which one is enough. With neither,
	// it may be held anywhere: somebody who works nowhere is everybody's.
	All, Any []string

	// Gives are the authorities that are given or taken. Only managers do that.
	Gives []Authority
}

// Actor is who asks for a change.
type Actor struct {
	Person  idp.Person  // as things are at this moment
	Session idp.Session // by which they are signed in
	Request string      // the request ID, for the journal
	Lang    string      // of the mails

	// Host is the operator at the server's own host, who has its keys anyway:
	// "" for everybody else. It is the name that the journal has.
	Host string
}

// Case is what else a decision rests on, and what is told of it.
type Case struct {
	Actor    Actor  // who asked
	Approver string // the uid of the second person
	Now      time.Time
	Policy   Approvals
	NewID    func() string // a free number for a position or a person: 12 digits
	Sessions []idp.OwnSession
	Alike    []Found       // who is like the person to be added, or by what is changed of one
	NINumber string        // of the person to be added, or that one gets anew
	Below    []string      // codes of the organisations below one that is closed
	Managed  map[Name]bool // what documents manage
	Address  string        // of the service, where mails say where to go
	Told     []Addressee   // who a notice is for, once for each of their organisations
	Shown    Certificate   // of a request for a certificate its key alone

	Event idp.Event // that the journal gets
	Done  Done      // that the actor gets

	renewed    string    // serial number of the card whose certificate is renewed by this change
	base       idp.Event // what is the same in all its events
	journalled bool
	trial      bool // nothing of it is written: nothing needs to be signed
	authority  CardAuthority
}

// Touch is what a change reads, and keeps from others while it is decided on.
type Touch struct {
	People        []string // uids; the organisations at which they work and those above are read too
	Organisations []string // codes; those above them are read too
	Clients       []string // ids
	Cards         []string // serial numbers: their people are read
	CardKey       string   // the hash of a card's public key: whoever has or had such a card is read
	Positions     []string // ids: their people are read
	At            string   // everybody with a position at the organisation of that code
	Requests      []string // ids of requests that wait for a second person
	Applicants    []string // ids
	Invitation    string   // the hash of the code of an applicant, who is read
	NINumber      string   // nobody else gets that number meanwhile; who has it is found
	Policy        bool
}

// Records are what a change reads and changes. What is not in the registry is
// not in the maps; who puts it there makes it, and nobody is ever taken out.
type Records struct {
	People        map[string]*Person
	Organisations map[string]*directory.Organisation
	Clients       map[string]*directory.Client
	Requests      map[string]*Request
	Applicants    map[string]*Applicant // the organisations that invited them are read too
	Policy        *directory.Policy     // nil if it was not asked for
	SameNumber    []Found               // who has the National Insurance number that was named, in a change alone

	// Today is the day of the change; the service sets it.
	Today idp.Date

	// Events are written to the journal beside that of the act, in the order in
	// which they stand here: one for each other person whom a change concerns.
	Events []idp.Event

	// Ends are sessions to end beside those that end by what has changed of
	// their person. The keeper raises their fences.
	Ends []idp.OwnSession

	// Mails are what people are told.
	Mails []idp.Mail

	// Codes are enrolment codes to keep.
	Codes []Enrolment

	// Spent is the hash of an enrolment code that is used up by the change: ""
	// none. Where it is none that is good at that instant nothing is written, and
	// the error is idp.ErrNotFound: of many changes that spend one code one is
	// made.
	Spent string

	// Managed says of names whether a document manages them from now on.
	Managed map[Name]bool
}

// Person is a person of the directory, with what only the registration
// authority keeps.
type Person struct {
	directory.Person
	ETag    string    // another one where anything of the person is different
	AddedAt time.Time // zero: by a document

	// Issuers are the authorities of the person's cards, by the cards' serial
	// numbers: upper-case hex SHA-256 of their public keys. A card that is added
	// without one is of the registry's own authority.
	Issuers map[string]string

	// Issued is what else is kept of their cards, likewise.
	Issued map[string]Issued

	// SignedOutAt, where a change sets it, ends what they signed in to then or
	// before.
	SignedOutAt time.Time
}

// Request is a change that waits for a second person.
type Request struct {
	ID      string    `json:"id"`
	Kind    Kind      `json:"kind"`
	Change  []byte    `json:"change"` // JSON
	AskedBy string    `json:"asked_by"`
	AskedAt time.Time `json:"asked_at"`
	Until   time.Time `json:"until"`
	UID     string    `json:"uid,omitempty"` // whom it concerns
	At      string    `json:"at,omitempty"`  // the organisation
	State   string    `json:"state"`
	By      string    `json:"by,omitempty"` // who decided
	Reason  string    `json:"reason,omitempty"`
}

// The states of a request. One that waits for too long stays in its state.
const (
	Waiting   = "waiting"
	Approved  = "approved"
	Declined  = "refused"
	Withdrawn = "withdrawn"
)

// Keeper keeps records. It is the registry in a database, or in memory.
type Keeper interface {
	// Change reads what t names as it is now, keeps everybody else from
	// changing it, has decide change it, and writes what is different with the
	// act that decide returns: all in one transaction, or nothing. It returns
	// the error of decide as it is. idp.ErrTaken is of a uid, a position, a
	// card, an e-mail, a client or a code that is somebody's or was: two who
	// add the same at once are told apart by it. A change that leaves everything
	// as it was is written to the journal nonetheless, if decide returns an act
	// with an event.
	Change(ctx context.Context, t Touch, decide func(r *Records) (idp.Act, error)) error

	// Records reads the same, and keeps nothing from anybody.
	Records(ctx context.Context, t Touch) (Records, error)
}
