package idp

import (
	"context"
	"slices"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// How long what a login gives lives. CIS2 gives an hour; RFC 6749 §4.1.2 wants
// codes short.
const (
	CodeLife  = 60 * time.Second
	TokenLife = time.Hour
)

// Grant is what a person allowed a client by signing in: everything that its
// tokens say, decided once.
type Grant struct {
	Family      string                `json:"family"` // names the code and every token that comes of it
	ClientID    string                `json:"client_id"`
	Audience    string                `json:"audience,omitempty"` // the client that it is for, where that is another
	Lender      string                `json:"lender,omitempty"`   // the client that was given the family, where that is another
	Through     []string              `json:"through,omitempty"`  // the clients between that one and this
	RedirectURI string                `json:"redirect_uri"`
	Challenge   string                `json:"challenge,omitempty"` // RFC 7636
	Nonce       string                `json:"nonce,omitempty"`
	Scopes      []string              `json:"scopes"`
	Asked       Asked                 `json:"asked,omitzero"`
	Subject     string                `json:"subject"`
	SessionID   string                `json:"sid"`
	SessionKey  string                `json:"session_key,omitempty"` // the Key of the session, of which a fence may tell that it ended; "" from an older release
	ACR         ACR                   `json:"acr"`
	Method      authenticators.Method `json:"method"`
	Level       authenticators.Level  `json:"level"`
	AuthTime    time.Time             `json:"auth_time"`
	Role        string                `json:"role,omitempty"`

	Authenticator string `json:"authenticator,omitempty"` // of the session

	// Of is the key of the session of the old service that it came of; "" of none.
	Of string `json:"of,omitempty"`

	// Until is when all that comes of it ends at the latest: of a session of the
	// old service nothing lives longer than that would have. Zero: no such end.
	Until time.Time `json:"until,omitzero"`
}

// TokenEnd returns when a token of g ends that begins at now.
func (g Grant) TokenEnd(now time.Time) time.Time {
	if end := now.Add(TokenLife); g.Until.IsZero() || end.Before(g.Until) {
		return end
	}
	return g.Until
}

// For is the client that looks at the tokens of g.
func (g Grant) For() string {
	if g.Audience != "" {
		return g.Audience
	}
	return g.ClientID
}

// hands are the clients that g went through, from the one that was given the
// family to its own.
func (g Grant) hands() []string {
	if g.Lender == "" {
		return []string{g.ClientID}
	}
	return append(append([]string{g.Lender}, g.Through...), g.ClientID)
}

// handed gives next the hands of g, of which it came. Whoever had it before has
// it as they had it then.
func (g Grant) handed(next Grant) Grant {
	hands := g.hands()
	if i := slices.Index(hands, next.ClientID); i >= 0 {
		hands = hands[:i]
	}
	if len(hands) > 0 {
		next.Lender, next.Through = hands[0], hands[1:]
	}
	return next
}

// NewID returns a name for one ID token of g, by which its family is known.
func (g Grant) NewID() string { return newInFamily(g.Family) }

// Redemption is what a client shows to turn a code into tokens.
type Redemption struct {
	Code        string
	ClientID    string
	RedirectURI string
	Verifier    string // RFC 7636 §4.1; empty if the client sent none
	Renews      bool   // the client may refresh
	Exchanges   bool   // the client may exchange its ID tokens: what they came of is kept
	Next        Issued // what it will get
}

// Codes is what the token endpoint asks of storage, and no more.
type Codes interface {
	// SaveCode records code, which stands for g until expires.
	SaveCode(ctx context.Context, code string, g Grant, expires time.Time) error

	// EndLogin is TakeLogin of a LoginStore and SaveCode in one round trip. The
	// code may have been saved although the login was gone: who calls gives it
	// to nobody then.
	EndLogin(ctx context.Context, id string, now time.Time, code string, g Grant, expires time.Time) (Login, error)

	// RedeemCode returns the grant the first time and lets r.Next stand for it,
	// the access token until tokenExpires and the refresh token, if there is
	// one, for RefreshLife. It compares first: another client, redirect or
	// verifier gets ErrCode, and the code stays. A second use gets ErrUsed,
	// with the grant that it was, and ends the whole family (RFC 6749
	// §4.1.2). It must decide in one atomic step: two servers may ask at the
	// same instant.
	RedeemCode(ctx context.Context, r Redemption, now, tokenExpires time.Time) (Grant, error)
}

// Token is what is known of a token that lives.
type Token struct {
	Grant   Grant
	Refresh bool // it is a refresh token, and opens nothing by itself
	Expires time.Time
}

// Tokens is what is asked of storage about tokens.
type Tokens interface {
	// Token returns what a token stands for, or ErrToken.
	Token(ctx context.Context, token string, now time.Time) (Token, error)

	// SaveToken lets an access token of g's family stand for g until expires.
	SaveToken(ctx context.Context, token string, g Grant, expires time.Time) error

	// Origin returns the grant that a family began with, whose client may
	// exchange or refresh what came of it, or ErrToken.
	Origin(ctx context.Context, family string, now time.Time) (Grant, error)

	// RevokeFamily ends every token of a family, and keeps those yet to come
	// from living, until expires.
	RevokeFamily(ctx context.Context, family string, expires time.Time) error
}

// Challenge returns the S256 code challenge of a verifier. RFC 7636 §4.2.
func Challenge(verifier string) string {
	return Hash(verifier)
}
