package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/api/dev"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/conformance/servers"
	"github.com/lanyard-id/lanyard/store/redis"
)

// onRedis starts a service on a real Redis, which change may alter before it
// is put together.
func onRedis(t *testing.T, change func(*parts)) (running, *servers.Redis) {
	t.Helper()
	one, err := servers.StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := one.Stop(); err != nil {
			t.Error(err)
		}
	})
	o := &goredis.UniversalOptions{Addrs: []string{one.Address()}}
	redis.Harden(o)
	rdb := goredis.NewUniversalClient(o)
	t.Cleanup(func() { _ = rdb.Close() })

	server := httptest.NewUnstartedServer(nil)
	at := "http://" + server.Listener.Addr().String()
	p := aParts(t, at, time.Now, rdb)
	if change != nil {
		change(&p.parts)
	}
	s := p.withVirtualCards(t)
	server.Config.Handler = s.pages.Routes()
	server.Start()
	t.Cleanup(server.Close)
	counts := httptest.NewServer(s.ops)
	t.Cleanup(counts.Close)
	return running{issuer: at, ops: counts.URL, log: p.logged}, one
}

// soon runs act, which must not take long: the promise is 2 s, and a busy
// machine gets more.
func soon(t *testing.T, act func()) {
	t.Helper()
	start := time.Now()
	if act(); time.Since(start) > 5*time.Second {
		t.Errorf("it took %v", time.Since(start))
	}
}

// wantLater checks that an answer says when to come back.
func wantLater(t *testing.T, h http.Header) {
	t.Helper()
	if after, err := strconv.Atoi(h.Get("Retry-After")); err != nil || after < 5 || after > 10 {
		t.Errorf("Retry-After is %q, want 5 to 10", h.Get("Retry-After"))
	}
}

func TestRedisFrozen(t *testing.T) {
	s, one := onRedis(t, nil)
	p := newPerson(t)
	p.open(s.authorizeURL("basic", nil))
	p.signIn(oneRole)
	tokens := s.redeem(t, "basic", p.wantCode(), nil)
	tokens.wantOK(t)
	token, _ := tokens.body["access_token"].(string)
	p.open(s.authorizeURL("basic", nil))
	spent, kept := p.wantCode(), s.signedIn(t, "basic", fiveRoles, nil)
	begun := newPerson(t)
	begun.open(s.authorizeURL("basic", nil))

	if err := one.Freeze(); err != nil {
		t.Fatal(err)
	}
	t.Run("F6: authorize tells the client, with prompt=none too and never that nobody is signed in", func(t *testing.T) {
		for _, more := range []url.Values{nil, {"prompt": {"none"}}} {
			soon(t, func() { p.open(s.authorizeURL("basic", more)) })
			if a := p.answer(); a.Get("error") != "temporarily_unavailable" || a.Get("state") != "the state" || a.Get("iss") != s.issuer || a.Has("code") {
				t.Errorf("the client got %v", a)
			}
		}
	})
	t.Run("P21: token and userinfo answer 503, say when to come back, and nothing else", func(t *testing.T) {
		for name, ask := range map[string]func() answered{
			"token":    func() answered { return s.redeem(t, "basic", spent, nil) },
			"userinfo": func() answered { return s.userinfo(t, token) },
		} {
			soon(t, func() {
				a := ask()
				a.wantError(t, http.StatusServiceUnavailable, "temporarily_unavailable")
				if len(a.body) != 1 || a.header.Get("Cache-Control") != "no-store" {
					t.Errorf("%s: %v, Cache-Control %q", name, a.body, a.header.Get("Cache-Control"))
				}
				wantLater(t, a.header)
			})
		}
	})
	t.Run("P21: people read a page that says so, and may try again", func(t *testing.T) {
		soon(t, func() { begun.open(begun.at.String()) })
		begun.wantPage(http.StatusServiceUnavailable, "ERR-02")
		wantLater(t, begun.header)
	})
	t.Run("F6: no wrong secret goes uncounted", func(t *testing.T) {
		soon(t, func() {
			s.guess(t, "post", "wrong", "").wantError(t, http.StatusServiceUnavailable, "temporarily_unavailable")
		})
	})
	t.Run("F6: discovery and keys answer, and so do those who watch", func(t *testing.T) {
		for _, path := range []string{"/.well-known/openid-configuration", "/jwks"} {
			soon(t, func() { do(t, request(t, http.MethodGet, s.issuer+path, nil, "")).wantOK(t) })
		}
		for range 4 {
			s.userinfo(t, token)
		}
		counted := s.counted(t)
		for _, line := range []string{`lanyard_circuit_open{store="redis"} 1`, `lanyard_refused_total{code="ERR-02"} 1`,
			`lanyard_sign_in_total{method="smartcard",result="ok"} 2`, `lanyard_token_total{grant="authorization_code",result="ok"} 1`,
			`lanyard_token_total{grant="authorization_code",result="unavailable"} 1`, "lanyard_audit_failures_total 0",
			`lanyard_store_errors_total{store="redis"}`, `lanyard_store_seconds_count{operation="evalsha",store="redis"}`} {
			if !strings.Contains(counted, line) {
				t.Errorf("the metrics lack %s", line)
			}
		}
	})
	if err := one.Thaw(); err != nil {
		t.Fatal(err)
	}
	t.Run("F6: afterwards all goes on without a restart: tokens, logins that had begun, new ones", func(t *testing.T) {
		until(t, "it has recovered", func() bool { return s.userinfo(t, token).status == http.StatusOK })
		s.redeem(t, "basic", kept, nil).wantOK(t)
		begun.link("/login")
		begun.signIn(oneRole)
		begun.wantCode()
	})
}

