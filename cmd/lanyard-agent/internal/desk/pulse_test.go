package desk

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/gateway"
)

// begins redeems and begins a pulse.
func begins(t *testing.T, s *aService) (p *pulse, ctx context.Context) {
	t.Helper()
	r, err := newRun(Service{Alias: "id.example", Issuer: origin, Origin: origin}, nil, &http.Client{Transport: s, Timeout: callTime}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	s.question.Now = time.Now().Unix()
	if err := r.redeem(t.Context(), digestOf('h'), Agent{Version: "0.1.0"}.self(), "", 40000); err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancelCause(t.Context())
	p = newPulse(ctx, r, end)
	t.Cleanup(p.stop)
	return p, ctx
}

func TestPulse(t *testing.T) {
	t.Run("desk-auth/1: who waits says every two seconds that it is there, and shows the card once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var at []time.Time
			s := newService()
			s.reports = func(_ *http.Request, _ report) *http.Response { at = append(at, time.Now()); return nil }
			p, ctx := begins(t, s)
			began := time.Now()
			if _, err := p.say(ctx, report{State: cardIn, X5C: [][]byte{{1}}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Minute)
			p.stop()
			for i, now := range append([]time.Time{began}, at...) {
				if i > 0 && now.Sub(append([]time.Time{began}, at...)[i-1]) > 2*time.Second {
					t.Errorf("it was silent until %v", now.Sub(began))
				}
			}
			if n := s.count(); n < 150 || n > 300 {
				t.Errorf("%d reports in five minutes", n)
			}
			if slices.ContainsFunc(s.heard[1:], func(r report) bool { return r.X5C != nil || r.State != cardIn }) {
				t.Errorf("it repeats %+v", s.heard[1])
			}
		})
	})
	for name, silent := range map[string]func(req *http.Request) *http.Response{
		"nobody is there": func(*http.Request) *http.Response { return nobody },
		"it swallows all": func(req *http.Request) *http.Response { <-req.Context().Done(); return nobody },
		"it is ill":       func(*http.Request) *http.Response { return answer(http.StatusServiceUnavailable, nil) },
	} {
		t.Run("desk-auth/1: a service that does not answer ends the sign-in within five seconds: "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cut atomic.Bool
				s := newService()
				s.reports = func(req *http.Request, _ report) *http.Response {
					if cut.Load() {
						return silent(req)
					}
					return nil
				}
				p, ctx := begins(t, s)
				if _, err := p.say(ctx, report{State: pinPrompt}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * beatTime)
				synctest.Wait()
				cut.Store(true)
				began := time.Now()
				<-ctx.Done()
				if took := time.Since(began); took > 5*time.Second || took < time.Second || !errors.Is(context.Cause(ctx), ErrUnreachable) {
					t.Errorf("after %v: %v", took, context.Cause(ctx))
				}
			})
		})
		t.Run("own rule: a moment in which the service does not answer ends nothing: "+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService()
				began := time.Now()
				s.reports = func(req *http.Request, _ report) *http.Response {
					if since := time.Since(began); since > 3*time.Second && since < 5*time.Second {
						ctx, cancel := context.WithDeadline(req.Context(), began.Add(5*time.Second))
						defer cancel()
						return silent(req.WithContext(ctx))
					}
					return nil
				}
				p, ctx := begins(t, s)
				if _, err := p.say(ctx, report{State: pinPrompt}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if ctx.Err() != nil {
					t.Errorf("it ended: %v", context.Cause(ctx))
				}
			})
		})
	}
	t.Run("desk-auth/1: a service that wants to hear no more is told no more", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newService()
			s.reports = func(*http.Request, report) *http.Response { return answer(http.StatusUnauthorized, nil) }
			p, ctx := begins(t, s)
			if _, err := p.say(ctx, report{State: pinPrompt}); !errors.Is(err, ErrOver) || !errors.Is(context.Cause(ctx), ErrOver) {
				t.Errorf("say() = %v", err)
			}
			time.Sleep(time.Minute)
			if s.count() != 1 {
				t.Errorf("it heard %d reports", s.count())
			}
		})
	})
	t.Run("own rule: what happened later is told later, however slow the service is", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newService()
			s.reports = func(*http.Request, report) *http.Response { time.Sleep(700 * time.Millisecond); return nil }
			p, ctx := begins(t, s)
			var want []doing
			for _, now := range []doing{doing("wait_card"), cardIn, pinPrompt, pinWrong, signing} {
				if _, err := p.say(ctx, report{State: now}); err != nil {
					t.Fatal(err)
				}
				want = append(want, now)
				time.Sleep(1300 * time.Millisecond)
			}
			p.finish(ctx, cancelled)
			time.Sleep(10 * time.Second)
			if got := s.states(); !slices.Equal(got, append(want, cancelled)) {
				t.Errorf("it heard %v", got)
			}
		})
	})
	t.Run("own rule: while an answer is judged nothing else is said", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newService()
			s.responds = func(*http.Request) *http.Response {
				before := s.count()
				time.Sleep(3900 * time.Millisecond)
				if s.count() != before {
					t.Error("it was told something")
				}
				return answer(http.StatusOK, map[string]string{"cc": "x"})
			}
			p, ctx := begins(t, s)
			if _, err := p.say(ctx, report{State: signing}); err != nil {
				t.Fatal(err)
			}
			if cc, err := p.respond(ctx, response{}); err != nil || cc != "x" {
				t.Errorf("respond() = %q, %v", cc, err)
			}
			time.Sleep(2 * beatTime)
			if ctx.Err() != nil || s.count() < 2 {
				t.Errorf("afterwards %v, %d", context.Cause(ctx), s.count())
			}
		})
	})
}

func TestRunKey(t *testing.T) {
	t.Run("own rule: each sign-in has a key of its own, but where a session of the old service may be held: there it has that of this", func(t *testing.T) {
		g := gateway.New(gateway.Config{Base: origin, HTTP: &http.Client{}, Version: "0.1.0", Now: time.Now})
		thumbs := map[string]int{}
		for _, a := range []Agent{{}, {}, {Gateway: g}, {Gateway: g}} {
			for _, bridge := range []string{"", origin} {
				r, err := newRun(Service{Alias: "id.example", Issuer: origin, Origin: origin, Bridge: bridge}, a.key(bridge), nil, time.Now)
				if err != nil {
					t.Fatal(err)
				}
				thumbs[r.thumb]++
			}
		}
		held, err := challenge.KeyThumbprint(&g.Key().PublicKey)
		if err != nil || thumbs[held] != 2 || len(thumbs) != 7 {
			t.Errorf("%v of %d, %v", thumbs, len(thumbs), err)
		}
	})
}
