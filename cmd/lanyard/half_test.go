package main

import (
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/authenticators/federated"
)

// routesOf are the routes of the service under /login and /account, as METHOD
// path.
func routesOf(t *testing.T, s *service) []string {
	t.Helper()
	routes, ok := s.pages.Routes().(chi.Routes)
	if !ok {
		t.Fatal("the routes cannot be walked")
	}
	var all []string
	err := chi.Walk(routes, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if strings.HasPrefix(route, "/login") || strings.HasPrefix(route, "/account") {
			all = append(all, method+" "+route)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

// half is one way to call every endpoint with too little.
type half struct {
	name  string
	begin func(t *testing.T) (p *person, id string) // the browser, and the login that it names
	// may are the routes that may be answered with 200: what they show is
	// everybody's, or of whoever is there.
	may func(method, path string) bool
}

func TestHalfASignIn(t *testing.T) {
	c := aClocked(t, func(p *parts) {
		p.upstream = &federated.Config{Name: "Nowhere", Issuer: "http://localhost:1", ClientID: "x", ClientSecret: "x", HTTP: newOutside(true)}
	})
	s := c.running
	routes := routesOf(t, c.withVirtualCards(t))
	if len(routes) < 40 {
		t.Fatalf("only %d routes: %v", len(routes), routes)
	}

	// Somebody whose account holds one of each, and is signed in twice.
	victim, key := newPerson(t), aKey(t)
	victim.atAccount(s, oneRole)
	which := victim.addsKey(s, key, "Victim's key")
	victim.addsCode(s, c.clock())
	victim.open(s.issuer + "/account")
	sid := victim.thisSid()

	begun := func(t *testing.T) (*person, string) {
		t.Helper()
		p := s.asks(t)
		return p, p.at.Query().Get("id")
	}
	nothing := func(string, string) bool { return false }
	ofLogins := func(_, path string) bool { return strings.HasPrefix(path, "/login") }
	for _, h := range []half{
		{"nothing at all", func(t *testing.T) (*person, string) { t.Helper(); return newPerson(t), "" }, nothing},
		{"a login of another browser", func(t *testing.T) (*person, string) {
			t.Helper()
			_, id := begun(t)
			return newPerson(t), id
		}, nothing},
		{"a login of another browser, and a login of one's own", func(t *testing.T) (*person, string) {
			t.Helper()
			_, id := begun(t)
			p, _ := begun(t)
			return p, id
		}, nothing},
		{"a login at which nobody has signed in", begun, ofLogins},
		{"a login that waits for a card", func(t *testing.T) (*person, string) {
			t.Helper()
			p, id := begun(t)
			p.post("/login/smartcard/begin", url.Values{"id": {id}})
			return p, id
		}, ofLogins},
		{"a login that was cancelled", func(t *testing.T) (*person, string) {
			t.Helper()
			p, id := begun(t)
			p.post("/login/cancel", url.Values{"id": {id}})
			return p, id
		}, nothing},
		{"a login that is over, with the session of somebody else", func(t *testing.T) (*person, string) {
			t.Helper()
			p, id := begun(t)
			p.signIn(fiveRoles)
			p.wantCode()
			return p, id
		}, func(_, path string) bool { return strings.HasPrefix(path, "/account") }},
		{"a login whose role somebody else must choose", func(t *testing.T) (*person, string) {
			t.Helper()
			p := newPerson(t)
			p.open(s.authorizeURL("basic", url.Values{"scope": {"openid selectedrole"}}))
			id := p.at.Query().Get("id")
			p.signIn(fiveRoles)
			return p, id
		}, func(string, string) bool { return true }},
	} {
		for _, route := range routes {
			t.Run("own rule: "+h.name+" opens nothing of another's: "+route, func(t *testing.T) {
				c.wait(time.Second) // whoever signed out everywhere may sign in again after that
				p, id := h.begin(t)
				method, path, _ := strings.Cut(route, " ")
				p.try(s, method, path, url.Values{"id": {id}, "which": {which}, "sid": {sid}, "role": {firstOf(t, oneRole)}, "card": {card(oneRole)},
					"question": {"x"}, "answer": {`{"question":"x","credential":{}}`}, "email": {emailOf(t, oneRole)}, "password": {goodPassword}, "old": {goodPassword},
					"code": {"000000"}, "mailed": {"00000000"}, "name": {"Thief's"}, "state": {"x"}})
				if p.status >= http.StatusInternalServerError && p.message() != "FED-04" {
					t.Errorf("status %d:\n%s", p.status, p.seen())
				}
				if p.status == http.StatusOK && !h.may(method, path) && p.at.Path == path {
					t.Errorf("it is answered with a page at %s:\n%s", p.at, p.seen())
				}
				if p.answer().Get("code") != "" {
					t.Errorf("the client gets a code: %v", p.hops)
				}
				if text := p.seen(); strings.Contains(text, "Victim's key") || strings.Contains(text, "Signed in as Dr Asha Smith") {
					t.Errorf("it shows what is another's:\n%s", text)
				}
			})
		}
	}

	t.Run("own rule: and nothing of another's was changed by any of it", func(t *testing.T) {
		victim.open(s.issuer + "/account")
		victim.wantAccount()
		if text := victim.text(); victim.held("Victim's key") != which || strings.Contains(text, "Thief's") || strings.Contains(text, "Stopped") || victim.thisSid() != sid {
			t.Errorf("the account says %s", text)
		}
		p := s.asks(t)
		p.usesKey(s, key)
		p.wantCode()
	})
	t.Run("own rule: none of it was our own fault", func(t *testing.T) {
		log, err := os.ReadFile(c.ourParts.logged)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(log), "\n") {
			if strings.Contains(line, `"level":"ERROR"`) {
				t.Errorf("logged: %s", line)
			}
		}
	})
}

func TestNoRoom(t *testing.T) {
	c := aClocked(t, nil)
	t.Run("own rule: what a service has no room for cannot be added to an account, nor sign anybody in", func(t *testing.T) {
		p := newPerson(t)
		p.atAccount(c.running, oneRole)
		for _, route := range []string{"GET /account/add/federated?state=x", "POST /account/add/federated", "POST /login/federated/begin", "GET /login/federated/callback?state=x"} {
			method, path, _ := strings.Cut(route, " ")
			p.follow(method, c.issuer+path, nil)
			if p.status != http.StatusNotFound {
				t.Errorf("%s: %d", route, p.status)
			}
		}
	})
}

// try calls an endpoint with these parameters, in the query or as a form.
func (p *person) try(s running, method, path string, with url.Values) {
	p.t.Helper()
	p.hops = nil
	if method == http.MethodGet || method == http.MethodHead {
		p.follow(method, s.issuer+path+"?"+with.Encode(), nil)
		return
	}
	p.follow(method, s.issuer+path, with)
}

// firstOf is the first position of a person of the demo directory.
func firstOf(t *testing.T, uid string) string {
	t.Helper()
	return someone(t, uid).Positions[0].ID
}
