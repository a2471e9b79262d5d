package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

func TestMigrateCommand(t *testing.T) {
	t.Parallel()
	settings := map[string]string{"postgres.url": newDatabase(t, "template1")}
	t.Run("own rule: status says what is lacking, up brings it, and then nothing is", func(t *testing.T) {
		if got := lanyard(t, settings, "migrate", "status"); got.status != exitFailed || !strings.Contains(got.out, "waiting  00001_registry.sql") {
			t.Errorf("before: %d\n%s%s", got.status, got.out, got.errors)
		}
		for range 2 {
			if got := lanyard(t, settings, "migrate", "up"); got.status != 0 || strings.Contains(got.out, "waiting") {
				t.Errorf("up: %d\n%s%s", got.status, got.out, got.errors)
			}
		}
		if got := lanyard(t, settings, "migrate", "status"); got.status != 0 || !strings.Contains(got.out, "done     00001_registry.sql") {
			t.Errorf("after: %d\n%s%s", got.status, got.out, got.errors)
		}
	})
	t.Run("own rule: a database that does not answer cannot be reached", func(t *testing.T) {
		if got := lanyard(t, map[string]string{"postgres.url": "postgres://127.0.0.1:1/x"}, "migrate", "status"); got.status != exitUnreached {
			t.Errorf("%d\n%s", got.status, got.errors)
		}
	})
	t.Run("own rule: a command that is none, and words too many, are wrong usage", func(t *testing.T) {
		for _, args := range [][]string{{"migrate"}, {"migrate", "down"}, {"serve", "now"}, {"keys", "list", "all"}, {"bootstrap"}, {"serve", "--nothing"}} {
			if got := lanyard(t, settings, args...); got.status != exitUsage {
				t.Errorf("%v: %d\n%s", args, got.status, got.errors)
			}
		}
	})
}

// hospital writes a directory document with a manager-to-be.
func hospital(t *testing.T, change func(*directory.Document)) string {
	t.Helper()
	doc := directory.Document{
		Organisations: []directory.Organisation{{Code: "X26", Name: "Northern"}},
		People: []directory.Person{{UID: "555000000116", Name: directory.Name{Given: "Priya", Family: "Nair"}, NINumber: "QQ123456C", Profile: idp.Verified,
			Cards: []directory.Card{{Serial: "0000116", Series: 9, State: "active", Registered: true, Certificate: "valid", TriesLeft: 3}}}},
	}
	if change != nil {
		change(&doc)
	}
	return writtenDirectory(t, doc)
}

