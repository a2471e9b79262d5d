package redis_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/redis"
)

// clock is a server's, which is wrong by off.
type clock struct {
	truth *time.Time
	off   time.Duration
}

func (c clock) now() time.Time { return c.truth.Add(c.off) }

// kept is a thing that lives for so long: how a server makes one, and how
// another finds out whether it still counts.
type kept struct {
	what string
	life time.Duration
	make func(ctx context.Context, s *redis.Store, now time.Time) error
	ask  func(ctx context.Context, s *redis.Store, now time.Time) error
}

func everythingKept() []kept {
	family := "AAAAAAAAAAA"
	code, token := family+idp.NewSecret(), family+idp.NewSecret()
	shown := idp.Redemption{Code: code, ClientID: "c", RedirectURI: "r", Next: idp.Issued{Access: token}}
	grant := idp.Grant{Family: family, ClientID: "c", RedirectURI: "r", Subject: "s"}
	login := authenticators.Login{ID: "login", Browser: "browser"}
	question := func(now time.Time) smartcard.Transaction {
		return smartcard.Transaction{ID: "tx", Login: login.ID, Browser: login.Browser, Expires: now.Add(5 * time.Minute)}
	}
	session := func(level authenticators.Level, idle time.Duration) kept {
		return kept{fmt.Sprintf("a session at AAL%d that nobody uses", level), idle,
			func(ctx context.Context, s *redis.Store, now time.Time) error {
				return s.SaveSession(ctx, idp.Session{Key: "k", Login: "l", Level: level, AuthTime: now, LastAct: now})
			},
			func(ctx context.Context, s *redis.Store, now time.Time) error {
				_, err := s.Session(ctx, "k", now)
				return err
			}}
	}
	return []kept{
		session(authenticators.AAL3, 15*time.Minute), session(authenticators.AAL2, 30*time.Minute),
		{"a login", idp.LoginLife,
			func(ctx context.Context, s *redis.Store, now time.Time) error {
				return s.AddLogin(ctx, idp.Login{ID: "login", StartedAt: now})
			},
			func(ctx context.Context, s *redis.Store, now time.Time) error {
				_, err := s.Login(ctx, "login", now)
				return err
			}},
		{"a code", idp.CodeLife,
			func(ctx context.Context, s *redis.Store, now time.Time) error {
				return s.SaveCode(ctx, code, grant, now.Add(idp.CodeLife))
			},
			func(ctx context.Context, s *redis.Store, now time.Time) error {
				_, err := s.RedeemCode(ctx, shown, now, now.Add(idp.TokenLife))
				return err
			}},
		{"a token", idp.TokenLife,
			func(ctx context.Context, s *redis.Store, now time.Time) error {
				if err := s.SaveCode(ctx, code, grant, now.Add(idp.CodeLife)); err != nil {
					return err
				}
				_, err := s.RedeemCode(ctx, shown, now, now.Add(idp.TokenLife))
				return err
			},
			func(ctx context.Context, s *redis.Store, now time.Time) error {
				_, err := s.Token(ctx, token, now)
				return err
			}},
		{"a question to a card", 5 * time.Minute,
			func(ctx context.Context, s *redis.Store, now time.Time) error {
				t := question(now)
				if err := s.Open(ctx, t, now.Add(time.Minute)); err != nil {
					return err
				}
				_, err := s.Redeem(ctx, "tx", smartcard.Agent{KeyThumbprint: "agent"}, now)
				return err
			},
			func(ctx context.Context, s *redis.Store, now time.Time) error {
				_, err := s.Answer(ctx, smartcard.Caller{Transaction: "tx", KeyThumbprint: "agent", Once: "1"}, now)
				return err
			}},
	}
}

// TestClocks has one server make a thing and another ask for it, with clocks
// that are wrong, each by its own.
func TestClocks(t *testing.T) {
	const slack = 10 * time.Second // what keys outlive their records by
	offsets := []time.Duration{0, 5 * time.Second, -5 * time.Second, 30 * time.Second, -30 * time.Second, 5 * time.Minute, -5 * time.Minute, time.Hour, -time.Hour}
	m := miniredis.RunT(t)
	rdb := goredis.NewClient(&goredis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	cases := 0
	for _, k := range everythingKept() {
		t.Run("F16: "+k.what+" never lives longer, whatever the clocks say", func(t *testing.T) {
			for _, made := range offsets {
				for _, asked := range offsets {
					for _, age := range []time.Duration{0, k.life / 2, k.life - 6*time.Second, k.life + slack + time.Second, k.life + 10*time.Minute, 13 * time.Hour} {
						cases++
						m.FlushAll()
						truth := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
						one, other := clock{&truth, made}, clock{&truth, asked}
						if err := k.make(t.Context(), redis.New(rdb, one.now), one.now()); err != nil {
							t.Fatal(err)
						}
						truth = truth.Add(age)
						m.FastForward(age)
						err := k.ask(t.Context(), redis.New(rdb, other.now), other.now())
						if apart := (made - asked).Abs(); err != nil && age < k.life && apart <= 5*time.Second {
							t.Errorf("made at %s, asked at %s, after %s: %v", made, asked, age, err)
						}
						if err == nil && age > k.life+slack {
							t.Errorf("made at %s, asked at %s: it lives after %s", made, asked, age)
						}
					}
				}
			}
		})
	}
	if cases < 2000 {
		t.Errorf("%d cases", cases)
	}
}

func TestSilence(t *testing.T) {
	t.Run("own rule: how long an agent is silent is the same for every server, whatever their clocks say", func(t *testing.T) {
		m := miniredis.RunT(t)
		rdb := goredis.NewClient(&goredis.Options{Addr: m.Addr()})
		t.Cleanup(func() { _ = rdb.Close() })
		truth := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
		one, other := clock{&truth, 30 * time.Second}, clock{&truth, -30 * time.Second}
		hears, asks := redis.New(rdb, one.now), redis.New(rdb, other.now)
		silent := func(want time.Duration) {
			t.Helper()
			if d, err := asks.Desk(t.Context(), "tx", other.now()); err != nil || d.Silent != want {
				t.Errorf("silent for %v, %v; want %v", d.Silent, err, want)
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		pass := func() { truth = truth.Add(3 * time.Second); m.FastForward(3 * time.Second) }
		must(hears.Open(t.Context(), smartcard.Transaction{ID: "tx", Login: "l", Expires: one.now().Add(5 * time.Minute)}, one.now().Add(time.Minute)))
		pass()
		silent(0) // there is nobody to be heard
		_, err := hears.Redeem(t.Context(), "tx", smartcard.Agent{KeyThumbprint: "agent"}, one.now())
		must(err)
		pass()
		silent(3 * time.Second)
		c := smartcard.Caller{Transaction: "tx", KeyThumbprint: "agent", Once: "1"}
		_, err = hears.Report(t.Context(), c, smartcard.Report{Doing: smartcard.PINPrompt}, one.now())
		must(err)
		silent(0)
		pass()
		taken, err := hears.Answer(t.Context(), c, one.now())
		must(err)
		pass()
		must(hears.Settle(t.Context(), taken, "cc", authenticators.Evidence{}, one.now().Add(time.Minute)))
		silent(6 * time.Second) // although its life is another now
		pass()
		silent(9 * time.Second)
	})
}
