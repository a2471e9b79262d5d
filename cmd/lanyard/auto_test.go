package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/api/dev"
)

func TestAutoLogin(t *testing.T) {
	as := func(uid string) func(*devOptions) { return func(o *devOptions) { o.autoLogin = uid } }
	t.Run("auto-login: redirects alone, at most five, each time a fresh sign-in", func(t *testing.T) {
		s := start(t, as(fiveRoles))
		p := newPerson(t)
		for name, ask := range map[string]url.Values{
			"nothing": nil, "login": {"prompt": {"login"}}, "max_age": {"max_age": {"0"}}, "none": {"prompt": {"none"}},
			"role": {"scope": {"openid selectedrole"}}, "new role": {"scope": {"openid changedrole"}, "prompt": {"none"}},
			"somebody else": {"login_hint": {oneRole}, "prompt": {"none"}},
		} {
			p.open(s.authorizeURL("basic", ask))
			if p.answer().Get("code") == "" || len(p.hops) > 5 {
				t.Errorf("%s: %v in %d hops: %s", name, p.answer(), len(p.hops), p.seen())
			}
		}
	})
	t.Run("auto-login: of several positions the first by id", func(t *testing.T) {
		s := start(t, as(fiveRoles))
		p := newPerson(t)
		p.open(s.authorizeURL("basic", url.Values{"scope": {"openid selectedrole nationalrbacaccess"}}))
		tokens := s.redeem(t, "basic", p.wantCode(), nil)
		tokens.wantOK(t)
		token, _ := tokens.body["access_token"].(string)
		info := s.userinfo(t, token)
		info.wantOK(t)
		roles, _ := info.body["nhsid_nrbac_roles"].([]any)
		for _, r := range roles {
			if id, _ := r.(map[string]any)["person_roleid"].(string); id < info.body["selected_roleid"].(string) {
				t.Errorf("selected %v although there is %s", info.body["selected_roleid"], id)
			}
		}
		if len(roles) != 5 {
			t.Errorf("%d roles, want 5", len(roles))
		}
	})
	t.Run("auto-login: what the card cannot meet, and a card that cannot be used, are the client's errors", func(t *testing.T) {
		for _, tt := range []struct {
			uid, client string
			ask         url.Values
			want        string
		}{
			{oneRole, "basic", url.Values{"acr_values": {"AAL3_FIDO2"}}, "unmet_authentication_requirements"},
			{oneRole, "basic", url.Values{"acr_values": {"AAL2_TOTP"}}, "unmet_authentication_requirements"},
			{noCard, "basic", nil, "access_denied"},
			{expired, "basic", nil, "access_denied"},
			{unknown, "basic", url.Values{"prompt": {"none"}}, "access_denied"},
			{closed, "basic", nil, "access_denied"},
			{unverified, "basic", nil, "access_denied"},
			{noRole, "needs-role", nil, "access_denied"},
		} {
			s := start(t, as(tt.uid))
			p := newPerson(t)
			p.open(s.authorizeURL(tt.client, tt.ask))
			p.wantError(tt.want)
		}
	})
	t.Run("auto-login: nobody of that uid is status 3", func(t *testing.T) {
		if got := run(t.Context(), []string{"dev", "--auto-login", "999999999999", "--listen", "localhost:0", "--rp-listen", "localhost:0", "--ops-listen", "localhost:0"}); got != 3 {
			t.Errorf("status %d, want 3", got)
		}
	})
}

