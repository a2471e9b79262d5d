package main

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

func TestBounds(t *testing.T) {
	s := start(t, nil)
	big := strings.Repeat("x", 1<<20)
	refused := func(p *person) {
		p.t.Helper()
		if p.status < 400 || p.status >= 500 || len(p.hops) != 0 {
			p.t.Errorf("status %d, led to %q; want a refusal: %s", p.status, p.hops, p.seen())
		}
	}
	t.Run("own rule: a form of 1 MB is refused at a page, and changes nothing", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("basic", url.Values{"scope": {"openid selectedrole"}}))
		p.signIn(fiveRoles)
		page, role := p.at.String(), firstRole(p)
		p.send("/login/role", url.Values{"role": {role}, "z": {big}})
		refused(p)
		p.open(page)
		p.wantPage(http.StatusOK, "Choose a role to work in")
		p.send("/login/role", url.Values{"role": {role}})
		p.wantCode()
	})
	t.Run("own rule: a form of 1 MB is refused at authorize, and begins nothing", func(t *testing.T) {
		p := newPerson(t)
		u, err := url.Parse(s.authorizeURL("basic", url.Values{"z": {big}}))
		if err != nil {
			t.Fatal(err)
		}
		p.follow(http.MethodPost, s.issuer+"/authorize", u.Query())
		refused(p)
	})
	t.Run("own rule: a page repeats 200 bytes of what a stranger sent, and no half of a letter", func(t *testing.T) {
		p := newPerson(t)
		p.open(s.authorizeURL("x"+strings.Repeat("é", 200), nil))
		p.wantPage(http.StatusBadRequest, "REQ-01")
		if want := "x" + strings.Repeat("é", 99) + "…"; !strings.Contains(p.text(), " "+want+" ") {
			t.Errorf("the page says %s; want %s", p.text(), want)
		}
	})
	t.Run("own rule: who sends half a header is cut off within 10 s", func(t *testing.T) {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", host(t, s))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: loc")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("still connected: %v", err)
		}
	})
}

func TestInProcessRedis(t *testing.T) {
	t.Run("own rule: others on this computer do not get into the Redis in process", func(t *testing.T) {
		rdb, stop, err := inProcessRedis()
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		if err := rdb.Ping(t.Context()).Err(); err != nil {
			t.Fatalf("the service itself: %v", err)
		}
		own, ok := rdb.(*goredis.Client)
		if !ok {
			t.Fatalf("a client of type %T", rdb)
		}
		for name, password := range map[string]string{"without a password": "", "with a guess": "guess"} {
			other := goredis.NewClient(&goredis.Options{Addr: own.Options().Addr, Password: password})
			err := other.Keys(t.Context(), "*").Err()
			if err == nil || !strings.Contains(err.Error(), "NOAUTH") && !strings.Contains(err.Error(), "WRONGPASS") {
				t.Errorf("%s: %v, want NOAUTH or WRONGPASS", name, err)
			}
			_ = other.Close()
		}
	})
}
