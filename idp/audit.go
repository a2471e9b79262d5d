package idp

import (
	"context"
	"time"
)

// Event is one thing that happened and must be provable later. It holds
// nothing secret.
type Event struct {
	At            time.Time `json:"at"`
	Kind          Kind      `json:"kind"`
	Request       string    `json:"request"` // the request ID that people read out
	Subject       string    `json:"subject,omitempty"`
	Client        string    `json:"client,omitempty"`
	Session       string    `json:"session,omitempty"`
	Family        string    `json:"family,omitempty"`
	Method        string    `json:"method,omitempty"`
	Level         int       `json:"level,omitempty"`
	ACR           ACR       `json:"acr,omitempty"`
	Authenticator string    `json:"authenticator,omitempty"`
	Role          string    `json:"role,omitempty"`
	Reason        string    `json:"reason,omitempty"` // of a refusal
	Flag          string    `json:"flag,omitempty"`   // of evidence: what was not as it should be
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
)

// Fence is a fact that may become true only once, wherever and however often
// it is tried.
type Fence struct {
	Kind string // "code", "challenge"
	Hash string // base64url SHA-256 of the value
}

// Used is ErrUsed with the fence that stood already.
type Used struct{ Fence Fence }

// Error returns the reason.
func (u Used) Error() string { return u.Fence.Kind + ": " + ErrUsed.Error() }

// Is makes every Used an ErrUsed.
func (u Used) Is(target error) bool { return target == ErrUsed }

// Journal records what happened.
type Journal interface {
	// Record appends e, and raises the fences in the same transaction. If
	// one stood already, nothing is recorded and the error is a Used that
	// names the first.
	Record(ctx context.Context, e Event, fences ...Fence) error
}
