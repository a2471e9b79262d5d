package idp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Exchange is what a client shows to have a token in the place of another:
// narrower, or for another client to look at. RFC 8693 §2.1.
type Exchange struct {
	Token    string   // an access token, or ""
	IDToken  *IDToken // an ID token whose signature is ours, or nil
	SSOToken string   // of a session of the old service, or ""
	ClientID string   // who asks
	Audience string   // the client that the new token is for; "" is who asks
	Scopes   []string // those it asks for; nil: all that it may have
}

// SSOTokens are those of the old service.
type SSOTokens interface {
	// SSOSession returns the live session that an SSO token stands for, whose
	// person may still use it, or ErrToken.
	SSOSession(ctx context.Context, token string) (Session, error)
}

// FormerSessions are those of the old service, by their keys.
type FormerSessions interface {
	// Lives says nil if the session with that key lives, and ErrToken if not.
	Lives(ctx context.Context, key string) error
}

// Exchanged is a token that took the place of another.
type Exchanged struct {
	Access  string
	Grant   Grant
	Expires time.Time
}

// Exchange gives a client another token for one of its own. The new one is of
// the same family, so that whatever ends one ends the other, and says the same
// of the sign-in. It is never stronger, longer or wider: it lives no longer than
// what was shown, and has no scope that this, the client and the audience have
// not all three. What was shown stays as it is. once are the fences of whatever
// this request may use once.
func (gs *Grants) Exchange(ctx context.Context, e Exchange, request string, once ...Fence) (Exchanged, error) {
	now := gs.Now()
	g, until, err := gs.subject(ctx, e, now)
	if err != nil {
		return Exchanged{}, err
	}
	g, p, err := gs.holder(ctx, g)
	if err == nil {
		err = gs.formerLives(ctx, g, e.ClientID)
	}
	if errors.Is(err, ErrToken) {
		return Exchanged{}, ErrSubject
	}
	if err != nil {
		return Exchanged{}, err
	}
	caller, err := gs.Clients.Client(ctx, e.ClientID)
	if err != nil {
		return Exchanged{}, fmt.Errorf("client that exchanges: %w", err)
	}
	target, err := gs.target(ctx, caller, e.Audience)
	if err != nil {
		return Exchanged{}, err
	}
	if err := target.takes(g, p, now); err != nil {
		return Exchanged{}, err
	}
	next, err := g.narrowed(caller, target, e.Scopes)
	if err != nil {
		return Exchanged{}, err
	}
	event := Event{At: now, Kind: TokenExchanged, Request: request, Subject: next.Subject, Client: next.ClientID, Audience: next.Audience,
		Session: next.SessionID, Family: next.Family, ACR: next.ACR, Level: int(next.Level), Role: next.Role}
	if next.Lender != "" || e.SSOToken != "" { // who was given the family is told already
		if event.Tell, err = gs.watch(ctx, next); err != nil {
			return Exchanged{}, err
		}
	}
	mint := gs.mint
	if e.SSOToken != "" {
		once = slices.Concat(once, []Fence{{Kind: SSOFence, Hash: Hash(g.SessionKey + " " + next.ClientID + " " + next.For())}})
		mint = gs.mintOfSSO(e.SSOToken)
	}
	err = gs.Journal.Record(ctx, event, once...)
	if used, ok := errors.AsType[Used](err); ok && used.Fence.Kind == SSOFence {
		return Exchanged{}, ErrSubject
	}
	if errors.Is(err, ErrUsed) {
		return Exchanged{}, fmt.Errorf("%w: %w", ErrClientUnknown, err)
	}
	if err != nil {
		return Exchanged{}, fmt.Errorf("record exchange: %w", err)
	}
	made := Exchanged{Access: newInFamily(next.Family), Grant: next, Expires: until}
	if err := mint(ctx, made); err != nil {
		return Exchanged{}, err
	}
	if e.SSOToken != "" && gs.SSOUsed != nil {
		gs.SSOUsed(next, p)
	}
	return made, nil
}

