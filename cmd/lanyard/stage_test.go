package main

import (
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/api/dev"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualagent"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/memory"
)

// stages are the service as developers have it, one server in production, and
// two of which each request of a sign-in meets the other one.
var stages = map[string]func(*testing.T) running{
	"memory":              func(t *testing.T) running { t.Helper(); return start(t, nil) },
	"two servers in turn": inTurn,
	"PostgreSQL and Redis": func(t *testing.T) running {
		t.Helper()
		servers, _ := productionAt(t, "", 1)
		return servers[0]
	},
}

// onEveryStage runs a journey on every stage.
func onEveryStage(t *testing.T, journey func(t *testing.T, s running)) {
	t.Helper()
	for stage, open := range stages {
		t.Run(stage, func(t *testing.T) {
			t.Parallel()
			journey(t, open(t))
		})
	}
}

// inTurn are two servers in production behind a balancer that never asks the
// same one twice in a row.
func inTurn(t *testing.T) running {
	t.Helper()
	balancer := httptest.NewUnstartedServer(nil)
	at := named(t, balancer)
	both, _ := productionAt(t, at, 2)
	var asked atomic.Int64
	balancer.Config.Handler = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		to, err := url.Parse(both[asked.Add(1)%2].issuer)
		if err != nil {
			t.Error(err)
			return
		}
		r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host // the Host that was asked for stays
		r.SetXForwarded()
	}}
	balancer.Start()
	t.Cleanup(balancer.Close)
	return running{issuer: at, ops: both[0].ops, log: both[0].log, settings: both[0].settings}
}

// named is the address of a server by name: browsers make keys for names alone.
func named(t *testing.T, server *httptest.Server) string {
	t.Helper()
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "http://localhost:" + port
}

// productionAt are servers of one issuer on one PostgreSQL and one Redis. They
// are wired as `lanyard serve` wires them, and have the virtual cards of
// development beside: people in tests have no reader. Without an issuer each
// has its own address for one. The settings, as change makes them, are what
// other commands need.
func productionAt(t *testing.T, issuer string, number int, change ...func(map[string]string)) (servers []running, settings map[string]string) {
	t.Helper()
	servers, settings, _ = productionWith(t, issuer, number, change...)
	return servers, settings
}

// productionWith is productionAt, and returns the authority of people's cards.
func productionWith(t *testing.T, issuer string, number int, change ...func(map[string]string)) (servers []running, settings map[string]string, authority *cardca.Authority) {
	t.Helper()
	answers := httptest.NewUnstartedServer(nil)
	authority, err := cardca.New(cardca.Config{Name: "Hospital", Now: time.Now, OCSP: "http://" + answers.Listener.Addr().String() + "/ocsp"})
	if err != nil {
		t.Fatal(err)
	}
	answers.Config.Handler = authority.Handler()
	answers.Start()
	t.Cleanup(answers.Close)
	people := productionDirectory(t)

	settings = aProduction(t)
	settings["smartcard.trust_files"] = pemOf(t, authority)
	settings["smartcard.ocsp_networks"], settings["backchannel.networks"] = "127.0.0.0/8", "127.0.0.0/8"
	for _, c := range change {
		c(settings)
	}
	for i := range number {
		server := httptest.NewUnstartedServer(nil)
		at := named(t, server)
		if settings["issuer"] = issuer; issuer == "" {
			settings["issuer"] = at
		}
		s := settledOf(t, settings)
		log, err := os.Create(filepath.Join(t.TempDir(), "log"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = log.Close() })
		p, err := wireProduction(t.Context(), s, newLog(log))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.close)
		if i == 0 {
			if err := p.registry.Load(t.Context(), people, authority.IssuerID()); err != nil {
				t.Fatal(err)
			}
		}
		p.pages.Development = drawerOn(t, p, people, authority, s.Issuer)
		telling(t, p.told)
		server.Config.Handler = p.pages.Routes()
		server.Start()
		t.Cleanup(server.Close)
		operators := httptest.NewServer(p.ops)
		t.Cleanup(operators.Close)
		servers = append(servers, running{issuer: at, ops: operators.URL, log: log.Name(), settings: settings})
	}
	return servers, settings, authority
}

