package idp_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// bench is a ward whose client exchanges its tokens, for itself and for two
// others of which one lets it.
type bench struct {
	*ward
	registered clients
	grant      idp.Grant // what the client was given
	tokens     idp.Issued
	idToken    idp.IDToken
}

// aBench changes what is there before the code is redeemed.
func aBench(t *testing.T, change ...func(*bench)) *bench {
	t.Helper()
	b := &bench{ward: aWard(t)}
	p := b.people[nurse]
	p.Holds = map[string]bool{"card:01": true}
	b.people[nurse] = p
	scopes := []string{"openid", "profile", "email", "selectedrole"}
	b.registered = clients{
		"ward":     {ID: "ward", Scopes: scopes, MinLevel: authenticators.AAL1},
		"records":  {ID: "records", Scopes: []string{"openid", "profile", "nhsperson"}, MinLevel: authenticators.AAL1, ExchangeFrom: []string{"ward"}},
		"archive":  {ID: "archive", Scopes: scopes, MinLevel: authenticators.AAL1, ExchangeFrom: []string{"records"}},
		"stranger": {ID: "stranger", Scopes: scopes, MinLevel: authenticators.AAL1},
	}
	b.grants.Clients = b.registered
	b.grant = idp.Grant{Family: family, ClientID: "ward", Subject: nurse, Scopes: scopes, Asked: idp.Asked{UserInfo: []string{"title"}}, SessionID: "sid", SessionKey: "key",
		ACR: idp.AAL3Any, Method: authenticators.Smartcard, Level: authenticators.AAL3, AuthTime: b.now.Add(-time.Minute), Role: "1", Authenticator: "card:01"}
	for _, c := range change {
		c(b)
	}
	if err := b.live.SaveCode(t.Context(), aCode, b.grant, b.now.Add(idp.CodeLife)); err != nil {
		t.Fatal(err)
	}
	g, p, tokens, err := b.grants.Redeem(t.Context(), idp.Redemption{Code: aCode, ClientID: "ward", Renews: true, Exchanges: true}, "request")
	if err != nil {
		t.Fatal(err)
	}
	b.tokens, b.idToken = tokens, idp.ClaimsFor("https://id.example", p, g, b.now).IDToken
	b.idToken.ID = g.NewID()
	return b
}

func (b *bench) exchange(e idp.Exchange, once ...idp.Fence) (idp.Exchanged, error) {
	return b.grants.Exchange(b.t.Context(), e, "request", once...)
}

// ours asks with the client's own access token, its by the ID token.
func (b *bench) ours() idp.Exchange { return idp.Exchange{Token: b.tokens.Access, ClientID: "ward"} }
func (b *bench) its() idp.Exchange  { return idp.Exchange{IDToken: &b.idToken, ClientID: "ward"} }

func (b *bench) must(e idp.Exchange) idp.Exchanged {
	b.t.Helper()
	made, err := b.exchange(e)
	if err != nil {
		b.t.Fatal(err)
	}
	return made
}

// client changes a registration.
func (b *bench) client(id string, change func(*idp.Client)) {
	c := b.registered[id]
	change(&c)
	b.registered[id] = c
}

func (b *bench) person(change func(*idp.Person)) {
	p := b.people[nurse]
	change(&p)
	b.people[nurse] = p
}

func (b *bench) raise(f idp.Fence) {
	b.t.Helper()
	if err := b.grants.Journal.Record(b.t.Context(), idp.Event{At: b.now}, f); err != nil {
		b.t.Fatal(err)
	}
}

