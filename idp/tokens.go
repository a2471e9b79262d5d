package idp

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Grants turns codes into tokens and tokens into claims.
type Grants struct {
	Codes   Codes
	Tokens  Tokens
	People  People
	Clients Clients
	Journal Journal
	Fences  Fences
	Now     func() time.Time
}

// Redeem turns a code into an access token: one step in the session store and
// one transaction in the registry, which is the audit and the fence at once.
// A second use, wherever the first happened and whatever was lost since, gets
// ErrUsed and ends what the first use made (RFC 6749 §4.1.2). once are the
// fences of whatever else this request may use once: a client's assertion that
// was used before is ErrClientUnknown, and nobody gets the token.
func (gs *Grants) Redeem(ctx context.Context, r Redemption, request string, once ...Fence) (Grant, Person, string, error) {
	now := gs.Now()
	r.Token = newInFamily(FamilyOf(r.Code))
	g, err := gs.Codes.RedeemCode(ctx, r, now, now.Add(TokenLife))
	if errors.Is(err, ErrUsed) {
		return Grant{}, Person{}, "", gs.reused(ctx, g, request)
	}
	if err != nil {
		return Grant{}, Person{}, "", err
	}
	// From here on a failure leaves a token that nobody was given.
	if err := gs.signedOut(ctx, g); err != nil {
		return Grant{}, Person{}, "", err
	}
	p, err := gs.person(ctx, g)
	if errors.Is(err, ErrToken) {
		return Grant{}, Person{}, "", ErrCode
	}
	if err != nil {
		return Grant{}, Person{}, "", err
	}
	code := Fence{Kind: CodeFence, Hash: Hash(r.Code)}
	err = gs.Journal.Record(ctx, Event{At: now, Kind: TokenIssued, Request: request, Subject: g.Subject, Client: g.ClientID,
		Session: g.SessionID, Family: g.Family, ACR: g.ACR, Level: int(g.Level), Role: g.Role}, append(once, code)...)
	if used, ok := errors.AsType[Used](err); ok && used.Fence != code {
		return Grant{}, Person{}, "", fmt.Errorf("%w: %w", ErrClientUnknown, err)
	}
	if errors.Is(err, ErrUsed) {
		return Grant{}, Person{}, "", gs.reused(ctx, g, request)
	}
	if err != nil {
		return Grant{}, Person{}, "", fmt.Errorf("record token: %w", err)
	}
	return g, p, r.Token, nil
}

// signedOut is ErrCode if the session that the code of g came of was ended.
// Tokens that are out already live on.
func (gs *Grants) signedOut(ctx context.Context, g Grant) error {
	if g.SessionKey == "" {
		return nil
	}
	ended, err := gs.Fences.Stands(ctx, Fence{Kind: SessionFence, Hash: g.SessionKey})
	if err != nil {
		return fmt.Errorf("fence of session: %w", err)
	}
	if ended {
		return ErrCode
	}
	return nil
}

// reused ends the family of a code that came a second time. The journal comes
// first, because what Redis knows it may forget; neither waits on the other's
// success.
func (gs *Grants) reused(ctx context.Context, g Grant, request string) error {
	err := gs.Journal.Record(ctx, Event{At: gs.Now(), Kind: CodeReused, Request: request, Subject: g.Subject,
		Client: g.ClientID, Session: g.SessionID, Family: g.Family}, Fence{Kind: FamilyFence, Hash: g.Family})
	if err != nil {
		err = fmt.Errorf("record reuse: %w", err)
	}
	if err := errors.Join(err, gs.Tokens.RevokeFamily(ctx, g.Family, gs.Now().Add(TokenLife))); err != nil {
		return err
	}
	return ErrUsed
}

// Holder returns what an access token stands for and its person as they are
// now. ErrToken also when the person may not use the client any more.
func (gs *Grants) Holder(ctx context.Context, token string) (Grant, Person, error) {
	g, err := gs.Tokens.TokenGrant(ctx, token, gs.Now())
	if err != nil {
		return Grant{}, Person{}, err
	}
	ended, err := gs.Fences.Stands(ctx, Fence{Kind: FamilyFence, Hash: g.Family})
	if err != nil {
		return Grant{}, Person{}, fmt.Errorf("fence of family: %w", err)
	}
	if ended {
		return Grant{}, Person{}, ErrToken
	}
	p, err := gs.person(ctx, g)
	if err != nil {
		return Grant{}, Person{}, err
	}
	return g, p, nil
}

// person returns the person of g if they may still use its client, and what
// they signed in with still stands, and ErrToken if not.
func (gs *Grants) person(ctx context.Context, g Grant) (Person, error) {
	c, err := gs.Clients.Client(ctx, g.ClientID)
	if errors.Is(err, ErrClientUnknown) {
		return Person{}, ErrToken
	}
	if err != nil {
		return Person{}, fmt.Errorf("client of grant: %w", err)
	}
	p, stands, err := standing(ctx, gs.People, g.Subject, g.AuthTime, gs.Now(), g.Authenticator)
	if errors.Is(err, ErrNotFound) {
		return Person{}, ErrToken
	}
	if err != nil {
		return Person{}, fmt.Errorf("person of grant: %w", err)
	}
	if !stands || p.Admit(c) != nil || c.RequiresRole && len(p.Current(gs.Now())) == 0 {
		return Person{}, ErrToken
	}
	return p, nil
}