// mint lets a token live.
func (gs *Grants) mint(ctx context.Context, made Exchanged) error {
	return gs.Tokens.SaveToken(ctx, made.Access, made.Grant, made.Expires)
}

// mintOfSSO lets a token live if the session of the SSO token that it comes of
// does. What decides is one question to the session store, after all else: until
// it is answered nobody knows the token, which lives for nobody then, and after
// a session was ended there the answer is no.
func (gs *Grants) mintOfSSO(token string) func(context.Context, Exchanged) error {
	return func(ctx context.Context, made Exchanged) error {
		if err := gs.mint(ctx, made); err != nil {
			return err
		}
		_, err := gs.SSO.SSOSession(ctx, token)
		if err == nil {
			return nil
		}
		over := gs.Tokens.RevokeFamily(context.WithoutCancel(ctx), made.Grant.Family, made.Expires)
		if errors.Is(err, ErrToken) {
			err = ErrSubject
		}
		return errors.Join(err, over)
	}
}

// subject returns what the token of an exchange stands for, and until when what
// comes of it may live at most. ErrSubject if it is worth nothing to the client
// that shows it.
func (gs *Grants) subject(ctx context.Context, e Exchange, now time.Time) (Grant, time.Time, error) {
	var g Grant
	var ends time.Time
	var err error
	switch {
	case e.SSOToken != "":
		g, ends, err = gs.ofSSO(ctx, e)
	case e.IDToken != nil:
		g, ends, err = gs.ofIDToken(ctx, *e.IDToken, now)
	default:
		var t Token
		t, err = gs.Tokens.Token(ctx, e.Token, now)
		if t.Refresh { // it is worth what it is worth at a refresh alone
			err = ErrToken
		}
		g, ends = t.Grant, t.Expires
	}
	if errors.Is(err, ErrToken) {
		return Grant{}, time.Time{}, ErrSubject
	}
	if err != nil {
		return Grant{}, time.Time{}, err
	}
	until := earliest(ends, g.TokenEnd(now), g.AuthTime.Add(LongestAt(g.Level).Max))
	// A client's own token has nobody behind it. Another client's is worth
	// nothing to this one, however it came by it.
	if g.Subject == "" || g.ClientID != e.ClientID && g.For() != e.ClientID || !now.Before(until) {
		return Grant{}, time.Time{}, ErrSubject
	}
	return g, until, nil
}

// ofSSO returns what an SSO token stands for to the client that shows it: all
// scopes, of which it gets its own, in a family that begins here. What the
// session of the old service is worth is decided by how its person signed in,
// and named as the client would have it.
func (gs *Grants) ofSSO(ctx context.Context, e Exchange) (Grant, time.Time, error) {
	if gs.SSO == nil || gs.off(e.ClientID) || len(gs.SSOClients) > 0 && !slices.Contains(gs.SSOClients, e.ClientID) {
		return Grant{}, time.Time{}, ErrSSOClient
	}
	s, err := gs.SSO.SSOSession(ctx, e.SSOToken)
	if err != nil {
		return Grant{}, time.Time{}, err
	}
	// It has timers of its own, and gives nothing that a session of ours which
	// began and was used as it was would not.
	ours := s.AsOurs(gs.Timers[s.Level])
	if !ours.Live(gs.Now()) {
		return Grant{}, time.Time{}, ErrToken
	}
	c, err := gs.Clients.Client(ctx, e.ClientID)
	if err != nil {
		return Grant{}, time.Time{}, fmt.Errorf("client that exchanges: %w", err)
	}
	wants, err := c.Wants(nil)
	if err != nil {
		return Grant{}, time.Time{}, ErrTarget
	}
	acr, err := c.Issue(wants, s.Method, s.Level)
	if err != nil {
		return Grant{}, time.Time{}, ErrTarget
	}
	return Grant{Family: newFamily(), ClientID: e.ClientID, Scopes: Scopes, Subject: s.Subject, SessionID: s.ID, SessionKey: s.Key,
		ACR: acr, Method: s.Method, Level: s.Level, AuthTime: s.AuthTime, Role: s.Role, Authenticator: s.Authenticator}, earliest(s.Expires(), ours.AuthTime.Add(ours.Limits().Max)), nil
}