func TestExchange(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		before func(*bench)                // the code was redeemed
		change func(*bench)                // and before the exchange
		ask    func(*bench, *idp.Exchange) // beside the client's own token
		want   error
		scopes []string // of the new token; nil is not looked at
	}{
		// What is given.
		{rule: "P18: an own token for oneself, with all that it has", scopes: []string{"openid", "profile", "email", "selectedrole"}},
		{rule: "P18: with fewer scopes", ask: func(_ *bench, e *idp.Exchange) { e.Scopes = []string{"profile", "openid"} }, scopes: []string{"profile", "openid"}},
		{rule: "P18: the client itself as audience is itself", ask: func(_ *bench, e *idp.Exchange) { e.Audience = "ward" }, scopes: []string{"openid", "profile", "email", "selectedrole"}},
		{rule: "P18: for a client whose registration names it, with what both may have", ask: func(_ *bench, e *idp.Exchange) { e.Audience = "records" }, scopes: []string{"openid", "profile"}},

		// Wider.
		{rule: "P18: more scopes than the subject token has", before: func(b *bench) { b.grant.Scopes = []string{"openid"} }, ask: func(_ *bench, e *idp.Exchange) { e.Scopes = []string{"openid", "profile"} }, want: idp.ErrTooMuch},
		{rule: "P18: a scope that the client is not registered for any more", change: func(b *bench) { b.client("ward", func(c *idp.Client) { c.Scopes = []string{"openid"} }) }, scopes: []string{"openid"}},
		{rule: "P18: asked for all the same", change: func(b *bench) { b.client("ward", func(c *idp.Client) { c.Scopes = []string{"openid"} }) }, ask: func(_ *bench, e *idp.Exchange) { e.Scopes = []string{"openid", "profile"} }, want: idp.ErrTooMuch},
		{rule: "P18: a scope that the audience is not registered for", ask: func(_ *bench, e *idp.Exchange) { e.Audience, e.Scopes = "records", []string{"openid", "email"} }, want: idp.ErrTooMuch},
		{rule: "P18: a scope that nobody knows", ask: func(_ *bench, e *idp.Exchange) { e.Scopes = []string{"openid", "admin"} }, want: idp.ErrTooMuch},
		{rule: "P18: no scope that both have", before: func(b *bench) { b.grant.Scopes = []string{"email"} }, ask: func(_ *bench, e *idp.Exchange) { e.Audience = "records" }, want: idp.ErrTooMuch},
		{rule: "P18: an audience that does not name the client", ask: func(_ *bench, e *idp.Exchange) { e.Audience = "stranger" }, want: idp.ErrTarget},
		{rule: "P18: an audience that names others", ask: func(_ *bench, e *idp.Exchange) { e.Audience = "archive" }, want: idp.ErrTarget},
		{rule: "P18: an audience that is none", ask: func(_ *bench, e *idp.Exchange) { e.Audience = "https://api.example" }, want: idp.ErrTarget},

		// Stronger.
		{rule: "P18: an audience of a higher level than the sign-in", before: func(b *bench) {
			b.grant.Level, b.grant.Method, b.grant.ACR = authenticators.AAL2, authenticators.TOTP, idp.AAL2Any
		},
			change: func(b *bench) { b.client("records", func(c *idp.Client) { c.MinLevel = authenticators.AAL3 }) }, ask: func(_ *bench, e *idp.Exchange) { e.Audience = "records" }, want: idp.ErrTarget},
		{rule: "P18: one that wants another way to sign in", change: func(b *bench) { b.client("records", func(c *idp.Client) { c.ACRAllowed = []idp.ACR{idp.AAL3FIDO2} }) }, ask: func(_ *bench, e *idp.Exchange) { e.Audience = "records" }, want: idp.ErrTarget},
		{rule: "P18: one that wants this way", change: func(b *bench) {
			b.client("records", func(c *idp.Client) { c.ACRAllowed = []idp.ACR{idp.AAL3FIDO2, idp.AAL3Smartcard} })
		}, ask: func(_ *bench, e *idp.Exchange) { e.Audience = "records" }},
		{rule: "P18: one that takes no unverified profile", before: func(b *bench) {
			b.client("ward", func(c *idp.Client) { c.AcceptsUnverified = true })
			b.person(func(p *idp.Person) { p.Profile = idp.Unverified })
		},
			ask: func(_ *bench, e *idp.Exchange) { e.Audience = "records" }, want: idp.ErrTarget},
		{rule: "P18: one that wants a role of somebody who has none", before: func(b *bench) { b.person(func(p *idp.Person) { p.Positions = nil }) }, change: func(b *bench) { b.client("records", func(c *idp.Client) { c.RequiresRole = true }) },
			ask: func(_ *bench, e *idp.Exchange) { e.Audience = "records" }, want: idp.ErrTarget},

		// Of nobody, or of somebody else.
		{rule: "P18: another client's token", ask: func(_ *bench, e *idp.Exchange) { e.ClientID = "stranger" }, want: idp.ErrSubject},
		{rule: "P18: another client's token, where the audience is the one that it is of", ask: func(_ *bench, e *idp.Exchange) { e.ClientID, e.Audience = "records", "ward" }, want: idp.ErrSubject},
		{rule: "P18: another person's session", change: func(b *bench) { b.idToken.Subject = another }, ask: func(b *bench, e *idp.Exchange) { *e = b.its() }, want: idp.ErrSubject},
		{rule: "P18: an ID token for another client", change: func(b *bench) { b.idToken.Audience = "stranger" }, ask: func(b *bench, e *idp.Exchange) { *e = b.its() }, want: idp.ErrSubject},
		{rule: "P18: an ID token of before the client could exchange", change: func(b *bench) { b.idToken.ID = "" }, ask: func(b *bench, e *idp.Exchange) { *e = b.its() }, want: idp.ErrSubject},
		{rule: "P18: a refresh token", ask: func(b *bench, e *idp.Exchange) { e.Token = b.tokens.Refresh }, want: idp.ErrSubject},
		{rule: "P18: a client's own token", ask: func(b *bench, e *idp.Exchange) { e.Token, _ = b.grants.Own(b.t.Context(), "ward", "request") }, want: idp.ErrSubject},
		{rule: "P18: rubbish", ask: func(_ *bench, e *idp.Exchange) { e.Token = "x" }, want: idp.ErrSubject},

		// Of what is over.
		{rule: "P18: an access token that has ended", change: func(b *bench) { b.pass(idp.TokenLife) }, want: idp.ErrSubject},
		{rule: "P18: an ID token that has ended", change: func(b *bench) { b.pass(idp.TokenLife) }, ask: func(b *bench, e *idp.Exchange) { *e = b.its() }, want: idp.ErrSubject},
		{rule: "P18: a token that was revoked", change: func(b *bench) { _ = b.grants.Revoke(b.t.Context(), b.tokens.Access, "ward", "request") }, want: idp.ErrSubject},
		{rule: "P18: an ID token beside a token that was revoked", change: func(b *bench) { _ = b.grants.Revoke(b.t.Context(), b.tokens.Access, "ward", "request") }, ask: func(b *bench, e *idp.Exchange) { *e = b.its() }, want: idp.ErrSubject},
		{rule: "P18: a family of whose end only the journal knows", change: func(b *bench) { b.raise(idp.Fence{Kind: idp.FamilyFence, Hash: family}) }, ask: func(b *bench, e *idp.Exchange) { *e = b.its() }, want: idp.ErrSubject},
		{rule: "P18: a session that was ended", change: func(b *bench) { b.raise(idp.Fence{Kind: idp.SIDFence, Hash: "sid"}) }, want: idp.ErrSubject},
		{rule: "P18: an ID token of a session that was ended", change: func(b *bench) { b.raise(idp.Fence{Kind: idp.SIDFence, Hash: "sid"}) }, ask: func(b *bench, e *idp.Exchange) { *e = b.its() }, want: idp.ErrSubject},
		{rule: "P18: somebody who was restricted", change: func(b *bench) { b.restrict() }, want: idp.ErrSubject},
		{rule: "P18: somebody who signed out of everything", change: func(b *bench) { b.person(func(p *idp.Person) { p.SignedOutAt = b.now }) }, ask: func(b *bench, e *idp.Exchange) { *e = b.its() }, want: idp.ErrSubject},
		{rule: "P18: a card that was suspended, by the ID token", change: func(b *bench) { b.person(func(p *idp.Person) { p.Holds = map[string]bool{"card:01": false} }) }, ask: func(b *bench, e *idp.Exchange) { *e = b.its() }, want: idp.ErrSubject},
		{rule: "P18: a sign-in of twelve hours ago", before: func(b *bench) { b.grant.AuthTime = b.now.Add(-12 * time.Hour) }, want: idp.ErrSubject},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			var before []func(*bench)
			if tt.before != nil {
				before = append(before, tt.before)
			}
			b := aBench(t, before...)
			if tt.change != nil {
				tt.change(b)
			}
			e := b.ours()
			if tt.ask != nil {
				tt.ask(b, &e)
			}
			made, err := b.exchange(e)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("Exchange = %v, want %v", err, tt.want)
			}
			if tt.scopes != nil && !slices.Equal(made.Grant.Scopes, tt.scopes) {
				t.Errorf("scopes %v, want %v", made.Grant.Scopes, tt.scopes)
			}
			if err != nil && (made.Access != "" || b.recorded(idp.TokenExchanged) != 0) {
				t.Error("there is a token, or the journal tells of one")
			}
		})
	}
}

