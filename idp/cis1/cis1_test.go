package cis1_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/cis1"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/memory"
	"github.com/lanyard-id/lanyard/store/redis"
)

const nurse = "555000000101"

// people has one.
type people map[string]idp.Person

func (p people) Person(_ context.Context, uid string) (idp.Person, error) {
	if who, ok := p[uid]; ok {
		return who, nil
	}
	return idp.Person{}, idp.ErrNotFound
}

func (p people) PersonNow(ctx context.Context, uid string) (idp.Person, error) {
	return p.Person(ctx, uid)
}

// gate is where a nurse signs in to the old service.
type gate struct {
	t        *testing.T
	now      time.Time
	live     *redis.Store
	rdb      *goredis.Client
	registry *memory.Store
	people   people
	sessions *cis1.Sessions
}

func aGate(t *testing.T) *gate {
	t.Helper()
	registry, err := memory.New(directory.Document{}, memory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{t: t, now: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC), registry: registry}
	g.rdb = goredis.NewClient(&goredis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = g.rdb.Close() })
	now := func() time.Time { return g.now }
	g.live = redis.New(g.rdb, now)
	g.people = people{nurse: {UID: nurse, Profile: idp.Verified, Holds: map[string]bool{"card:01": true}, Positions: []idp.Position{{ID: "1"}, {ID: "2"}}}}
	g.sessions = &cis1.Sessions{Store: g.live, People: g.people, Journal: registry, Fences: registry, Now: now}
	return g
}

func (g *gate) evidence() authenticators.Evidence {
	return authenticators.Evidence{Subject: nurse, Method: authenticators.LegacySmartcard, Level: authenticators.AAL3, At: g.now, Authenticator: "card:01", Once: idp.NewSecret()}
}

func (g *gate) begin() cis1.Opened {
	g.t.Helper()
	o, err := g.sessions.Begin(g.t.Context(), g.evidence(), idp.LegacyDesk{Device: "WS"}, "request")
	if err != nil {
		g.t.Fatal(err)
	}
	return o
}

func anybody(idp.Session) error { return nil }

func TestBegin(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		change func(*gate, *authenticators.Evidence)
		want   error
	}{
		{"own rule: a card that was vouched for begins a session", func(*gate, *authenticators.Evidence) {}, nil},
		{"own rule: one that nobody vouched for does not", func(_ *gate, e *authenticators.Evidence) { e.Level = authenticators.AAL2 }, idp.ErrUnmet},
		{"own rule: nor any other way to sign in", func(_ *gate, e *authenticators.Evidence) { e.Method = authenticators.FIDO2 }, idp.ErrUnmet},
		{"own rule: nor a card that was stopped meanwhile", func(g *gate, _ *authenticators.Evidence) { g.people[nurse].Holds["card:01"] = false }, authenticators.ErrSuspended},
		{"own rule: nor who is restricted", func(g *gate, _ *authenticators.Evidence) {
			g.people[nurse] = idp.Person{UID: nurse, Profile: idp.Restricted, Holds: map[string]bool{"card:01": true}}
		}, idp.ErrProfileRestricted},
		{"own rule: nor who nobody knows", func(_ *gate, e *authenticators.Evidence) { e.Subject = "555000000999" }, authenticators.ErrSuspended},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			g := aGate(t)
			e := g.evidence()
			tt.change(g, &e)
			o, err := g.sessions.Begin(t.Context(), e, idp.LegacyDesk{}, "request")
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
				t.Fatalf("Begin() = %v, want %v", err, tt.want)
			}
			last := g.registry.Events()[len(g.registry.Events())-1]
			if want := map[bool]idp.Kind{true: idp.SignedIn, false: idp.SignInNo}[err == nil]; last.Kind != want {
				t.Errorf("the journal says %s, want %s", last.Kind, want)
			}
			if err != nil {
				return
			}
			if _, err := g.sessions.Begin(t.Context(), e, idp.LegacyDesk{}, "request"); !errors.Is(err, authenticators.ErrAnswer) {
				t.Errorf("the same answer again: %v", err)
			}
			keys, err := g.rdb.Keys(t.Context(), "*").Result()
			if err != nil {
				t.Fatal(err)
			}
			for _, key := range keys {
				if key == "session:"+o.Token {
					t.Error("the token is a key")
				}
			}
		})
	}
}