// drawerOn puts the virtual cards of people on a server in production.
func drawerOn(t *testing.T, p *production, people directory.Document, authority *cardca.Authority, issuer string) *api.Development {
	t.Helper()
	held, err := memory.New(people, memory.Options{CardIssuer: authority.IssuerID()})
	if err != nil {
		t.Fatal(err)
	}
	drawer := &dev.Drawer{Authority: authority, Registry: held, Room: p.room, Now: time.Now,
		Agent: virtualagent.Agent{Desk: p.room, Issuer: issuer, Origin: origin(issuer)}}
	return &api.Development{Cards: drawer, Mount: func(chi.Router) {}}
}

// productionDirectory is the directory of these tests without what production
// refuses.
func productionDirectory(t *testing.T) directory.Document {
	t.Helper()
	doc := aDirectory(t)
	doc.Clients = slices.DeleteFunc(doc.Clients, func(c directory.Client) bool { return slices.ContainsFunc(guessed, c.IDP().CheckSecret) })
	return doc
}

// pemOf writes the certificates of an authority to a file.
func pemOf(t *testing.T, a *cardca.Authority) string {
	t.Helper()
	var text []byte
	for _, c := range a.Certificates() {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return written(t, string(text))
}

func TestProduction(t *testing.T) {
	t.Parallel()
	both, settings := productionAt(t, pairIssuer, 2)
	t.Run("own rule: what one server issued the other knows, and what one ended is ended", func(t *testing.T) {
		code := both[0].signedIn(t, "basic", oneRole, nil)
		tokens := both[1].redeem(t, "basic", code, nil)
		tokens.wantOK(t)
		access, _ := tokens.body["access_token"].(string)
		both[0].userinfo(t, access).wantOK(t)
		both[0].redeem(t, "basic", code, nil).wantError(t, http.StatusBadRequest, "invalid_grant")
		for _, s := range both {
			s.userinfo(t, access).wantError(t, http.StatusUnauthorized, "invalid_token")
		}
	})
	t.Run("own rule: a position that was chosen is offered at the other server", func(t *testing.T) {
		p := newPerson(t)
		p.open(both[0].authorizeURL("basic", url.Values{"scope": {"openid selectedrole"}}))
		p.signIn(fiveRoles)
		p.send("/login/role", url.Values{"role": {firstRole(p)}})
		p.wantCode()
		other := newPerson(t)
		other.open(both[1].authorizeURL("basic", url.Values{"scope": {"openid selectedrole"}}))
		other.signIn(fiveRoles)
		other.wantPage(http.StatusOK, "Continue with the same role?")
	})
	t.Run("own rule: each step stands in the journal, and its chains are whole", func(t *testing.T) {
		both[0].redeem(t, "basic", both[1].signedIn(t, "basic", oneRole, nil), nil).wantOK(t)
		if seen := lanyard(t, settings, "audit", "verify"); seen.status != 0 {
			t.Errorf("%d\n%s%s", seen.status, seen.out, seen.errors)
		}
		events := lanyard(t, settings, "audit", "export").out
		for _, kind := range []idp.Kind{idp.SignedIn, idp.RoleChosen, idp.TokenIssued, idp.CodeReused} {
			if !strings.Contains(events, `"kind":"`+string(kind)+`"`) {
				t.Errorf("the journal has no %s", kind)
			}
		}
	})
	t.Run("own rule: a doctor finds nothing that fails", func(t *testing.T) {
		seen := lanyard(t, settings, "doctor", "--json")
		var findings []finding
		if err := json.Unmarshal([]byte(seen.out), &findings); err != nil || seen.status != 0 || len(findings) < 8 {
			t.Errorf("%d, %v\n%s%s", seen.status, err, seen.out, seen.errors)
		}
	})
}
