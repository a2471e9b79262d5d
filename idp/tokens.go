package idp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// Grants turns codes into tokens and tokens into claims.
type Grants struct {
	Codes     Codes
	Tokens    Tokens
	Refreshes Refreshes
	People    People
	Clients   Clients
	Journal   Journal
	Fences    Fences
	Now       func() time.Time

	Former     FormerSessions                  // of the old service; nil: nothing comes of them
	SSO        SSOTokens                       // of the old service; nil: none is exchanged
	Timers     map[authenticators.Level]Timers // of sessions of ours, as Logins has them: nothing that comes of one of the old service outlives them
	SSOClients []string                        // who may exchange them; empty: all that may exchange
	SSOUsed    func(Grant, Person)             // is told of each that was exchanged; nil: nobody is

	// SwitchedOff says whether a client is given nothing more that comes of the old
	// service; nil: all are. What it was given before lives on.
	SwitchedOff func(client string) bool
}

// Redeem turns a code into tokens: one step in the session store and
// one transaction in the registry, which is the audit and the fence at once.
// A second use, wherever the first happened and whatever was lost since, gets
// ErrUsed and ends what the first use made (RFC 6749 §4.1.2). once are the
// fences of whatever else this request may use once: a client's assertion that
// was used before is ErrClientUnknown, and nobody gets the token.
func (gs *Grants) Redeem(ctx context.Context, r Redemption, request string, once ...Fence) (Grant, Person, Issued, error) {
	now, family := gs.Now(), FamilyOf(r.Code)
	r.Next.Access = newInFamily(family)
	if r.Renews {
		r.Next.Refresh = newInFamily(family)
	}
	g, err := gs.Codes.RedeemCode(ctx, r, now, now.Add(TokenLife))
	if errors.Is(err, ErrUsed) {
		return Grant{}, Person{}, Issued{}, gs.reused(ctx, CodeReused, g, request)
	}
	if err != nil {
		return Grant{}, Person{}, Issued{}, err
	}
	// From here on a failure leaves a token that nobody was given.
	// That its family has ended does not count: the first of many redeemers gets
	// its tokens, whatever comes of them.
	if err := errors.Join(gs.lives(ctx, Fence{Kind: SIDFence, Hash: g.SessionID}), gs.formerLives(ctx, g, g.ClientID)); errors.Is(err, ErrToken) {
		return Grant{}, Person{}, Issued{}, ErrCode
	} else if err != nil {
		return Grant{}, Person{}, Issued{}, err
	}
	g, p, err := gs.person(ctx, g)
	if errors.Is(err, ErrToken) {
		return Grant{}, Person{}, Issued{}, ErrCode
	}
	if err != nil {
		return Grant{}, Person{}, Issued{}, err
	}
	event := Event{At: now, Kind: TokenIssued, Request: request, Subject: g.Subject, Client: g.ClientID,
		Session: g.SessionID, Family: g.Family, ACR: g.ACR, Level: int(g.Level), Role: g.Role}
	if event.Tell, err = gs.watch(ctx, g); err != nil {
		return Grant{}, Person{}, Issued{}, err
	}
	code := Fence{Kind: CodeFence, Hash: Hash(r.Code)}
	err = gs.Journal.Record(ctx, event, append(once, code)...)
	if used, ok := errors.AsType[Used](err); ok && used.Fence != code {
		return Grant{}, Person{}, Issued{}, fmt.Errorf("%w: %w", ErrClientUnknown, err)
	}
	if errors.Is(err, ErrUsed) {
		return Grant{}, Person{}, Issued{}, gs.reused(ctx, CodeReused, g, request)
	}
	if err != nil {
		return Grant{}, Person{}, Issued{}, fmt.Errorf("record token: %w", err)
	}
	return g, p, r.Next, nil
}

// formerLives says nil if the session of the old service lives that g came of,
// if it came of one, and ErrToken if not. It asks the session store itself, where
// an end is known at once: of what has ended nothing is minted. Nor is it for a
// client that is switched off.
func (gs *Grants) formerLives(ctx context.Context, g Grant, client string) error {
	if g.Of == "" {
		return nil
	}
	if gs.Former == nil || gs.off(client) { // the bridge was switched off since
		return ErrToken
	}
	return gs.Former.Lives(ctx, g.Of)
}

// off says whether a client is given nothing more that comes of the old service.
func (gs *Grants) off(client string) bool { return gs.SwitchedOff != nil && gs.SwitchedOff(client) }