func TestFind(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		change func(*gate, cis1.Opened) error
		lives  bool
	}{
		{"own rule: a session lives", func(*gate, cis1.Opened) error { return nil }, true},
		{"own rule: it ends with its token", func(g *gate, o cis1.Opened) error {
			return g.sessions.End(g.t.Context(), o.Token, "request", anybody)
		}, false},
		{"own rule: for nobody but who may", func(g *gate, o cis1.Opened) error {
			err := g.sessions.End(g.t.Context(), o.Token, "request", func(idp.Session) error { return idp.ErrToken })
			if errors.Is(err, idp.ErrToken) {
				return nil
			}
			return err
		}, true},
		{"own rule: what Redis brings back stays ended", func(g *gate, o cis1.Opened) error {
			return errors.Join(g.sessions.End(g.t.Context(), o.Token, "request", anybody), g.live.SaveSession(g.t.Context(), o.Session))
		}, false},
		{"own rule: it ends with its name, whoever ends that", func(g *gate, o cis1.Opened) error {
			return g.registry.Record(g.t.Context(), idp.Event{At: g.now}, idp.Fence{Kind: idp.SIDFence, Hash: o.Session.ID})
		}, false},
		{"own rule: it ends with its card", func(g *gate, _ cis1.Opened) error { g.people[nurse].Holds["card:01"] = false; return nil }, false},
		{"own rule: it ends with its person", func(g *gate, _ cis1.Opened) error { delete(g.people, nurse); return nil }, false},
		{"own rule: it ends when its person signs out everywhere", func(g *gate, _ cis1.Opened) error {
			p := g.people[nurse]
			p.SignedOutAt = g.now
			g.people[nurse] = p
			return nil
		}, false},
		{"own rule: it ends in time", func(g *gate, _ cis1.Opened) error { g.now = g.now.Add(time.Hour); return nil }, false},
		{"own rule: it ends with the card's certificate", func(g *gate, o cis1.Opened) error {
			o.Session.Ends = g.now.Add(time.Minute)
			g.now = o.Session.Ends
			return g.live.SaveSession(g.t.Context(), o.Session)
		}, false},
		{"own rule: a browser's session under such a name is none", func(g *gate, o cis1.Opened) error {
			o.Session.Legacy = nil
			return g.live.SaveSession(g.t.Context(), o.Session)
		}, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			g := aGate(t)
			o := g.begin()
			if err := tt.change(g, o); err != nil {
				t.Fatal(err)
			}
			_, _, err := g.sessions.Find(t.Context(), o.Token)
			if tt.lives != (err == nil) || err != nil && !errors.Is(err, idp.ErrToken) {
				t.Errorf("Find() = %v, want that it lives: %v", err, tt.lives)
			}
			if _, _, err := g.sessions.Refresh(t.Context(), o.Token); tt.lives != (err == nil) {
				t.Errorf("Refresh() = %v", err)
			}
			if _, _, err := g.sessions.ChooseRole(t.Context(), o.Token, "2", "request"); tt.lives != (err == nil) {
				t.Errorf("ChooseRole() = %v", err)
			}
		})
	}
	t.Run("own rule: its person finds it among their sessions", func(t *testing.T) {
		g := aGate(t)
		o := g.begin()
		own, err := g.live.SessionsOf(t.Context(), nurse, g.now)
		if err != nil || len(own) != 1 || own[0].ID != o.Session.ID || own[0].Legacy == nil {
			t.Errorf("%+v, %v", own, err)
		}
	})
	t.Run("own rule: what Redis does not answer is an outage, and no word about a token", func(t *testing.T) {
		g := aGate(t)
		o := g.begin()
		_ = g.rdb.Close()
		if _, _, err := g.sessions.Find(t.Context(), o.Token); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("Find() = %v", err)
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add(cis1.NewToken())
	f.Add("AQIC5wM2LY4SfcwrRGMHiyxMR3suYWqcF+B1j56GJ4xGut4=@AAJTSQACMDE=#")
	f.Add("AQIC=@AAJTSQACMDE=#")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if cis1.IsToken(text) && len(text) != 62 {
			t.Errorf("%q is taken for a token", text)
		}
		if key := cis1.KeyOf(text); len(key) != 48 || key[:5] != "cis1." {
			t.Errorf("the key is %q", key)
		}
	})
}

