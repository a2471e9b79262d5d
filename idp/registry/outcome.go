package registry

import (
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// The kinds of changes, as the journal has them. Those that people also make
// for themselves are in package idp.
const (
	PersonAdded         Kind = "person_added"
	PersonChanged       Kind = "person_changed"
	PersonVerified      Kind = "person_verified"
	PersonRestricted    Kind = "person_restricted"
	PersonClosed        Kind = "person_closed"
	PersonReopened      Kind = "person_reopened"
	PeopleMerged        Kind = "people_merged"
	RobotAdded          Kind = "robot_added"
	RobotChanged        Kind = "robot_changed"
	OrganisationAdded   Kind = "organisation_added"
	OrganisationChanged Kind = "organisation_changed"
	OrganisationClosed  Kind = "organisation_closed"
	OrganisationsMerged Kind = "organisations_merged"
	PositionsMoved      Kind = "positions_moved"
	PositionAssigned    Kind = "position_assigned"
	PositionChanged     Kind = "position_changed"
	PositionEnded       Kind = "position_ended"
	PersonLeft          Kind = "person_left"
	TemporaryGranted    Kind = "temporary_granted"
	CardIssued          Kind = "card_issued"
	CardSuspended       Kind = "card_suspended"
	CardResumed         Kind = "card_resumed"
	CardRevoked         Kind = "card_revoked"
	CardReplaced        Kind = "card_replaced"
	CertificateIssued   Kind = "certificate_issued"
	CertificateRecorded Kind = "certificate_recorded"
	AuthenticatorBack   Kind = "authenticator_resumed"
	AuthenticatorCode   Kind = "authenticator_invited"
	LockLifted          Kind = "lock_lifted"
	SeriesRuleSet       Kind = "series_rule_set"
	AgentRuleSet        Kind = "agent_rule_set"
	ClientAdded         Kind = "client_added"
	ClientChanged       Kind = "client_changed"
	ClientRemoved       Kind = "client_removed"
	DocumentApplied     Kind = "document_applied"
	ApplicantInvited    Kind = "applicant_invited"
	ApplicantAccepted   Kind = "applicant_accepted"
	ApplicantRefused    Kind = "applicant_refused"

	// ApplicantApplied is what somebody does who was invited: they have no right
	// to anything, and need none.
	ApplicantApplied Kind = "applicant_applied"

	// What becomes of a request that needs a second person; when it is approved
	// the journal has the change itself, with its approver.
	ChangeRequested Kind = "change_requested"
	ChangeRefused   Kind = "change_refused"
	ChangeWithdrawn Kind = "change_withdrawn"

	// ChangeNo is an attempt at what somebody has no right to.
	ChangeNo Kind = "change_not_permitted"
)

// Done is what came of a change.
type Done struct {
	ID       string    `json:"id,omitempty"`      // of what was made: a uid, a position, a card, a code
	IDs      []string  `json:"ids,omitempty"`     // where several were made
	Request  string    `json:"request,omitempty"` // it waits for a second person under this id
	Person   *Person   `json:"-"`                 // as they are now
	Warnings []Warning `json:"warnings,omitempty"`

	// Secret is shown to the actor this once: the code of an invitation, or the
	// secret of an application.
	Secret string    `json:"secret,omitempty"`
	Until  time.Time `json:"until,omitzero"` // until when the code of an invitation works

	Certificate string `json:"certificate,omitempty"` // that was issued, in PEM

	Told *int `json:"told,omitempty"` // of a notice: how many

	// Differences are what a document changed.
	Differences []directory.Difference `json:"differences,omitempty"`
}

// Preview is what a change would do.
type Preview struct {
	Kind        Kind                   `json:"kind"`
	Second      []Authority            `json:"second,omitempty"` // whose approval it would wait for
	Warnings    []Warning              `json:"warnings,omitempty"`
	Confirm     bool                   `json:"confirm,omitempty"` // a warning has to be confirmed
	Differences []directory.Difference `json:"differences,omitempty"`
	Told        *int                   `json:"told,omitempty"` // of a notice: how many
}

// Explanation says who may make a change, and why an actor may not.
type Explanation struct {
	Kind    Kind        `json:"kind"`
	May     []Grant     `json:"may"`            // the row of the table, after the policy
	Holds   []Held      `json:"holds"`          // what the actor holds
	Allowed bool        `json:"allowed"`        // by the actor, as they are signed in now
	Second  []Authority `json:"second"`         // whose approval it then waits for
	Why     idp.Refusal `json:"why,omitempty"`  // it is not allowed
	Needs   []string    `json:"need,omitempty"` // codes of organisations at or above which the authority has to be held
}
