package idp

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Event is one thing that happened and must be provable later. It holds
// nothing secret.
type Event struct {
	At            time.Time `json:"at"`
	Kind          Kind      `json:"kind"`
	Request       string    `json:"request"` // the request ID that people read out
	Subject       string    `json:"subject,omitempty"`
	Client        string    `json:"client,omitempty"`
	Audience      string    `json:"audience,omitempty"` // the client that a token is for, where that is another
	Session       string    `json:"session,omitempty"`
	Family        string    `json:"family,omitempty"`
	Method        string    `json:"method,omitempty"`
	Level         int       `json:"level,omitempty"`
	ACR           ACR       `json:"acr,omitempty"`
	Authenticator string    `json:"authenticator,omitempty"`
	Role          string    `json:"role,omitempty"`
	Reason        string    `json:"reason,omitempty"` // of a refusal
	Flag          string    `json:"flag,omitempty"`   // of evidence: what was not as it should be

	// Of what is changed in the registry: who did it, with whose approval, and
	// at which organisation. The subject is whom it concerns.
	Actor        string `json:"actor,omitempty"` // a uid, or the name of an operator's host
	Approver     string `json:"approver,omitempty"`
	Organisation string `json:"organisation,omitempty"` // its code

	Robot bool `json:"robot,omitempty"` // the subject is a program's profile

	// Use is written down at the authenticator in the transaction of the event,
	// and is no part of what is recorded.
	Use *authenticators.Use `json:"-"`

	// Tell is written down likewise: a client that is told when a session ends.
	Tell *Watch `json:"-"`
}

// knownRefusal is a refusal of an authenticator that is somebody's.
type knownRefusal interface {
	error
	Subject() string // uid
	Authenticator() string
}

// RefusalOf returns e with whose authenticator was refused, where who refused it
// knows, so that it is found among what happened to them. It does not say that it
// was they who tried.
func (e Event) RefusalOf(reason error) Event {
	if known, ok := errors.AsType[knownRefusal](reason); ok {
		e.Subject, e.Authenticator = known.Subject(), known.Authenticator()
	}
	return e
}

// Reference is what people read out of a request ID: its first eight letters
// and digits. What somebody heard over the telephone may go through it too.
func Reference(request string) string {
	const length = 8
	text := heard.Replace(strings.ToUpper(request))
	return text[:min(len(text), length)]
}

// heard makes of what was heard what was meant: request IDs have no I, L and O.
var heard = strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1")

// Asked says whether people ask for e, by its reference or its people. What
// every sign-in leaves nobody asks for so: to find it would cost every sign-in.
func (e Event) Asked() bool {
	switch e.Kind {
	case SignedIn, RoleChosen, TokenIssued, TokenExchanged, TokenRefreshed, TokenInspected:
		return false
	default:
		return true
	}
}

// Kind says what happened.
type Kind string

// The kinds of events.
const (
	SignedIn    Kind = "signed_in"
	SignInNo    Kind = "sign_in_refused"
	RoleChosen  Kind = "role_chosen"
	TokenIssued Kind = "token_issued"
	CodeReused  Kind = "code_reused"

	TokenExchanged Kind = "token_exchanged"
	TokenRefreshed Kind = "token_refreshed"
	RefreshReused  Kind = "refresh_reused"
	TokenRevoked   Kind = "token_revoked"
	TokenInspected Kind = "token_inspected" // by a client that proves itself with an assertion, which is good for once

	// What people change of what they sign in with, and what they end.
	AuthenticatorAdded     Kind = "authenticator_added"
	AuthenticatorRenamed   Kind = "authenticator_renamed"
	AuthenticatorRemoved   Kind = "authenticator_removed"
	AuthenticatorSuspended Kind = "authenticator_suspended"
	PasswordChanged        Kind = "password_changed"
	EmailChanged           Kind = "email_changed"
	SessionEnded           Kind = "session_ended"
	SignedOutAll           Kind = "signed_out_everywhere"
	MailCodeSent           Kind = "mail_code_sent" // why is in Reason
	MailCodeNone           Kind = "mail_code_none" // who asked for one may have none, and is not told so

	// What the service does by itself with what people sign in with.
	KeysRechecked        Kind = "keys_rechecked"        // the night is in Reason
	AuthenticatorLowered Kind = "authenticator_lowered" // to what is in Method and Level
	MailFailed           Kind = "mail_failed"           // which, and why, is in Reason
	DigestsSent          Kind = "digests_sent"          // of worklists; the day, and to how many, is in Reason
	LogoutFailed         Kind = "logout_failed"         // a client could not be told that a session ended; why is in Reason

	// What an operator did on the server's host, before anybody could sign in.
	Bootstrapped Kind = "bootstrapped"
	BootstrapNo  Kind = "bootstrap_refused"

	// What the journal tells of itself: events that it had acknowledged are
	// gone, and a new chain begins.
	JournalLost Kind = "journal_lost"
)

// Fence is a fact that may become true only once, wherever and however often
// it is tried. Fences outlast whatever Redis forgets.
type Fence struct {
	Kind string // one of the kinds below
	Hash string // base64url SHA-256 of the value, or a name that is no secret
}

// The kinds of fences: what may be used once, and what has ended for good.
const (
	CodeFence      = "code"
	ChallengeFence = "challenge"
	AssertionFence = "assertion"
	LoginFence     = "login"   // a login makes one session
	SessionFence   = "session" // by the session's key
	FamilyFence    = "family"  // by the family's name
	SIDFence       = "sid"     // by the name that clients know a session by: what came of it has ended too
	RefreshFence   = "refresh"
	SSOFence       = "sso"     // of a session of the old service, for one client and purpose
	RecheckFence   = "recheck" // all keys are judged once a night
	DigestFence    = "digest"  // the registration authority is told of its worklists once a day
	RepeatFence    = "repeat"  // a change that its caller has named is made once
)

// Ends says whether f tells that something has ended. That may be told again:
// raising such a fence where it stands is no error.
func (f Fence) Ends() bool {
	return f.Kind == SessionFence || f.Kind == FamilyFence || f.Kind == SIDFence
}

// FenceLife is how long a fence stands. What it guards is worth nothing after a
// session's longest life, 12 hours, so nothing can get past it.
const FenceLife = 13 * time.Hour

// Used is ErrUsed with the fence that stood already.
type Used struct{ Fence Fence }

// Error returns the reason.
func (u Used) Error() string { return u.Fence.Kind + ": " + ErrUsed.Error() }

// Is makes every Used an ErrUsed.
func (u Used) Is(target error) bool { return target == ErrUsed }

// Journal records what happened.
type Journal interface {
	// Record appends e, and raises the fences in the same transaction. If
	// one that does not tell of an end stood already, nothing is recorded and
	// the error is a Used that names the first. With e.Use the authenticator
	// was used at e.At: if that does not count any more nothing is recorded
	// either, and the error is ErrUsed. With e.Tell its client is told when its
	// session ends; where a SIDFence is raised, all that wait for that are.
	Record(ctx context.Context, e Event, fences ...Fence) error
}

// Fences tells what has ended, whatever Redis says. It is asked on the way of
// every request, so it answers from memory where it can.
type Fences interface {
	// Stands says whether f, which tells of an end, was raised. Where it
	// cannot be sure it is ErrUnavailable.
	Stands(ctx context.Context, f Fence) (bool, error)
}
