package idp

// Refusal is a decision that somebody outside is told about. It is text, so
// that a login can carry it to where the client is told, and its text is for
// the log: what people and clients read is written in api/errors.go and
// idp/provider/errors.go.
type Refusal string

// Error returns the reason.
func (r Refusal) Error() string { return string(r) }

// Refusals that callers act on.
const (
	ErrNotFound      Refusal = "not found"
	ErrTaken         Refusal = "that belongs to somebody already"
	ErrClientUnknown Refusal = "the client is not registered"
	ErrRequest       Refusal = "the request cannot be read"
	ErrRedirect      Refusal = "the redirect URI is not registered"
	ErrScope         Refusal = "a scope is missing or not allowed"

	// ErrUnavailable is of a store that does not answer. Stores wrap it around
	// the cause.
	ErrUnavailable Refusal = "something that this server stands on does not answer"

	// ErrLimited and ErrLocked are of too many wrong tries. Limited says how
	// long to wait; what is locked somebody must clear.
	ErrLimited Refusal = "too many tries"
	ErrLocked  Refusal = "too many wrong tries in a row"

	// A login that cannot go on.
	ErrLoginGone     Refusal = "the login is over or too old"
	ErrOtherBrowser  Refusal = "the login was begun in another browser"
	ErrCancelled     Refusal = "the person stopped signing in"
	ErrLoginRequired Refusal = "a person must sign in"                              // OIDC Core §3.1.2.6
	ErrInteraction   Refusal = "a page must be shown"                               // OIDC Core §3.1.2.6
	ErrUnmet         Refusal = "no requested acr can be met"                        // OIDC unmet_authentication_requirements §3
	ErrOtherPerson   Refusal = "another person signed in than the client asked for" // OIDC Core §3.1.2.1, id_token_hint
	ErrAuthenticator Refusal = "the authenticator was refused"

	// A person who may not use the application.
	ErrProfileUnverified Refusal = "the profile is unverified"
	ErrProfileRestricted Refusal = "the profile is restricted"
	ErrProfileClosed     Refusal = "the profile is closed"
	ErrNoRole            Refusal = "the person has no role"
	ErrRole              Refusal = "the role is not one of the person's"

	// A code or a token that is worth nothing.
	ErrCode  Refusal = "the code is unknown, too old or of another client" // RFC 6749 §5.2
	ErrUsed  Refusal = "this was used before"
	ErrToken Refusal = "the access token is unknown, too old or revoked" // RFC 6750 §3.1

	ErrSubject   Refusal = "the subject token is unknown, too old, revoked or another client's" // RFC 8693 §2.2.2
	ErrTarget    Refusal = "no token is given to this client for that audience"                 // RFC 8693 §2.2.2
	ErrSSOClient Refusal = "the client may not exchange SSO tokens"                             // RFC 6749 §5.2
	ErrTooMuch   Refusal = "a scope is more than the subject token, the client or the audience has"

	ErrNotYours Refusal = "the token is another client's"                                       // RFC 7009 §2.1
	ErrRefresh  Refusal = "the refresh token is unknown, too old, revoked or of another client" // RFC 6749 §5.2
)