func TestExchanged(t *testing.T) {
	for name, ask := range map[string]func(*bench) idp.Exchange{"an access token": (*bench).ours, "an ID token": (*bench).its} {
		t.Run("P18: what comes of "+name+" says the same of the sign-in, and the journal knows of it", func(t *testing.T) {
			b := aBench(t)
			b.pass(10 * time.Minute)
			e := ask(b)
			e.Audience = "records"
			made := b.must(e)
			got, err := b.live.Token(t.Context(), made.Access, b.now)
			if err != nil {
				t.Fatal(err)
			}
			g, was := got.Grant, b.grant
			if g.ACR != was.ACR || g.Level != was.Level || g.Method != was.Method || !g.AuthTime.Equal(was.AuthTime) || g.SessionID != was.SessionID || g.Subject != was.Subject || g.Family != was.Family || g.Authenticator != was.Authenticator {
				t.Errorf("%+v, want what is in %+v", g, was)
			}
			if g.ClientID != "ward" || g.For() != "records" || g.Role != "" || g.Asked.UserInfo != nil || !got.Expires.Equal(b.now.Add(50*time.Minute)) {
				t.Errorf("%+v until %v", g, got.Expires)
			}
			if n := b.recorded(idp.TokenExchanged); n != 1 {
				t.Errorf("%d rows in the journal, want 1", n)
			}
			b.wantHolder(b.tokens.Access, nil)
			b.wantHolder(made.Access, nil)
		})
	}
	t.Run("P18: the role goes along where its scope does", func(t *testing.T) {
		b := aBench(t)
		e := b.ours()
		e.Scopes = []string{"openid", "selectedrole"}
		if made := b.must(e); made.Grant.Role != "1" {
			t.Errorf("the role is %q", made.Grant.Role)
		}
	})
	t.Run("P18: nothing lives longer than what it came of, however often it is exchanged, nor than the longest session", func(t *testing.T) {
		b := aBench(t, func(b *bench) { b.grant.AuthTime = b.now.Add(-12*time.Hour + 20*time.Minute) })
		made := b.must(b.ours())
		if left := made.Expires.Sub(b.now); left != 20*time.Minute {
			t.Errorf("it lives for %v, want twenty minutes", left)
		}
		b.pass(5 * time.Minute)
		again := b.must(idp.Exchange{Token: made.Access, ClientID: "ward"})
		if !again.Expires.Equal(made.Expires) {
			t.Errorf("it ends at %v, and what it came of at %v", again.Expires, made.Expires)
		}
		b.pass(15 * time.Minute)
		b.wantHolder(again.Access, idp.ErrToken)
	})
	t.Run("P18: whom a token is for may look at it and exchange it on, but not end it; nobody else may", func(t *testing.T) {
		b := aBench(t)
		e := b.ours()
		e.Audience = "records"
		made := b.must(e)
		for client, want := range map[string]error{"ward": nil, "records": nil, "stranger": idp.ErrToken} {
			if _, _, err := b.grants.Introspect(t.Context(), made.Access, client, "request"); !errors.Is(err, want) {
				t.Errorf("Introspect by %s: %v, want %v", client, err, want)
			}
		}
		if err := b.grants.Revoke(t.Context(), made.Access, "records", "request"); !errors.Is(err, idp.ErrNotYours) {
			t.Errorf("Revoke by the audience: %v, want ErrNotYours", err)
		}
		on := b.must(idp.Exchange{Token: made.Access, ClientID: "records", Audience: "archive"})
		if g := on.Grant; g.ClientID != "records" || g.For() != "archive" || !slices.Equal(g.Scopes, []string{"openid", "profile"}) {
			t.Errorf("%+v", g)
		}
		if _, err := b.exchange(idp.Exchange{Token: made.Access, ClientID: "archive"}); !errors.Is(err, idp.ErrSubject) {
			t.Errorf("Exchange by a third: %v, want ErrSubject", err)
		}
	})
	for name, end := range map[string]func(*bench, idp.Exchanged){
		"the subject token is revoked": func(b *bench, _ idp.Exchanged) {
			_ = b.grants.Revoke(b.t.Context(), b.tokens.Refresh, "ward", "request")
		},
		"it is revoked itself":               func(b *bench, e idp.Exchanged) { _ = b.grants.Revoke(b.t.Context(), e.Access, "ward", "request") },
		"the session is ended":               func(b *bench, _ idp.Exchanged) { b.raise(idp.Fence{Kind: idp.SIDFence, Hash: "sid"}) },
		"the person is restricted":           func(b *bench, _ idp.Exchanged) { b.restrict() },
		"the card is suspended":              func(b *bench, _ idp.Exchanged) { b.person(func(p *idp.Person) { p.Holds = nil }) },
		"the audience does not allow it now": func(b *bench, _ idp.Exchanged) { b.client("records", func(c *idp.Client) { c.ExchangeFrom = nil }) },
	} {
		t.Run("S6: an exchanged token is worth nothing when "+name, func(t *testing.T) {
			b := aBench(t)
			e := b.ours()
			e.Audience = "records"
			made := b.must(e)
			b.wantHolder(made.Access, nil)
			end(b, made)
			b.wantHolder(made.Access, idp.ErrToken)
		})
	}
	t.Run("P18: a token that went through the hands of others is worth nothing when one of them has lost it", func(t *testing.T) {
		for _, loser := range []string{"records", "archive", "shelf"} {
			b := aBench(t)
			b.registered["shelf"] = idp.Client{ID: "shelf", Scopes: []string{"openid"}, MinLevel: authenticators.AAL1, ExchangeFrom: []string{"archive"}}
			b.client("ward", func(c *idp.Client) { c.ExchangeFrom = []string{"archive"} })
			token := b.must(idp.Exchange{Token: b.tokens.Access, ClientID: "ward", Audience: "records"}).Access
			token = b.must(idp.Exchange{Token: token, ClientID: "records", Audience: "archive"}).Access
			back := b.must(idp.Exchange{Token: token, ClientID: "archive", Audience: "ward"})
			home := b.must(idp.Exchange{Token: back.Access, ClientID: "ward"})
			token = b.must(idp.Exchange{Token: token, ClientID: "archive", Audience: "shelf"}).Access
			b.wantHolder(token, nil)
			b.client(loser, func(c *idp.Client) { c.ExchangeFrom = nil })
			b.wantHolder(token, idp.ErrToken)
			b.wantHolder(home.Access, nil) // it is in the hands of the first again
		}
		b := aBench(t)
		lent := b.must(idp.Exchange{Token: b.tokens.Access, ClientID: "ward", Audience: "records"})
		on := b.must(idp.Exchange{Token: lent.Access, ClientID: "records", Audience: "archive"})
		delete(b.registered, "ward")
		b.wantHolder(on.Access, idp.ErrToken)
	})
	t.Run("P11: an assertion that was used before exchanges nothing", func(t *testing.T) {
		b, assertion := aBench(t), idp.Fence{Kind: idp.AssertionFence, Hash: "jti"}
		b.raise(assertion)
		if _, err := b.exchange(b.ours(), assertion); !errors.Is(err, idp.ErrClientUnknown) {
			t.Errorf("Exchange: %v, want ErrClientUnknown", err)
		}
	})
	t.Run("own rule: no token that the journal does not know of", func(t *testing.T) {
		b := aBench(t)
		b.grants.Journal = down{}
		if made, err := b.exchange(b.ours()); !errors.Is(err, errDown) || made.Access != "" {
			t.Errorf("Exchange = %+v, %v; want the journal's error", made, err)
		}
	})
	t.Run("own rule: what an ID token came of is kept where it may be exchanged, and nowhere else", func(t *testing.T) {
		w := aWard(t)
		w.saveCode()
		w.mustRedeem()
		if _, err := w.live.Origin(t.Context(), family, w.now); !errors.Is(err, idp.ErrToken) {
			t.Errorf("Origin: %v, want ErrToken", err)
		}
	})
}