func TestBootstrap(t *testing.T) {
	t.Parallel()
	settings := aProduction(t)
	for _, tt := range []struct {
		rule   string
		uid    string
		change func(*directory.Document)
		flags  []string
		status int
		want   string
	}{
		{"own rule: nobody of that uid", "555000000117", nil, []string{"--organisation", "X26"}, exitNotFound, "nobody in the document has the uid"},
		{"own rule: no such organisation", "555000000116", nil, []string{"--organisation", "Y1"}, exitNotFound, "no organisation in the document has the code"},
		{"own rule: no position and no organisation for one", "555000000116", nil, nil, exitFailed, "holds no position R5080"},
		{"own rule: a manager without a card could not sign in", "555000000116", func(d *directory.Document) { d.People[0].Cards[0].State = "suspended" }, []string{"--organisation", "X26"}, exitFailed, "has no active card"},
		{"own rule: a manager is verified", "555000000116", func(d *directory.Document) { d.People[0].Profile = idp.Restricted }, []string{"--organisation", "X26"}, exitFailed, "must be verified"},
		{"own rule: no passcode of a real card", "555000000116", func(d *directory.Document) { d.People[0].Cards[0].Passcode = "123456" }, []string{"--organisation", "X26"}, exitFailed, "the document holds its passcode"},
		{"F35: no application with the secret of a manual", "555000000116", func(d *directory.Document) {
			d.Clients = []directory.Client{{ID: "a", SecretHash: directory.SecretHash(idp.HashSecret("demo-secret")), AuthMethod: idp.SecretBasic, Scopes: []string{"openid"},
				Grants: []string{"authorization_code"}, ResponseModes: []string{"query"}, IDTokenAlg: "RS256", ACRDefault: idp.AAL3Any, MinLevel: 1, RedirectURIs: []string{"https://a.example/"}}}
		}, []string{"--organisation", "X26"}, exitFailed, "its secret is one that everybody tries first"},
		{"own rule: an authority that nobody trusts issued the cards", "555000000116", nil, []string{"--organisation", "X26", "--card-issuer", strings.Repeat("A", 64)}, exitNotFound, "names no authority"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got := lanyard(t, settings, append([]string{"bootstrap", tt.uid, "--directory", hospital(t, tt.change)}, tt.flags...)...)
			if got.status != tt.status || !strings.Contains(got.errors, tt.want) {
				t.Errorf("%d\n%s", got.status, got.errors)
			}
		})
	}
	t.Run("own rule: an empty registry is filled once, and the journal tells of both tries", func(t *testing.T) {
		args := []string{"bootstrap", "555000000116", "--directory", hospital(t, nil), "--organisation", "X26"}
		if got := lanyard(t, settings, args...); got.status != 0 || !strings.HasPrefix(got.out, "loaded people=1 clients=0 manager=555000000116 position=") {
			t.Fatalf("%d\n%s%s", got.status, got.out, got.errors)
		}
		if got := lanyard(t, settings, args...); got.status != exitFailed || !strings.Contains(got.errors, "the registry is not empty") {
			t.Errorf("again: %d\n%s", got.status, got.errors)
		}
		store, done, err := openProduction(t.Context(), settledOf(t, settings), discard(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer done()
		p, err := store.Person(t.Context(), "555000000116")
		if err != nil || len(p.Positions) != 1 || p.Positions[0].RoleCode != managerRoleCode || p.Positions[0].Organisation.Code != "X26" {
			t.Errorf("%v, %v", p.Positions, err)
		}
		var kinds []idp.Kind
		for line := range strings.Lines(lanyard(t, settings, "audit", "export").out) {
			var e idp.Event
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			kinds = append(kinds, e.Kind)
		}
		if !slices.Equal(kinds, []idp.Kind{idp.Bootstrapped, idp.Bootstrapped, idp.BootstrapNo}) {
			t.Errorf("the journal has %v", kinds)
		}
	})
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	t.Run("own rule: what would stop a server fails, with what to do", func(t *testing.T) {
		settings := aProduction(t)
		sql(t, settings["postgres.url"], "DELETE FROM signing_keys")
		settings["redis.addresses"] = "127.0.0.1:1"
		settings["smartcard.revocation"] = "soft"
		got := lanyard(t, settings, "doctor")
		for _, want := range []string{"fail  redis: it does not answer", "fail  keys: ", "warn  smartcard.revocation: ", "ok    postgres: version ", "warn  issuer: nobody answers"} {
			if !strings.Contains("\n"+got.out, "\n"+want) {
				t.Errorf("it does not say %q:\n%s", want, got.out)
			}
		}
		if got.status != exitFailed {
			t.Errorf("it ended with %d", got.status)
		}
	})
	t.Run("own rule: a password in an address is repeated by nothing that looks at it", func(t *testing.T) {
		for key, value := range map[string]string{
			"redis.addresses": "redis://:Xk29dLq@127.0.0.1:1", "issuer": "https://u:Xk29dLq%zz@127.0.0.1:1",
			"postgres.url": "postgres:/lanyard:Xk29dLq@127.0.0.1:1/x", "tracing.endpoint": "http://u:Xk29dLq@127.0.0.1:1",
		} {
			t.Run(key, func(t *testing.T) {
				t.Parallel()
				for _, args := range [][]string{{"serve"}, {"doctor"}, {"config", "show"}} {
					if got := lanyard(t, map[string]string{key: value}, args...); strings.Contains(got.out+got.errors, "Xk29dLq") {
						t.Errorf("%s, %v:\n%s%s", key, args, got.out, got.errors)
					}
				}
			})
		}
	})
	t.Run("own rule: it asks a running service for its name", func(t *testing.T) {
		settings := aProduction(t)
		s := serveOn(t, settings)
		settings["issuer"] = s.people
		got := lanyard(t, settings, "doctor")
		if want := `fail  issuer: who answers there calls itself "http://localhost:1"`; !strings.Contains(got.out, want) {
			t.Errorf("it does not say %q:\n%s", want, got.out)
		}
	})
}

// TestLeave is about one process, so that what is in hand can be held there.
func TestLeave(t *testing.T) {
	t.Run("F2: what is in hand is finished, and operators are the last to be left alone", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		listeners, err := listenOn(t.Context(), "localhost:0", "localhost:0")
		if err != nil {
			t.Fatal(err)
		}
		inHand, parted, finish := make(chan struct{}), make(chan struct{}), make(chan struct{})
		people := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(inHand)
			<-finish
			_, _ = io.WriteString(w, "done")
		})
		operators := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		ended := make(chan error, 1)
		go func() {
			ended <- serve(ctx, discard(), leave{notice: func() {}, parted: func() { close(parted) }, drain: time.Minute},
				site{listeners[0], people}, site{listeners[1], operators})
		}()
		answered := make(chan string, 1)
		go func() {
			resp, err := http.Get("http://" + listeners[0].Addr().String())
			if err != nil {
				answered <- err.Error()
				return
			}
			b, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			answered <- string(b)
		}()
		<-inHand
		stop()
		<-parted
		until(t, "it accepts nobody else", func() bool {
			c, err := net.Dial("tcp", listeners[0].Addr().String())
			if err == nil {
				_ = c.Close()
			}
			return err != nil
		})
		if got := status(t, "http://"+listeners[1].Addr().String()); got != http.StatusOK {
			t.Errorf("operators get %d", got)
		}
		close(finish)
		if got := <-answered; got != "done" {
			t.Errorf("the request in hand got %q", got)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestConfigCommand(t *testing.T) {
	t.Parallel()
	t.Run("own rule: config show tells each value and its place, and reads no secret", func(t *testing.T) {
		got := lanyard(t, map[string]string{"issuer": "https://id.example", "redis.password_file": written(t, "Xk29dLq")}, "config", "show", "--sources", "--listen", "localhost:9")
		for _, want := range []string{"https://id.example", "# environment LANYARD_ISSUER", "# option --listen", "# default"} {
			if !strings.Contains(got.out, want) {
				t.Errorf("it does not say %q", want)
			}
		}
		if got.status != 0 || strings.Contains(got.out, "Xk29dLq") {
			t.Errorf("%d\n%s", got.status, got.out)
		}
	})
}
