package registry

import (
	"encoding/json"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// What the API shows. Nothing here opens anything: no passcode of a card, no
// record of an authenticator, no secret of an application.

// page is a part of a list. Next is the cursor of the part after it.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// person is somebody with all that is asked of them often.
type person struct {
	UID               string                `json:"uid"`
	Name              registry.PersonName   `json:"name"`
	Email             string                `json:"email,omitempty"`
	Mobile            string                `json:"mobile,omitempty"`
	NINumberKnown     bool                  `json:"ni_number_known"` // the number itself is shown to nobody
	Profile           idp.Profile           `json:"profile"`
	IdentityAssurance int                   `json:"identity_assurance"`
	Robot             robot                 `json:"robot,omitzero"`
	MergedInto        string                `json:"merged_into,omitempty"`
	Professional      registry.Professional `json:"professional,omitzero"`
	Positions         []position            `json:"positions"`
	Cards             []card                `json:"cards"`
	Authenticators    []authenticator       `json:"authenticators"`
	Authorities       []registry.Held       `json:"authorities"` // in the registration authority, today
	AddedAt           time.Time             `json:"added_at,omitzero"`
	SignedOutAt       time.Time             `json:"signed_out_at,omitzero"`
}

type robot struct {
	Owner string   `json:"owner"`
	Until idp.Date `json:"until,omitempty"`
}

type position struct {
	ID               string           `json:"id"`
	Organisation     string           `json:"organisation"`
	OrganisationName string           `json:"organisation_name,omitempty"`
	RoleCode         string           `json:"role_code"`
	RoleName         string           `json:"role_name,omitempty"`
	Activities       []registry.Coded `json:"activities"`
	AreasOfWork      []registry.Coded `json:"areas_of_work"`
	Workgroups       []registry.Coded `json:"workgroups"`
	From             idp.Date         `json:"from,omitempty"`
	To               idp.Date         `json:"to,omitempty"`
	Reason           string           `json:"reason,omitempty"` // of work for a time
	Current          bool             `json:"current"`
}

type card struct {
	Serial string              `json:"serial"`
	Series int                 `json:"series"`
	State  directory.CardState `json:"state"`
	EndsOn idp.Date            `json:"ends_on,omitempty"`

	Certified bool      `json:"certified"` // its certificate is known
	AddedAt   time.Time `json:"added_at,omitzero"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`
	UsedAt    time.Time `json:"used_at,omitzero"` // it may be a minute behind
}

// certificate is that of a card.
type certificate struct {
	Serial      string `json:"serial"`
	UID         string `json:"uid"`
	Issuer      string `json:"issuer"` // upper-case hex SHA-256 of the authority's public key
	Certificate string `json:"certificate"`
}

type authenticator struct {
	ID          string                `json:"id"`
	Kind        authenticators.Kind   `json:"kind"`
	Name        string                `json:"name,omitempty"`
	Model       string                `json:"model,omitempty"`
	Method      authenticators.Method `json:"method"`
	Level       int                   `json:"level"`
	State       authenticators.State  `json:"state"`
	SelfClaimed bool                  `json:"self_claimed"`
	AddedAt     time.Time             `json:"added_at,omitzero"`
	UsedAt      time.Time             `json:"used_at,omitzero"`
}

type session struct {
	SID      string                `json:"sid"`
	Method   authenticators.Method `json:"method"`
	Level    int                   `json:"level"`
	AuthTime time.Time             `json:"auth_time"`
	LastAct  time.Time             `json:"last_act"`
	Expires  time.Time             `json:"expires"`
	Clients  []string              `json:"clients"`
}

type organisation struct {
	Code      string   `json:"code"`
	Name      string   `json:"name"`
	Parent    string   `json:"parent,omitempty"`
	ClosedOn  idp.Date `json:"closed_on,omitempty"`
	Successor string   `json:"successor,omitempty"`
}

// request is a change that waits, or waited, for a second person.
type request struct {
	ID      string          `json:"id"`
	Kind    registry.Kind   `json:"kind"`
	Change  json.RawMessage `json:"change"`
	AskedBy string          `json:"asked_by"`
	AskedAt time.Time       `json:"asked_at"`
	Until   time.Time       `json:"until"`
	UID     string          `json:"uid,omitempty"`
	At      string          `json:"at,omitempty"`
	State   string          `json:"state"`
	By      string          `json:"by,omitempty"`
	Reason  string          `json:"reason,omitempty"`
}

// application is a client in the list of them.
type application struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	AuthMethod idp.AuthMethod `json:"auth_method"`
	Scopes     []string       `json:"scopes"`
	MinLevel   int            `json:"min_level"`
}

type policy struct {
	CardSeries []seriesRule `json:"card_series"`
	Agents     []agentRule  `json:"agents"`
	WarnDays   []int        `json:"warn_days"`
}

type seriesRule struct {
	Series        int      `json:"series"`
	BlockedFrom   idp.Date `json:"blocked_from,omitempty"`
	LegacyGateway bool     `json:"legacy_gateway"`
}

type agentRule struct {
	Product     string   `json:"product"`
	Except      string   `json:"except,omitempty"`
	Below       string   `json:"below,omitempty"`
	BlockedFrom idp.Date `json:"blocked_from,omitempty"`
}

// permission is a row of the table of who may do what.
type permission struct {
	Kind registry.Kind    `json:"kind"`
	May  []registry.Grant `json:"may"`
}

// caller is who asks, as the service sees them.
type caller struct {
	UID      string          `json:"uid,omitempty"`
	Display  string          `json:"display,omitempty"`
	Host     string          `json:"host,omitempty"` // of the operator
	Level    int             `json:"level,omitempty"`
	AuthTime time.Time       `json:"auth_time,omitzero"`
	Expires  time.Time       `json:"expires,omitzero"`
	Holds    []registry.Held `json:"holds"`
}

// happened is an event that a reference leads to, with what to tell who reads
// it out.
type happened struct {
	idp.Event
	Code   string `json:"code,omitempty"`
	Cause  string `json:"cause,omitempty"`
	Remedy string `json:"remedy,omitempty"`
}

// explanation is why somebody may not, or that they may.
type explanation struct {
	registry.Explanation
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// question asks who may make a change.
type question struct {
	Kind   registry.Kind   `json:"kind"`
	Change json.RawMessage `json:"change"`
}

// reason is what somebody says of a decision.
type reason struct {
	Reason string `json:"reason,omitempty"`
}

// written is a directory document.
type written struct {
	Document string `json:"document"` // YAML
}