// ofIDToken returns the grant that an ID token came of, and its end. What it
// says must be what the grant says: ErrToken if not.
func (gs *Grants) ofIDToken(ctx context.Context, t IDToken, now time.Time) (Grant, time.Time, error) {
	ends := time.Unix(t.Expires, 0)
	if !now.Before(ends) {
		return Grant{}, time.Time{}, ErrToken
	}
	g, err := gs.Tokens.Origin(ctx, FamilyOf(t.ID), now)
	if err != nil {
		return Grant{}, time.Time{}, err
	}
	if t.Subject != g.Subject || t.Audience != g.ClientID || t.SessionID != g.SessionID || t.AuthTime != g.AuthTime.Unix() {
		return Grant{}, time.Time{}, ErrToken
	}
	return g, ends, nil
}

func earliest(times ...time.Time) time.Time { return slices.MinFunc(times, time.Time.Compare) }

// target returns the client that caller wants a token for: itself, or one whose
// registration names it. ErrTarget is of any other, known or not.
func (gs *Grants) target(ctx context.Context, caller Client, audience string) (Client, error) {
	if audience == "" || audience == caller.ID {
		return caller, nil
	}
	c, err := gs.Clients.Client(ctx, audience)
	if errors.Is(err, ErrClientUnknown) {
		return Client{}, ErrTarget
	}
	if err != nil {
		return Client{}, fmt.Errorf("audience of exchange: %w", err)
	}
	if !slices.Contains(c.ExchangeFrom, caller.ID) {
		return Client{}, ErrTarget
	}
	return c, nil
}

// takes says nil if c would take the sign-in of g, by p, had it been asked for by
// c itself: an exchange is no way around what a client is registered to want.
func (c Client) takes(g Grant, p Person, now time.Time) error {
	met := func(a ACR) bool { return a.MetBy(g.Method, g.Level) }
	if g.Level < c.MinLevel || len(c.ACRAllowed) > 0 && !slices.ContainsFunc(c.ACRAllowed, met) ||
		p.Admit(c, now) != nil || c.RequiresRole && len(p.Current(now)) == 0 {
		return ErrTarget
	}
	return nil
}

// narrowed returns what a token in the place of one of g stands for. Claims that
// were asked for by name, and the role where its scope is gone, stay behind.
func (g Grant) narrowed(caller, target Client, scopes []string) (Grant, error) {
	next := Grant{Family: g.Family, ClientID: caller.ID, Subject: g.Subject, SessionID: g.SessionID, SessionKey: g.SessionKey,
		ACR: g.ACR, Method: g.Method, Level: g.Level, AuthTime: g.AuthTime, Authenticator: g.Authenticator, Of: g.Of, Until: g.Until}
	if target.ID != caller.ID {
		next.Audience = target.ID
	}
	next = g.handed(next)
	may := func(s string) bool {
		return slices.Contains(g.Scopes, s) && slices.Contains(caller.Scopes, s) && slices.Contains(target.Scopes, s)
	}
	if scopes == nil {
		scopes = slices.DeleteFunc(slices.Clone(g.Scopes), func(s string) bool { return !may(s) })
	}
	for _, s := range scopes {
		if !may(s) {
			return Grant{}, ErrTooMuch
		}
		if !slices.Contains(next.Scopes, s) {
			next.Scopes = append(next.Scopes, s)
		}
	}
	if len(next.Scopes) == 0 {
		return Grant{}, ErrTooMuch
	}
	if slices.Contains(next.Scopes, "selectedrole") || slices.Contains(next.Scopes, "changedrole") {
		next.Role = g.Role
	}
	return next, nil
}
