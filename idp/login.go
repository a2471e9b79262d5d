package idp

import (
	"context"
	"time"
)

// LoginLife is how long a person may take to sign in.
const LoginLife = 330 * time.Second

// Login is one authorization request on its way to a code: what was asked, and
// what has been decided since. What was asked never changes.
type Login struct {
	ID      string `json:"id"`      // 256 random bits, base64url
	Browser string `json:"browser"` // base64url SHA-256 of the secret in the cookie of the browser that began

	ClientID     string         `json:"client_id"`
	RedirectURI  string         `json:"redirect_uri"`
	ResponseMode string         `json:"response_mode,omitempty"` // query or form_post
	State        string         `json:"state,omitempty"`
	Nonce        string         `json:"nonce,omitempty"`
	Scopes       []string       `json:"scopes"`
	Asked        Asked          `json:"asked,omitzero"`      // cut down to what the client may learn
	Challenge    string         `json:"challenge,omitempty"` // RFC 7636, S256; empty if the client sent none
	Wants        []ACR          `json:"wants"`               // in the client's order, cut down to what it may ask
	Hint         string         `json:"hint,omitempty"`      // the uid of login_hint, id_token_hint or the sub of claims
	Only         bool           `json:"only,omitempty"`      // nobody but Hint may be the answer: the last two
	MaxAge       *time.Duration `json:"max_age,omitempty"`
	Silent       bool           `json:"silent,omitempty"` // prompt=none
	Fresh        bool           `json:"fresh,omitempty"`  // prompt=login
	Card         bool           `json:"card,omitempty"`   // a session of the old service will not do, however new: whoever changes an account shows what they hold
	Locale       string         `json:"locale,omitempty"` // of ui_locales, the first language that pages have
	StartedAt    time.Time      `json:"started_at"`

	Told    bool    `json:"told,omitempty"`    // the person has read that their authenticator ends soon
	Role    string  `json:"role,omitempty"`    // the position chosen for this login
	Refused Refusal `json:"refused,omitempty"` // why the client is told no
}

// Expires returns when l is over.
func (l Login) Expires() time.Time { return l.StartedAt.Add(LoginLife) }

// asksRole says whether the request asks for a role, and whether it must be
// chosen anew (changedrole).
func (l Login) asksRole() (asks, anew bool) {
	for _, s := range l.Scopes {
		asks = asks || s == "selectedrole" || s == "changedrole"
		anew = anew || s == "changedrole"
	}
	return asks, anew
}

// LoginStore keeps logins in progress.
type LoginStore interface {
	// AddLogin keeps l until it expires.
	AddLogin(ctx context.Context, l Login) error

	// Login returns the login called id, or ErrLoginGone.
	Login(ctx context.Context, id string, now time.Time) (Login, error)

	// UpdateLogin replaces l in one atomic step, and is ErrLoginGone if it
	// was taken, or refused while l was not: neither must come undone.
	UpdateLogin(ctx context.Context, l Login) error

	// TakeLogin ends the login: the first caller gets it, and everybody after
	// ErrLoginGone. It must decide in one atomic step.
	TakeLogin(ctx context.Context, id string, now time.Time) (Login, error)
}

// Standing reads what nearly every step of a login begins with.
type Standing interface {
	// Standing returns in one round trip the login called id, or ErrLoginGone,
	// and the session with that key: nil if there is none, or key is "". An
	// error that comes with a login is of the session alone.
	Standing(ctx context.Context, id, key string, now time.Time) (Login, *Session, error)
}

// Step is what has to happen next in a login.
type Step int

// The steps. After every one Next is asked again.
const (
	Authenticate Step = iota // somebody must prove who they are
	ReadNotice               // the person is told that what they sign in with ends soon
	ChooseRole               // the person must say which role they work in
	Return                   // the client gets its answer
)

// Next is the one place that decides what happens next in a login: v says what
// was asked and who is there, but for Step and Err, which are its answer.
func Next(v View, now time.Time) (Step, error) {
	if v.Login.Refused != "" {
		return Return, v.Login.Refused
	}
	step, err := next(v, now)
	if err != nil || !v.Login.Silent || step == Return {
		return step, err
	}
	// OIDC Core §3.1.2.1: with prompt=none no page may be shown, so the
	// client is told what page there would have been.
	if step == Authenticate {
		return step, ErrLoginRequired
	}
	return step, ErrInteraction
}

func next(v View, now time.Time) (Step, error) {
	l, s, role := v.Login, v.Session, v.Role
	switch {
	case s == nil, !s.Live(now):
		return Authenticate, nil
	case s.Login != l.ID && l.wantsAnother(*s, now):
		return Authenticate, nil
	case l.Only && l.Hint != s.Subject:
		return Return, ErrOtherPerson
	case !v.Client.met(l, s):
		return Authenticate, nil
	case v.Off && s.Of != "": // whichever application's request opened the browser's session
		return Authenticate, nil
	case role.Err != nil && s.Login != l.ID && !l.Silent:
		return Authenticate, nil // at a shared desk somebody else may sign in
	case role.Err != nil:
		return Return, role.Err
	case v.Tell:
		return ReadNotice, nil
	case role.Ask:
		return ChooseRole, nil
	}
	return Return, nil
}

// wantsAnother says whether l needs a sign-in of its own although session s,
// which an earlier login made, is live. OIDC Core §3.1.2.1: prompt=login,
// max_age, of which 0 is prompt=login however fast the request comes, and
// login_hint when it names somebody else. Card is a rule of our own.
func (l Login) wantsAnother(s Session, now time.Time) bool {
	return l.Fresh || l.Card && s.Of != "" ||
		l.MaxAge != nil && (*l.MaxAge == 0 || now.Sub(s.AuthTime) > *l.MaxAge) ||
		l.Hint != "" && l.Hint != s.Subject
}