// lastEvent is a journal that shows what it was given last.
type lastEvent struct {
	idp.Journal
	event idp.Event
}

func (l *lastEvent) Record(ctx context.Context, e idp.Event, fences ...idp.Fence) error {
	l.event = e
	return l.Journal.Record(ctx, e, fences...)
}

func TestExchangeTells(t *testing.T) {
	t.Run("S6: a client that exchanges a token of another is told when the session ends, if it can be told", func(t *testing.T) {
		b := aBench(t)
		b.client("records", func(c *idp.Client) { c.BackchannelLogoutURI = "https://records.example/out" })
		b.client("ward", func(c *idp.Client) { c.BackchannelLogoutURI = "https://ward.example/out" })
		tells := func(e idp.Exchange) (string, *idp.Watch) {
			t.Helper()
			written := &lastEvent{Journal: b.grants.Journal}
			b.grants.Journal = written
			return b.must(e).Access, written.event.Tell
		}
		lent, tell := tells(idp.Exchange{Token: b.tokens.Access, ClientID: "ward", Audience: "records"})
		if tell != nil {
			t.Errorf("the lender is told by %+v too", tell)
		}
		if _, tell = tells(idp.Exchange{Token: lent, ClientID: "records"}); tell == nil || *tell != (idp.Watch{SID: "sid", Client: "records", Subject: nurse}) {
			t.Errorf("told by %+v", tell)
		}
	})
}