// counted is what the metrics say.
func (s running) counted(t *testing.T) string {
	t.Helper()
	p := newPerson(t)
	p.open(s.ops + "/metrics")
	return p.text()
}

// stuck is a store of logins that takes its time, as long as it is given.
type stuck struct {
	idp.LoginStore
	entered chan struct{}
}

func (s stuck) AddLogin(ctx context.Context, _ idp.Login) error {
	s.entered <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func TestOverload(t *testing.T) {
	s, err := wireDev(t.Context(), devOptions{layout: "standard", issuer: "http://localhost:1", seed: seed(t)}, "http://localhost:1", "http://localhost:1", slog.New(slog.DiscardHandler), dev.NewLog())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	const most = 8
	store := stuck{s.pages.Logins.Store, make(chan struct{}, most)}
	s.pages.Logins.Store, s.pages.InHand = store, most
	server := httptest.NewServer(s.pages.Routes())
	t.Cleanup(server.Close)
	at := running{issuer: server.URL}

	told := make(chan url.Values, most)
	for range most * 3 / 4 {
		p := newPerson(t)
		go func() { p.open(at.authorizeURL("basic", nil)); told <- p.answer() }()
	}
	for range cap(store.entered) * 3 / 4 {
		<-store.entered
	}
	t.Run("F28: while most is in hand nobody begins, those who have begun go on, and who is turned away hears at once", func(t *testing.T) {
		req := request(t, http.MethodGet, at.authorizeURL("basic", nil), nil, "")
		req.Header.Set("Accept", "text/html")
		soon(t, func() {
			a := do(t, req)
			if a.status != http.StatusServiceUnavailable {
				t.Errorf("authorize: %d, want 503", a.status)
			}
			wantLater(t, a.header)
			do(t, request(t, http.MethodGet, at.authorizeURL("basic", nil), nil, "")).wantError(t, http.StatusServiceUnavailable, "temporarily_unavailable")
			p := newPerson(t)
			p.open(at.issuer + "/login?id=x")
			p.wantPage(http.StatusBadRequest, "SES-01")
			at.userinfo(t, "x").wantError(t, http.StatusUnauthorized, "invalid_token")
		})
	})
	t.Run("F6: a request is given up after its time, and its client told", func(t *testing.T) {
		soon(t, func() {
			for range most * 3 / 4 {
				if a := <-told; a.Get("error") != "temporarily_unavailable" {
					t.Errorf("the client got %v", a)
				}
			}
		})
	})
}