// watch returns what is written down with a token of g so that its client is
// told of the session's end; nil for a client that cannot be told.
func (gs *Grants) watch(ctx context.Context, g Grant) (*Watch, error) {
	c, err := gs.Clients.Client(ctx, g.ClientID)
	if err != nil {
		return nil, fmt.Errorf("client of grant: %w", err)
	}
	if c.BackchannelLogoutURI == "" || g.SessionID == "" {
		return nil, nil //nolint:nilnil // nil is "nobody is told"
	}
	return &Watch{SID: g.SessionID, Client: g.ClientID, Subject: g.Subject}, nil
}

// reused ends the family of a code or refresh token that came a second time.
func (gs *Grants) reused(ctx context.Context, kind Kind, g Grant, request string) error {
	if err := gs.endFamily(ctx, kind, g, request); err != nil {
		return err
	}
	return ErrUsed
}

// endFamily ends everything that came of a grant. The journal comes first: what
// Redis knows it may forget, and who is told to come again must find something
// to end, or the journal would never hear of it.
func (gs *Grants) endFamily(ctx context.Context, kind Kind, g Grant, request string, once ...Fence) error {
	err := gs.Journal.Record(ctx, Event{At: gs.Now(), Kind: kind, Request: request, Subject: g.Subject,
		Client: g.ClientID, Session: g.SessionID, Family: g.Family}, slices.Concat(once, []Fence{{Kind: FamilyFence, Hash: g.Family}})...)
	if errors.Is(err, ErrUsed) { // once: who asks has proved nothing, so nothing ends
		return fmt.Errorf("%w: %w", ErrClientUnknown, err)
	}
	if err != nil {
		return fmt.Errorf("record %s: %w", kind, err)
	}
	return gs.Tokens.RevokeFamily(ctx, g.Family, gs.Now().Add(FenceLife))
}

// Holder returns what an access token stands for and its person as they are
// now. ErrToken also when the person may not use the client any more.
func (gs *Grants) Holder(ctx context.Context, token string) (Grant, Person, error) {
	t, err := gs.Tokens.Token(ctx, token, gs.Now())
	if err != nil {
		return Grant{}, Person{}, err
	}
	if t.Refresh || t.Grant.Subject == "" {
		return Grant{}, Person{}, ErrToken
	}
	return gs.holder(ctx, t.Grant)
}

// Introspect returns what a token stands for to the client that it was given
// to, and to the one that it is for: to everybody else, and of what does not live, it is ErrToken (RFC 7662
// §2.2). The person is zero where the client speaks for itself. once are the
// fences of whatever this request may use once.
func (gs *Grants) Introspect(ctx context.Context, token, client, request string, once ...Fence) (Token, Person, error) {
	if err := gs.inspected(ctx, client, request, once); err != nil {
		return Token{}, Person{}, err
	}
	t, err := gs.Tokens.Token(ctx, token, gs.Now())
	if err != nil {
		return Token{}, Person{}, err
	}
	if t.Grant.ClientID != client && t.Grant.For() != client {
		return Token{}, Person{}, ErrToken
	}
	g, p, err := gs.holder(ctx, t.Grant)
	if err != nil {
		return Token{}, Person{}, err
	}
	if t.Grant = g; !g.Until.IsZero() && g.Until.Before(t.Expires) {
		t.Expires = g.Until
	}
	return t, p, nil
}

// inspected uses up what a request may use once that asks about a token and
// changes nothing.
func (gs *Grants) inspected(ctx context.Context, client, request string, once []Fence) error {
	if len(once) == 0 {
		return nil
	}
	err := gs.Journal.Record(ctx, Event{At: gs.Now(), Kind: TokenInspected, Request: request, Client: client}, once...)
	if errors.Is(err, ErrUsed) {
		return fmt.Errorf("%w: %w", ErrClientUnknown, err)
	}
	if err != nil {
		return fmt.Errorf("record introspection: %w", err)
	}
	return nil
}

