package idp_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// sso is a session of the old service, which ends when it was asked about so
// often; 0 is never.
type sso struct {
	session idp.Session
	lives   int
	err     error // in place of "it is over"
	asked   int
}

func (s *sso) SSOSession(context.Context, string) (idp.Session, error) {
	s.asked++
	if s.lives > 0 && s.asked > s.lives {
		return idp.Session{}, s.err
	}
	return s.session, nil
}

// tokensKept remembers the tokens that were kept.
type tokensKept struct {
	idp.Tokens
	tokens []string
}

func (s *tokensKept) SaveToken(ctx context.Context, token string, g idp.Grant, expires time.Time) error {
	s.tokens = append(s.tokens, token)
	return s.Tokens.SaveToken(ctx, token, g, expires)
}

// withSSO gives the bench a session of the old service.
func (b *bench) withSSO() *sso {
	s := &sso{err: idp.ErrToken, session: idp.Session{ID: "old-sid", Key: "cis1.key", Subject: nurse, Method: authenticators.LegacySmartcard, Level: authenticators.AAL3,
		AuthTime: b.now.Add(-time.Minute), LastAct: b.now, Role: "2", Authenticator: "card:01", Legacy: &idp.LegacyDesk{}}}
	b.grants.SSO = s
	b.client("ward", func(c *idp.Client) { c.ACRDefault = idp.AAL3Any })
	return s
}

func TestExchangeOfSSO(t *testing.T) {
	ask := idp.Exchange{SSOToken: "token", ClientID: "ward"}
	for _, tt := range []struct {
		rule   string
		change func(*bench, *sso)
		ask    func(*idp.Exchange)
		want   error
	}{
		{rule: "P19: what lives is exchanged"},
		{rule: "P19: what is over is not", change: func(_ *bench, s *sso) { s.lives, s.asked = 1, 1 }, want: idp.ErrSubject},
		{rule: "P19: nor what is over between the check and the token", change: func(_ *bench, s *sso) { s.lives = 1 }, want: idp.ErrSubject},
		{rule: "P19: nor where nobody can say at that moment", change: func(_ *bench, s *sso) { s.lives, s.err = 1, idp.ErrUnavailable }, want: idp.ErrUnavailable},
		{rule: "P19: nor what was ended, of which the session store has forgotten", change: func(b *bench, _ *sso) { b.raise(idp.Fence{Kind: idp.SIDFence, Hash: "old-sid"}) }, want: idp.ErrSubject},
		{rule: "P19: nor with a card that is stopped", change: func(b *bench, _ *sso) {
			b.person(func(p *idp.Person) { p.Holds = map[string]bool{"card:01": false} })
		}, want: idp.ErrSubject},
		{rule: "P19: nor one whose person did nothing for as long as ends a session of ours", change: func(b *bench, s *sso) {
			s.session.LastAct, s.session.AuthTime = b.now.Add(-15*time.Minute), b.now.Add(-time.Hour)
		}, want: idp.ErrSubject},
		{rule: "P19: nor one that is older than an operator lets sessions of ours be", change: func(b *bench, s *sso) {
			b.grants.Timers = map[authenticators.Level]idp.Timers{authenticators.AAL3: {Max: 4 * time.Hour}}
			s.session.AuthTime = b.now.Add(-4 * time.Hour)
		}, want: idp.ErrSubject},
		{rule: "P19: nor of a person who is restricted", change: func(b *bench, _ *sso) { b.restrict() }, want: idp.ErrSubject},
		{rule: "P19: the class is met by how its person signed in", change: func(b *bench, _ *sso) { b.client("ward", func(c *idp.Client) { c.ACRDefault = idp.AAL3CIS2Card }) }, want: idp.ErrTarget},
		{rule: "P19: nothing above what the session is worth", change: func(b *bench, s *sso) {
			s.session.Level = authenticators.AAL2
			b.client("ward", func(c *idp.Client) { c.MinLevel = authenticators.AAL3 })
		}, want: idp.ErrTarget},
		{rule: "P19: no audience that did not name the client", ask: func(e *idp.Exchange) { e.Audience = "stranger" }, want: idp.ErrTarget},
		{rule: "P19: no scope that the client has not", ask: func(e *idp.Exchange) { e.Scopes = []string{"nationalrbacaccess"} }, want: idp.ErrTooMuch},
		{rule: "P19: a client that the operator did not name", change: func(b *bench, _ *sso) { b.grants.SSOClients = []string{"records"} }, want: idp.ErrSSOClient},
		{rule: "P19: nothing where the bridge is off", change: func(b *bench, _ *sso) { b.grants.SSO = nil }, want: idp.ErrSSOClient},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			b := aBench(t)
			s := b.withSSO()
			kept := &tokensKept{Tokens: b.grants.Tokens}
			b.grants.Tokens = kept
			if tt.change != nil {
				tt.change(b, s)
			}
			e := ask
			if tt.ask != nil {
				tt.ask(&e)
			}
			made, err := b.exchange(e)
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("Exchange() = %v, want %v", err, tt.want)
			}
			if tt.want != nil {
				if made.Access != "" {
					t.Error("a token came with the refusal")
				}
				for _, token := range kept.tokens {
					if _, _, err := b.grants.Holder(t.Context(), token); !errors.Is(err, idp.ErrToken) {
						t.Errorf("what was kept before the refusal lives: %v", err)
					}
				}
				return
			}
			g := made.Grant
			if g.SessionID != "old-sid" || g.Role != "2" || g.Method != authenticators.LegacySmartcard || g.ACR != idp.AAL3Any || made.Expires.After(b.now.Add(time.Hour)) {
				t.Errorf("%+v until %v", g, made.Expires)
			}
			if _, err := b.exchange(e); !errors.Is(err, idp.ErrSubject) {
				t.Errorf("the second time: %v, want ErrSubject", err)
			}
		})
	}
}

func TestLegacyTimers(t *testing.T) {
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		rule   string
		timers idp.Timers
		acted  time.Duration // after noon
		want   time.Duration // likewise: the end
	}{
		{"own rule: a session of the old service ends an hour after its last act", idp.Timers{}, 2 * time.Hour, 3 * time.Hour},
		{"own rule: and after ten hours whatever was done", idp.Timers{}, 9*time.Hour + 59*time.Minute, 10 * time.Hour},
		{"own rule: an operator shortens both", idp.Timers{Max: 4 * time.Hour, Idle: 5 * time.Minute}, time.Hour, time.Hour + 5*time.Minute},
		{"own rule: and lengthens neither", idp.Timers{Max: 40 * time.Hour, Idle: 5 * time.Hour}, 9*time.Hour + 30*time.Minute, 10 * time.Hour},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := idp.Session{Level: authenticators.AAL3, AuthTime: noon, LastAct: noon.Add(tt.acted), Timers: tt.timers, Legacy: &idp.LegacyDesk{}}
			if got := s.Expires().Sub(noon); got != tt.want {
				t.Errorf("it ends after %v, want %v", got, tt.want)
			}
		})
	}
}
