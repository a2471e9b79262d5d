package idp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Logins carries a login from the request to the code. It loads what a step
// needs, lets the pure rules decide, and writes what was decided.
type Logins struct {
	Store     LoginStore
	Sessions  SessionStore
	Standing  Standing
	Codes     Codes
	People    People
	Clients   Clients
	LastRoles LastRoles
	Notices   Notices
	Journal   Journal
	Fences    Fences
	Limits    Limits
	Ways      []Way
	Timers    map[authenticators.Level]Timers // of sessions, where they shall be shorter than LongestAt
	Now       func() time.Time

	// AtDesk lists a person's sessions, and notes who leaves them, where those of
	// the old service sign in at their desk; nil: nothing comes of them here, as where Grants has no Former.
	AtDesk DeskSessions

	// SwitchedOff says whether a client takes nothing of the old service any more,
	// nor what came of it, as Grants has it; nil: all do.
	SwitchedOff func(client string) bool
}

// View is where a login stands: what was asked, who is there, and what has to
// happen next. Err is why the login cannot go on; with it Step is the step at
// which it stopped.
type View struct {
	Login   Login
	Client  Client
	Session *Session
	Person  Person
	Role    RoleChoice
	Tell    bool // the person's authenticator ends soon, and they do not know
	Off     bool // the client takes nothing of the old service any more
	Step    Step
	Err     error
}

// Begin keeps l, unless no way to sign in that this service offers could ever
// answer it: ErrUnmet.
func (ls *Logins) Begin(ctx context.Context, l Login, c Client) error {
	if len(c.Ways(l, ls.Ways)) == 0 {
		return ErrUnmet
	}
	return ls.Store.AddLogin(ctx, l)
}

// Find returns where the login called id stands for the browser whose session
// has that key. begun says whether this browser began it: if not, what it says
// is all that is returned. An error that comes with a login has its cause in
// what stands around it, and the login's client may be told.
func (ls *Logins) Find(ctx context.Context, id, sessionKey string, begun func(Login) error) (View, error) {
	l, s, err := ls.Standing.Standing(ctx, id, sessionKey, ls.Now())
	if l.ID == "" {
		return View{}, err
	}
	if not := begun(l); not != nil {
		return View{}, not
	}
	if err != nil {
		return View{Login: l}, err
	}
	return ls.View(ctx, l, s)
}

// Look returns where l stands for the browser whose session has that key; ""
// is no session.
func (ls *Logins) Look(ctx context.Context, l Login, sessionKey string) (View, error) {
	if sessionKey == "" {
		return ls.View(ctx, l, nil)
	}
	s, err := ls.Sessions.Session(ctx, sessionKey, ls.Now())
	if errors.Is(err, ErrNotFound) {
		return ls.View(ctx, l, nil)
	}
	if err != nil {
		return View{Login: l}, err
	}
	return ls.View(ctx, l, &s)
}

// View returns where l stands for a browser with session s, as its store has
// it; nil is none.
func (ls *Logins) View(ctx context.Context, l Login, s *Session) (View, error) {
	v := View{Login: l}
	var err error
	if v.Client, err = ls.Clients.Client(ctx, l.ClientID); err != nil {
		return v, fmt.Errorf("client of login: %w", err)
	}
	v.Off = ls.off(v.Client)
	if v.Session, err = ls.unended(ctx, s); err != nil {
		return v, err
	}
	if v.Session != nil {
		if err := ls.meet(ctx, &v); err != nil {
			return v, err
		}
	}
	v.Step, v.Err = Next(v, ls.Now())
	return v, nil
}

// unended returns s, or nil if it was ended: Redis may have brought it back. So
// it was if that of the old service is over that it came of.
func (ls *Logins) unended(ctx context.Context, s *Session) (*Session, error) {
	if s == nil {
		return nil, nil //nolint:nilnil // nil is "nobody is there"
	}
	if s.Of != "" {
		of, err := ls.former(ctx, s.Of)
		if errors.Is(err, ErrNotFound) {
			return nil, nil //nolint:nilnil // likewise
		}
		if err != nil {
			return nil, err
		}
		s.Until = of.Expires()
	}
	ended, err := ls.Fences.Stands(ctx, Fence{Kind: SessionFence, Hash: s.Key})
	if err != nil {
		return nil, fmt.Errorf("fence of session: %w", err)
	}
	if ended {
		return nil, nil //nolint:nilnil // likewise
	}
	return s, nil
}

// meet fills in the person of v's session and what the role rules say of them.
func (ls *Logins) meet(ctx context.Context, v *View) error {
	p, stands, err := Stood(ctx, ls.People, v.Session.Subject, v.Session.AuthTime, ls.Now(), v.Session.Authenticator)
	if errors.Is(err, ErrNotFound) {
		v.Session = nil // nobody is there any more
		return nil
	}
	if err != nil {
		return fmt.Errorf("person of session: %w", err)
	}
	if !stands {
		v.Session = nil // it has ended, whatever Redis says
		return nil
	}
	v.Person = p
	if err := p.Admit(v.Client, ls.Now()); err != nil {
		v.Role = RoleChoice{Err: err}
		return nil
	}
	last, err := ls.LastRoles.LastRole(ctx, p.UID, v.Client.ID)
	if err != nil {
		return fmt.Errorf("last role: %w", err)
	}
	v.Role = RoleFor(v.Login, v.Client, *v.Session, p, last, ls.Now())
	v.Tell, err = ls.noticeDue(ctx, v)
	return err
}

