package desk

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

func TestStopped(t *testing.T) {
	for name, at := range map[string]func(s *aService, stop func()) *person{
		"when its link was taken": func(s *aService, stop func()) *person {
			s.redeems = func(*http.Request) *http.Response { stop(); return answer(http.StatusOK, s.question) }
			return types("123456")
		},
		"before the passcode": func(s *aService, stop func()) *person {
			return &person{ask: func(ctx context.Context, _ int) ([]byte, error) { stop(); <-ctx.Done(); return nil, ctx.Err() }}
		},
		"while it signs": func(s *aService, stop func()) *person {
			s.reports = func(_ *http.Request, r report) *http.Response {
				if r.State == signing {
					stop()
				}
				return nil
			}
			return types("123456")
		},
		"when the answer was sent": func(s *aService, stop func()) *person {
			s.responds = func(*http.Request) *http.Response {
				stop()
				return answer(http.StatusOK, map[string]string{"cc": digestOf('c')})
			}
			return types("123456")
		},
		"before the browser comes": func(s *aService, stop func()) *person {
			s.responds = func(*http.Request) *http.Response {
				time.AfterFunc(100*time.Millisecond, stop)
				return answer(http.StatusOK, map[string]string{"cc": digestOf('c')})
			}
			return types("123456")
		},
	} {
		t.Run("desk-auth/1: an agent that was told to stop says so, "+name, func(t *testing.T) {
			s := newService()
			ctx, stop := context.WithCancel(t.Context())
			p := at(s, stop)
			err := s.agent(cardsOf(newCard(t, "Asha")), p).SignIn(ctx, aLink)
			if !errors.Is(err, ErrStopped) || wordsOf(err) != "" || len(s.signed) != 0 {
				t.Errorf("SignIn() = %v", err)
			}
			if got := s.states(); len(got) == 0 || got[len(got)-1] != agentStopped {
				t.Errorf("it heard %v", got)
			}
		})
	}
	t.Run("own rule: an agent that was told to stop takes no link any more", func(t *testing.T) {
		s := newService()
		s.redeems = func(*http.Request) *http.Response { t.Error("it did"); return answer(http.StatusGone, nil) }
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := s.agent(cardsOf(), types()).SignIn(ctx, aLink); !errors.Is(err, ErrStopped) {
			t.Errorf("SignIn() = %v", err)
		}
	})
}

func TestDesk(t *testing.T) {
	t.Run("desk-auth/1: a second link learns that the desk is busy, and opens no window", func(t *testing.T) {
		s := newService()
		inside, may := make(chan struct{}), make(chan struct{})
		p := &person{ask: func(context.Context, int) ([]byte, error) { close(inside); <-may; return nil, prompt.ErrCancelled }}
		d := At(s.agent(cardsOf(newCard(t, "Asha"), newCard(t, "Asha")), p))
		first := make(chan error, 1)
		go func() { first <- d.Open(t.Context(), aLink) }()
		<-inside
		if err := d.Open(t.Context(), aLink); !errors.Is(err, ErrBusy) {
			t.Errorf("Open() = %v", err)
		}
		if got := s.states(); !slices.Contains(got, agentBusy) || len(p.asked) != 1 || len(p.told) != 0 {
			t.Errorf("it heard %v; asked %d times, told %q", got, len(p.asked), p.told)
		}
		close(may)
		if err := <-first; !errors.Is(err, prompt.ErrCancelled) {
			t.Errorf("the first: %v", err)
		}
	})
	t.Run("own rule: why nobody was signed in is said until the next link comes", func(t *testing.T) {
		s := newService()
		s.redeems = func(*http.Request) *http.Response { return answer(http.StatusGone, nil) }
		p := types()
		d := At(s.agent(cardsOf(), p))
		first, second := make(chan error, 1), make(chan error, 1)
		shown := func(n int) {
			for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
				p.mu.Lock()
				ok := len(p.told) == n && p.open == 1
				p.mu.Unlock()
				if ok {
					return
				}
			}
			t.Errorf("%d messages are not shown: %q", n, p.told)
		}
		go func() { first <- d.Open(t.Context(), aLink) }()
		shown(1)
		ctx, stop := context.WithCancel(t.Context())
		go func() { second <- d.Open(ctx, aLink) }()
		shown(2)
		if err := <-first; !errors.Is(err, ErrGone) {
			t.Errorf("the first: %v", err)
		}
		stop()
		if err := <-second; !errors.Is(err, ErrGone) {
			t.Errorf("the second: %v", err)
		}
	})
	t.Run("own rule: a desk serves its own computer alone", func(t *testing.T) {
		b, err := newBounce(t.Context(), origin, func(net.Addr, net.Addr) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		defer b.close()
		if !b.listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
			t.Errorf("it listens on %v", b.listener.Addr())
		}
	})
}
