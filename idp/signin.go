package idp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// NotShown is the flag of a sign-in to which nobody showed their card: they came in
// by the session of the old service that it had opened before. It is no use of the
// card.
const NotShown = "card_not_shown"

// SignIn turns evidence into a session and returns it with the secret for the
// browser's cookie. It takes the place of the session with key old, if any: a
// new proof is a new session, and a new person inherits nothing.
func (ls *Logins) SignIn(ctx context.Context, l Login, request string, e authenticators.Evidence, old string) (Session, string, error) {
	c, err := ls.Clients.Client(ctx, l.ClientID)
	if err != nil {
		return Session{}, "", fmt.Errorf("client of login: %w", err)
	}
	p, stands, err := Stood(ctx, ls.People, e.Subject, e.At, ls.Now(), e.Authenticator)
	if err != nil {
		return Session{}, "", fmt.Errorf("person who signed in: %w", err)
	}
	event := Event{At: ls.Now(), Kind: SignedIn, Request: request, Subject: p.UID, Client: c.ID,
		Method: string(e.Method), Level: int(e.Level), Authenticator: e.Authenticator, Flag: e.Flag}
	if e.Session != "" {
		event.Flag = NotShown
	}
	if !stands { // lost or gone while its room looked at it
		return Session{}, "", ls.refused(ctx, event, authenticators.ErrSuspended)
	}
	if no := p.Admit(c, ls.Now()); no != nil {
		return Session{}, "", ls.refused(ctx, event, no)
	}
	if _, no := c.Issue(l.Wants, e.Method, e.Level); no != nil {
		return Session{}, "", ls.refused(ctx, event, no)
	}
	if e.Session != "" && ls.off(c) { // it was not when the question was asked
		return Session{}, "", ls.refused(ctx, event, authenticators.ErrAnswer)
	}

	secret := NewSecret()
	s := Session{ID: NewSID(), Key: Hash(secret), Subject: p.UID, Method: e.Method, Level: e.Level,
		AuthTime: e.At, LastAct: ls.Now(), Login: l.ID, Ends: e.Ends, EndsWith: e.EndsWith, Timers: ls.Timers[e.Level],
		Authenticator: e.Authenticator}
	if e.Session != "" {
		of, err := ls.former(ctx, e.Session)
		if errors.Is(err, ErrNotFound) || err == nil && of.Subject != p.UID {
			return Session{}, "", ls.refused(ctx, event, authenticators.ErrAnswer) // it ended this instant
		}
		if err != nil {
			return Session{}, "", err
		}
		s.ID, s.Of, s.Role = of.ID, of.Key, of.Role
		if l.wantsAnother(s, ls.Now()) || !of.Shown(ls.Timers[of.Level], ls.Now()) { // it did when the question was asked, and not now
			return Session{}, "", ls.refused(ctx, event, authenticators.ErrAnswer)
		}
	}
	// Of many cards that are shown to one login at once, one signs in.
	fences := []Fence{{Kind: ChallengeFence, Hash: e.Once}, {Kind: LoginFence, Hash: Hash(l.ID)}}
	if old != "" {
		ended, err := ls.follow(ctx, &s, p, old)
		if err != nil {
			return Session{}, "", err
		}
		fences = append(fences, ended...)
	}
	event.Session, event.Use = s.ID, e.Use
	err = ls.Journal.Record(ctx, event, fences...)
	if used, ok := errors.AsType[Used](err); ok && used.Fence.Kind == LoginFence {
		return Session{}, "", ls.refused(ctx, event, ErrLoginGone) // another try at it would find the same
	}
	if errors.Is(err, ErrUsed) {
		return Session{}, "", ls.refused(ctx, event, authenticators.ErrAnswer) // the room's own store had forgotten, somebody signed in at this login already, or the authenticator was used or stopped meanwhile
	}
	if err != nil {
		return Session{}, "", fmt.Errorf("record sign-in: %w", err)
	}
	if err := ls.forgive(ctx, p, e.Method); err != nil {
		return Session{}, "", err
	}
	if err := ls.Sessions.SaveSession(ctx, s); err != nil {
		return Session{}, "", err
	}
	if old != "" {
		if err := ls.Sessions.EndSession(ctx, old); err != nil {
			return Session{}, "", err
		}
	}
	return s, secret, nil
}

// follow puts s, of p, in the place of the session with key old and returns the
// fences of what has ended with that. To clients it is the same session if it is
// the same person's: who shows their card once more is not signed out of what
// they work in, unless they were already.
func (ls *Logins) follow(ctx context.Context, s *Session, p Person, old string) ([]Fence, error) {
	ended := []Fence{{Kind: SessionFence, Hash: old}}
	before, err := ls.Sessions.Session(ctx, old, ls.Now())
	if errors.Is(err, ErrNotFound) {
		return ended, nil
	}
	if err != nil {
		return nil, err
	}
	over, err := ls.Fences.Stands(ctx, Fence{Kind: SIDFence, Hash: before.ID}) // Redis may have brought it back
	if err != nil {
		return nil, fmt.Errorf("fence of session: %w", err)
	}
	same := before.Subject == s.Subject && !over && p.Stands(before.AuthTime, before.Authenticator)
	switch {
	case same && s.Of == "" && before.Of == "":
		s.ID = before.ID
		return ended, nil
	case same && before.Of != "" && (s.Of == "" && s.Authenticator == before.Authenticator || s.ID == before.ID):
		return ended, nil // that of the old service goes on, and what else came of it, until this one signs out
	}
	if same && before.Of == "" && s.Authenticator == before.Authenticator {
		if kept, err := ls.goesOn(ctx, s.Of, before.ID); err != nil || kept {
			return ended, err
		}
	}
	return ls.over(ctx, before)
}