func TestRun(t *testing.T) {
	anywhere := []string{"--listen", "localhost:0", "--rp-listen", "localhost:0", "--ops-listen", "localhost:0"}
	t.Run("own rule: what cannot be meant is status 2", func(t *testing.T) {
		for _, args := range [][]string{
			{}, {"nothing"}, {"dev", "--nothing"}, {"dev", "more"}, {"dev", "--listen", "0.0.0.0:0"}, {"dev", "--listen", "example.com:0"},
			append([]string{"dev", "--layout", "other"}, anywhere...), append([]string{"dev", "--seed", "/nothing/here"}, anywhere...),
			append([]string{"dev", "--issuer", "id.example"}, anywhere...), append([]string{"dev", "--issuer", "ftp://id.example"}, anywhere...),
			append([]string{"dev", "--issuer", "http://u:p@id.example"}, anywhere...), append([]string{"dev", "--issuer", "http://id.example//"}, anywhere...),
			append([]string{"dev", "--issuer", "http://id.example/?x"}, anywhere...),
		} {
			if got := run(t.Context(), args); got != 2 {
				t.Errorf("%v: status %d, want 2", args, got)
			}
		}
	})
	t.Run("own rule: development refuses to start where production was meant", func(t *testing.T) {
		for _, name := range []string{"LANYARD_POSTGRES_URL", "LANYARD_REDIS_ADDRESSES", "LANYARD_KEYS_KEYSET_FILE"} {
			t.Setenv(name, "")
			if got := run(t.Context(), append([]string{"dev"}, anywhere...)); got != 2 {
				t.Errorf("%s: status %d, want 2", name, got)
			}
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("own rule: the signal to stop is status 0", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		out, in := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			ended <- runDev(ctx, devOptions{listen: "localhost:0", rpListen: "localhost:0", opsListen: "localhost:0", layout: "standard"}, in, os.Stderr)
		}()
		ready(t, out, "")
		stop()
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("own rule: a connection that asks nothing does not hold up the end", func(t *testing.T) {
		var silent []net.Conn
		t.Cleanup(func() { // after the service's end, which fails the test if it had to wait
			for _, c := range silent {
				_ = c.Close()
			}
		})
		s := start(t, nil)
		for range 3 {
			c, err := net.Dial("tcp", s.issuer[len("http://"):])
			if err != nil {
				t.Fatal(err)
			}
			silent = append(silent, c)
		}
		do(t, request(t, http.MethodGet, s.issuer+"/", nil, "")) // the connections before it were accepted
	})
	t.Run("own rule: a taken port is said and nothing is left listening", func(t *testing.T) {
		s := start(t, nil)
		taken := s.issuer[len("http://"):]
		err := runDev(t.Context(), devOptions{listen: "localhost:0", rpListen: "localhost:0", opsListen: taken, layout: "standard"}, io.Discard, os.Stderr)
		var e exit
		if err == nil || errors.As(err, &e) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestOps(t *testing.T) {
	s := start(t, nil)
	t.Run("own rule: a request is counted once, under one route", func(t *testing.T) {
		s.redeem(t, "basic", s.signedIn(t, "basic", oneRole, nil), nil).wantOK(t)
		logged, err := os.ReadFile(s.log)
		if err != nil {
			t.Fatal(err)
		}
		if text := string(logged); !strings.Contains(text, `"route":"/token"`) || strings.Contains(text, "/token/token") {
			t.Errorf("the log does not name the route: %s", text)
		}
	})
	t.Run("own rule: development answers to names of this computer alone", func(t *testing.T) {
		req := request(t, http.MethodGet, s.issuer+"/", nil, "")
		req.Host = "rebound.example"
		if a := do(t, req); a.status != http.StatusMisdirectedRequest {
			t.Errorf("status %d, want 421", a.status)
		}
	})
	t.Run("own rule: health, readiness and metrics stand on their own listener and nowhere else", func(t *testing.T) {
		for path, at := range map[string]map[string]int{
			"/healthz": {s.ops: 200, s.issuer: 404}, "/readyz": {s.ops: 200, s.issuer: 404}, "/metrics": {s.ops: 200, s.issuer: 404},
			"/ready": {s.issuer: 404}, "/": {s.ops: 404},
		} {
			for base, want := range at {
				req := request(t, http.MethodGet, base+path, nil, "")
				if a := do(t, req); a.status != want {
					t.Errorf("%s%s: %d, want %d", base, path, a.status, want)
				}
			}
		}
	})
}

func TestLayouts(t *testing.T) {
	t.Run("OIDC Discovery §4: in both layouts discovery is true", func(t *testing.T) {
		for _, layout := range []string{"standard", "cis2"} {
			s := start(t, func(o *devOptions) { o.layout = layout })
			req := request(t, http.MethodGet, s.issuer+"/.well-known/openid-configuration", nil, "")
			d := do(t, req)
			d.wantOK(t)
			if d.body["issuer"] != s.issuer {
				t.Errorf("issuer %v, want %s", d.body["issuer"], s.issuer)
			}
			for name, want := range map[string]int{"authorization_endpoint": 400, "token_endpoint": 405, "userinfo_endpoint": 401, "jwks_uri": 200, "end_session_endpoint": 200} {
				address, _ := d.body[name].(string)
				req := request(t, http.MethodGet, address, nil, "")
				if a := do(t, req); a.status != want {
					t.Errorf("%s %s: %d, want %d", name, address, a.status, want)
				}
			}
		}
	})
	t.Run("CIS2: an issuer is kept to the letter, an explicit :443 included", func(t *testing.T) {
		const issuer = "https://id.example:443/openam/oauth2/realms/root/realms/NHSIdentity/realms/Healthcare"
		o := devOptions{layout: "cis2", issuer: issuer}
		file, err := os.Create(t.TempDir() + "/log")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		s, err := wireDev(t.Context(), o, "http://localhost:1", "http://localhost:1", newLog(file), dev.NewLog())
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		if got := origin(issuer); got != "https://id.example" {
			t.Errorf("origin %s", got)
		}
	})
}