// ChooseRole makes position role the one that login v.Login works in. It
// counts as an act of the person. It returns where the login stands then.
func (ls *Logins) ChooseRole(ctx context.Context, v View, request, role string) (View, error) {
	if v.Session == nil || v.Step == Authenticate {
		return v, ErrLoginRequired
	}
	if _, ok := v.Person.Position(role, ls.Now()); !ok {
		return v, ErrRole
	}
	l, s := v.Login, *v.Session
	l.Role, s.Role, s.LastAct = role, role, ls.Now()
	// The journal first: a role that it does not know of must not work.
	if err := ls.Journal.Record(ctx, Event{At: ls.Now(), Kind: RoleChosen, Request: request,
		Subject: s.Subject, Client: l.ClientID, Session: s.ID, Role: role}); err != nil {
		return v, fmt.Errorf("record role: %w", err)
	}
	err := ls.Sessions.UpdateSession(ctx, s)
	if errors.Is(err, ErrNotFound) {
		return v, ErrLoginRequired // it ended this instant
	}
	if err != nil {
		return v, err
	}
	if err := ls.roleAtDesk(ctx, s); err != nil {
		return v, err
	}
	if err := ls.LastRoles.SaveLastRole(ctx, s.Subject, l.ClientID, role); err != nil {
		return v, fmt.Errorf("save last role: %w", err)
	}
	if err := ls.Store.UpdateLogin(ctx, l); err != nil {
		return v, err
	}
	v.Login, v.Session = l, &s
	v.Role = RoleFor(l, v.Client, s, v.Person, "", ls.Now())
	v.Step, v.Err = Next(v, ls.Now())
	return v, nil
}

// Refuse decides that the client of l is told no, and why.
func (ls *Logins) Refuse(ctx context.Context, l Login, reason Refusal) error {
	l.Refused = reason
	return ls.Store.UpdateLogin(ctx, l)
}

// again decides once more, by the login as it was taken: another tab may have
// changed it since v was looked at.
func (v View) again(l Login, now time.Time) (View, error) {
	if v.Session != nil && v.Role.Err == nil {
		v.Role = RoleFor(l, v.Client, *v.Session, v.Person, "", now)
	}
	v.Login = l
	v.Tell = false
	v.Step, v.Err = Next(v, now)
	if v.Err == nil && v.Step != Return {
		v.Err = ErrLoginGone
	}
	return v, v.Err
}

// Finish ends a login that has come to its end, once, and returns the code
// for the client. If the login was refused it returns why.
func (ls *Logins) Finish(ctx context.Context, v View) (string, error) {
	now := ls.Now()
	code, g, no := v.grant()
	var l Login
	var err error
	if no != nil {
		l, err = ls.Store.TakeLogin(ctx, v.Login.ID, now)
	} else {
		l, err = ls.Codes.EndLogin(ctx, v.Login.ID, now, code, g, now.Add(CodeLife))
	}
	if err != nil {
		return "", err
	}
	seen := v.Role.Role
	if v, err = v.again(l, now); err != nil {
		return "", err
	}
	if no != nil || v.Role.Role != seen { // the code stands for what is not so any more
		return ls.Code(ctx, v)
	}
	return code, nil
}

// Code returns a code for the client of a login that has come to its end.
func (ls *Logins) Code(ctx context.Context, v View) (string, error) {
	code, g, err := v.grant()
	if err != nil {
		return "", err
	}
	if err := ls.Codes.SaveCode(ctx, code, g, ls.Now().Add(CodeLife)); err != nil {
		return "", err
	}
	return code, nil
}

// grant returns what a login that has come to its end gives its client, and a
// code for it.
func (v View) grant() (code string, g Grant, err error) {
	l := v.Login
	switch {
	case v.Err != nil:
		return "", Grant{}, v.Err
	case v.Session == nil, v.Step != Return:
		return "", Grant{}, ErrLoginRequired
	}
	acr, err := v.Client.Issue(l.Wants, v.Session.Method, v.Session.Level)
	if err != nil {
		return "", Grant{}, err
	}
	family := newFamily()
	return newInFamily(family), Grant{Family: family, ClientID: l.ClientID, RedirectURI: l.RedirectURI, Challenge: l.Challenge,
		Nonce: l.Nonce, Scopes: l.Scopes, Asked: l.Asked, Subject: v.Session.Subject, SessionID: v.Session.ID, SessionKey: v.Session.Key, ACR: acr,
		Method: v.Session.Method, Level: v.Session.Level, AuthTime: v.Session.AuthTime, Role: v.Role.Role, Authenticator: v.Session.Authenticator, Of: v.Session.Of, Until: v.Session.Until}, nil
}

// End ends a login that has come to its end, once, where nobody waits for a
// code. If the login was refused it returns why.
func (ls *Logins) End(ctx context.Context, v View) error {
	l, err := ls.Store.TakeLogin(ctx, v.Login.ID, ls.Now())
	if err != nil {
		return err
	}
	_, err = v.again(l, ls.Now())
	return err
}

// Renew puts a login in the place of that of v, which asks the same of somebody
// else: a login makes one session, and that of v may have made it. id and
// browser are of the new one, which lasts no longer than the old. It wants a
// sign-in of its own: nothing that is left of the first person will do.
func (ls *Logins) Renew(ctx context.Context, v View, id, browser string) (Login, error) {
	l, err := ls.Store.TakeLogin(ctx, v.Login.ID, ls.Now())
	if err != nil {
		return Login{}, err
	}
	l.ID, l.Browser, l.Role, l.Told, l.Fresh = id, browser, "", false, true
	return l, ls.Store.AddLogin(ctx, l)
}