func TestRefresh(t *testing.T) {
	t.Run("own rule: who keeps a session alive does not undo the role that is chosen at that moment", func(t *testing.T) {
		g := aGate(t)
		for range 50 {
			o := g.begin()
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					if _, _, err := g.sessions.Refresh(t.Context(), o.Token); err != nil {
						t.Error(err)
					}
				})
			}
			all.Go(func() {
				if _, _, err := g.sessions.ChooseRole(t.Context(), o.Token, "2", "request"); err != nil {
					t.Error(err)
				}
			})
			all.Wait()
			if s, _, err := g.sessions.Find(t.Context(), o.Token); err != nil || s.Role != "2" {
				t.Fatalf("the role is %q, %v", s.Role, err)
			}
		}
	})
}

func TestWorth(t *testing.T) {
	const key, other = "thumbprint", "another's"
	for _, tt := range []struct {
		rule          string
		signed, shown string // the agent's key
		want          error
	}{
		{"P19: a session that the agent at its desk made, and alone can show, is worth its card there", key, key, nil},
		{"P19: to whoever else has its token it is worth nothing", key, other, authenticators.ErrAnswer},
		{"P19: nor is it to who shows no key", key, "", authenticators.ErrAnswer},
		{"P19: one of an old agent, whose card signed no key, is worth nothing there", "", key, authenticators.ErrAnswer},
		{"P19: whoever shows it with none", "", "", authenticators.ErrAnswer},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			g := aGate(t)
			e := g.evidence()
			e.Key = tt.signed
			o, err := g.sessions.Begin(t.Context(), e, idp.LegacyDesk{Device: "WS", Key: tt.shown}, "request")
			if err != nil {
				t.Fatal(err)
			}
			e, err = g.sessions.Worth(t.Context(), o.Session.Key, tt.shown, authenticators.Former{Since: g.now.Add(-time.Hour)})
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || (err == nil) != (e.Subject == nurse) {
				t.Errorf("Worth() = %+v, %v; want %v", e, err, tt.want)
			}
		})
	}
}

func TestDepartures(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		key    string
		depart func(*gate, *authenticators.Evidence) error // while the card answers
		want   error
	}{
		{"own rule: a session that is opened while its person signs out is over", "thumbprint", func(g *gate, _ *authenticators.Evidence) error {
			return g.live.Depart(g.t.Context(), nurse, "card:01")
		}, authenticators.ErrAnswer},
		{"own rule: one whose card was asked after that is not", "thumbprint", func(g *gate, e *authenticators.Evidence) error {
			e.Departures++
			return g.live.Depart(g.t.Context(), nurse, "card:01")
		}, nil},
		{"own rule: nor one by another card", "thumbprint", func(g *gate, _ *authenticators.Evidence) error {
			return g.live.Depart(g.t.Context(), nurse, "card:02")
		}, nil},
		{"own rule: nor one of an old agent, which no sign-out at a browser ends", "", func(g *gate, _ *authenticators.Evidence) error {
			return g.live.Depart(g.t.Context(), nurse, "card:01")
		}, nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			g := aGate(t)
			g.sessions.Departures = g.live
			e := g.evidence()
			e.Key = tt.key
			if err := tt.depart(g, &e); err != nil {
				t.Fatal(err)
			}
			o, err := g.sessions.Begin(t.Context(), e, idp.LegacyDesk{Device: "WS"}, "request")
			if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) || (o.Token == "") != (err != nil) {
				t.Fatalf("Begin() = %+v, %v; want %v", o, err, tt.want)
			}
			there, not := g.live.SessionsOf(t.Context(), nurse, g.now)
			if not != nil || (len(there) == 1) != (err == nil) {
				t.Errorf("%d sessions, %v", len(there), not)
			}
			last := g.registry.Events()[len(g.registry.Events())-1]
			if want := map[bool]idp.Kind{true: idp.SignedIn, false: idp.SessionEnded}[err == nil]; last.Kind != want {
				t.Errorf("the journal says %s, want %s", last.Kind, want)
			}
		})
	}
}
