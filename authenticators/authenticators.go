// Package authenticators is the face every way of signing in must show.
//
// A room proves who someone is and nothing more: it knows no OAuth, no session
// and no HTTP. To add one, make a folder, implement Room, pass package
// contract, and add one line to cmd/lanyard/wire.go.
package authenticators

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Room is one way of signing in.
type Room interface {
	// Begin returns the question to put to the browser. The answer must come
	// back for the same login.
	Begin(ctx context.Context, login Login) (json.RawMessage, error)

	// Finish judges the answer. It consumes the question whatever the
	// outcome, so a wrong answer cannot be tried again.
	Finish(ctx context.Context, login Login, answer json.RawMessage) (Evidence, error)
}

// Login is what a room may know of the login that a question belongs to.
type Login struct {
	ID         string // names the login; an answer for another one is refused
	Browser    string // base64url SHA-256 of the secret that only the browser which began has
	ClientID   string // the application that asks
	ClientName string // its name, for people
	Language   string // in which the person is spoken to; empty: not known
	Former     Former // which session of the old service would do
}

// Former says which session that a card opened at the old service is taken for a
// sign-in, without the card's being shown once more.
type Former struct {
	Since   time.Time `json:"since,omitzero"`    // its person signed in there at this time or later; zero: none is taken
	Subject string    `json:"subject,omitempty"` // the person's uid; empty: whoever it is
	Only    bool      `json:"only,omitempty"`    // nothing else of a card is taken: to show it here is to no purpose
}

// ErrFormerOver says that no application takes the session of the old service that
// was shown, nor will one. It is an ErrAnswer.
var ErrFormerOver = fmt.Errorf("%w: the session of the old service is over", ErrAnswer)

// OfFormer is why a session of the old service was not taken that is there, and
// which one it is, for the log.
type OfFormer struct {
	Err                  error
	SID, Subject, Device string
}

// Error is the reason.
func (o OfFormer) Error() string { return o.Err.Error() }

// Unwrap returns the reason.
func (o OfFormer) Unwrap() error { return o.Err }

// Evidence is what a room learned: who, how, how surely, and when.
type Evidence struct {
	Subject       string    // the person's uid
	Method        Method    // how, as amr says it
	Level         Level     // how surely
	At            time.Time // when the proof was made
	Authenticator string    // which card or credential, for the audit
	Ends          time.Time // when the authenticator ends; zero: not known
	EndsWith      string    // what takes it along at Ends: WithSeries; empty: it ends by itself
	Once          string    // base64url SHA-256 of the question: true of one sign-in only
	Flag          string    // what the audit must say of it, in one word; empty: nothing
	Session       string    // the key of the session of the old service that it comes of, with which ends what comes of it; empty: of none
	Departures    int64     // how many people had signed out when the question was put, where a room needs to know; 0 from all others
	Key           string    // the thumbprint of the agent's key that a card signed at the gateway of the old service; empty: none
	Use           *Use      // what it leaves at the authenticator; nil for cards, which the registry does not count
}

// WithSeries says that an authenticator ends with the whole series it is of.
const WithSeries = "series"

// Level is an authenticator assurance level of NIST SP 800-63B, 1 to 3.
type Level int

// The levels that an authenticator can give.
const (
	AAL1 Level = 1
	AAL2 Level = 2
	AAL3 Level = 3
)

// Method names a way of signing in by the value that the amr claim gives it.
type Method string

// The methods, with the values that CIS2 applications expect.
const (
	Smartcard       Method = "CIS2_SMARTCARD" // a card at the desk agent
	LegacySmartcard Method = "N3_SMARTCARD"   // a card at the legacy gateway
	FIDO2           Method = "FIDO2"          // device-bound key with a trusted attestation
	Apple           Method = "IOS"            // the same, attested by Apple
	Passkey         Method = "PASSKEY"        // synced, or without a trusted attestation
	TOTP            Method = "TOTP"           // password and one-time code
	Federated       Method = "NHSMAIL"        // the organisation's own provider
)

// ErrRefused is what errors.Is finds in every refusal of a room. An outage is
// never a refusal: whoever sees one may try again.
var ErrRefused = errors.New("refused")

// Refusal is a refusal with its reason. Its text names the reason and never
// holds a part of the answer.
type Refusal string

// Error returns the reason.
func (r Refusal) Error() string { return string(r) }

// Is makes every Refusal an ErrRefused.
func (r Refusal) Is(target error) bool { return target == ErrRefused }

// ErrBusy says that a room has more to do than it can: try again later. It is
// no refusal, and no try was counted.
var ErrBusy = errors.New("too many wait to be judged")

// ErrAnswer refuses an answer that does not fit its question, belongs to
// another login, comes a second time or comes too late. One reason for all, so
// a thief learns nothing.
const ErrAnswer Refusal = "the answer does not fit an open question of this login"