// goesOn lets what was used with the session sid go on by the session of the old
// service with key of, by which its browser was entered, and says whether it does.
func (ls *Logins) goesOn(ctx context.Context, of, sid string) (bool, error) {
	now, err := ls.AtDesk.ChangeSession(ctx, of, ls.Now(), func(o *Session) {
		if !slices.Contains(o.Also, sid) && len(o.Also) < mostAlso {
			o.Also = append(o.Also, sid)
		}
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil // it ended this instant, and who enters by it with it
	}
	return slices.Contains(now.Also, sid), err
}

// former returns the live session of the old service with that key that only the
// agent at its desk can show, or ErrNotFound. Whether its person and their card still stand is asked where
// those of what came of it are: they are the same.
func (ls *Logins) former(ctx context.Context, key string) (Session, error) {
	if ls.AtDesk == nil { // it was switched off since
		return Session{}, ErrNotFound
	}
	of, err := ls.Sessions.Session(ctx, key, ls.Now())
	if err != nil {
		return Session{}, err
	}
	if !of.AtDesk() || !of.Ends.IsZero() && !ls.Now().Before(of.Ends) {
		return Session{}, ErrNotFound
	}
	for _, over := range of.Over() {
		ended, err := ls.Fences.Stands(ctx, over)
		if err != nil {
			return Session{}, fmt.Errorf("fence of session: %w", err)
		}
		if ended {
			return Session{}, ErrNotFound
		}
	}
	return of, nil
}

// off says whether c takes nothing of the old service any more.
func (ls *Logins) off(c Client) bool { return ls.SwitchedOff != nil && ls.SwitchedOff(c.ID) }

// roleAtDesk notes the role of s at the session of the old service that s came of,
// if it came of one that has none: who enters by that once more is asked no second time. It is
// no act of its person there, for nothing that came of that session lengthens it.
func (ls *Logins) roleAtDesk(ctx context.Context, s Session) error {
	if s.Of == "" {
		return nil
	}
	_, err := ls.former(ctx, s.Of)
	if err == nil {
		_, err = ls.AtDesk.ChangeSession(ctx, s.Of, ls.Now(), func(of *Session) {
			if of.Role == "" { // the old applications work in the role that was chosen for them
				of.Role = s.Role
			}
		})
	}
	if errors.Is(err, ErrNotFound) {
		return ErrLoginRequired // it ended this instant, and s with it
	}
	return err
}

// Former says which session of the old service would do for v. A request that
// wants a sign-in of its own, or more than such a session is worth, takes none, nor
// does a client that is switched off. One that wants nothing else of a card is told
// so before anybody shows theirs.
func (v View) Former(now time.Time) authenticators.Former {
	l := v.Login
	if _, no := v.Client.Issue(l.Wants, authenticators.LegacySmartcard, authenticators.AAL3); no != nil {
		return authenticators.Former{}
	}
	_, only := v.Client.Issue(l.Wants, authenticators.Smartcard, authenticators.AAL3)
	f := authenticators.Former{Only: only != nil}
	if v.Off || l.Fresh || l.Card || l.MaxAge != nil && *l.MaxAge == 0 {
		return f
	}
	longest := LongestLegacy().Max
	if l.MaxAge != nil {
		longest = min(longest, *l.MaxAge)
	}
	f.Since, f.Subject = now.Add(-longest), l.Hint
	if l.Hint == "" && v.Session != nil { // who wants to be somebody else at this browser says so: that takes a card
		f.Subject = v.Session.Subject
	}
	return f
}

// forgive forgets the wrong tries at what p could have guessed with, now that
// they have signed in with what nobody guesses: whoever tried, a stranger's
// tries shall not keep p out. Only who has a password costs the question.
func (ls *Logins) forgive(ctx context.Context, p Person, m authenticators.Method) error {
	if m == authenticators.TOTP || !p.holdsKind(authenticators.CodeKind) {
		return nil
	}
	return ls.Limits.Clear(ctx, LimitKey{Account: p.UID, Authenticator: string(authenticators.CodeKind)})
}

// RefuseSignIn records that an authenticator was refused, and why.
func (ls *Logins) RefuseSignIn(ctx context.Context, l Login, request string, reason error) error {
	return ls.refused(ctx, Event{At: ls.Now(), Request: request, Client: l.ClientID}.RefusalOf(reason), reason)
}

// refused records a refusal and returns its reason.
func (ls *Logins) refused(ctx context.Context, e Event, reason error) error {
	e.Kind, e.Reason, e.Use = SignInNo, reason.Error(), nil
	if err := ls.Journal.Record(ctx, e); err != nil {
		return fmt.Errorf("record refusal: %w", err)
	}
	return reason
}