// Revoke ends everything that came of the grant of a token, if it is the
// client's own: another's gets ErrNotYours, and lives on. So does what the client
// got for another's, because the other's would end with it. A refresh token that
// was used serves too: its client may have lost the answer with the next. What
// is no token is none already (RFC 7009 §2.2). once are used up whatever becomes
// of the token.
func (gs *Grants) Revoke(ctx context.Context, token, client, request string, once ...Fence) error {
	t, err := gs.Tokens.Token(ctx, token, gs.Now())
	if errors.Is(err, ErrToken) {
		t.Grant, err = gs.Refreshes.Rotated(ctx, token, gs.Now())
	}
	if errors.Is(err, ErrToken) {
		return gs.inspected(ctx, client, request, once)
	}
	if err != nil {
		return err
	}
	if t.Grant.ClientID != client || t.Grant.Lender != "" && t.Grant.Lender != client {
		return cmp.Or[error](gs.inspected(ctx, client, request, once), ErrNotYours)
	}
	return gs.endFamily(ctx, TokenRevoked, t.Grant, request, once...)
}

// Own gives a client a token of its own, which no person stands behind: it
// opens nothing of people (RFC 6749 §4.4).
func (gs *Grants) Own(ctx context.Context, client, request string, once ...Fence) (string, error) {
	now, g := gs.Now(), Grant{Family: newFamily(), ClientID: client}
	err := gs.Journal.Record(ctx, Event{At: now, Kind: TokenIssued, Request: request, Client: client, Family: g.Family}, once...)
	if errors.Is(err, ErrUsed) {
		return "", fmt.Errorf("%w: %w", ErrClientUnknown, err)
	}
	if err != nil {
		return "", fmt.Errorf("record token: %w", err)
	}
	token := newInFamily(g.Family)
	if err := gs.Tokens.SaveToken(ctx, token, g, now.Add(TokenLife)); err != nil {
		return "", err
	}
	return token, nil
}

// holder returns what is left of g and its person, zero for a client's own, if
// nothing has ended that g came of, and ErrToken if something has.
func (gs *Grants) holder(ctx context.Context, g Grant) (Grant, Person, error) {
	if err := gs.lives(ctx, Fence{Kind: FamilyFence, Hash: g.Family}, Fence{Kind: SIDFence, Hash: g.SessionID}); err != nil {
		return Grant{}, Person{}, err
	}
	return gs.person(ctx, g)
}

// lives says nil if none of fences tells of an end, and ErrToken if one does.
// One without a name is of nothing.
func (gs *Grants) lives(ctx context.Context, fences ...Fence) error {
	for _, f := range fences {
		if f.Hash == "" {
			continue
		}
		ended, err := gs.Fences.Stands(ctx, f)
		if err != nil {
			return fmt.Errorf("fence of %s: %w", f.Kind, err)
		}
		if ended {
			return ErrToken
		}
	}
	return nil
}

// person returns the person of g if they may still use its client, and the one
// that it is for, and what they signed in with still stands, and ErrToken if not.
// g is cut down to what both clients may still have.
func (gs *Grants) person(ctx context.Context, g Grant) (Grant, Person, error) {
	if !g.Until.IsZero() && !gs.Now().Before(g.Until) {
		return Grant{}, Person{}, ErrToken
	}
	c, err := gs.Clients.Client(ctx, g.ClientID)
	var audience Client
	if err == nil {
		audience, err = gs.target(ctx, c, g.Audience)
	}
	if err == nil && g.Lender != "" {
		_, err = gs.Clients.Client(ctx, g.Lender)
	}
	for hands := g.hands(); err == nil && len(hands) > 1; hands = hands[1:] {
		_, err = gs.target(ctx, Client{ID: hands[0]}, hands[1])
	}
	if errors.Is(err, ErrClientUnknown) || errors.Is(err, ErrTarget) {
		return Grant{}, Person{}, ErrToken
	}
	if err != nil {
		return Grant{}, Person{}, fmt.Errorf("client of grant: %w", err)
	}
	if g.Subject == "" {
		return g, Person{}, nil
	}
	p, stands, err := Stood(ctx, gs.People, g.Subject, g.AuthTime, gs.Now(), g.Authenticator)
	if errors.Is(err, ErrNotFound) {
		return Grant{}, Person{}, ErrToken
	}
	if err != nil {
		return Grant{}, Person{}, fmt.Errorf("person of grant: %w", err)
	}
	if !stands {
		return Grant{}, Person{}, ErrToken
	}
	for _, c := range []Client{c, audience} {
		if p.Admit(c, gs.Now()) != nil || c.RequiresRole && len(p.Current(gs.Now())) == 0 {
			return Grant{}, Person{}, ErrToken
		}
	}
	return audience.leaves(c.leaves(g)), p, nil
}
