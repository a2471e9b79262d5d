package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	programs "github.com/lanyard-id/lanyard/api/registry"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// People of the demo directory who work in the registration authority.
const (
	manager = "555000000116"
	agent   = "555000000117"
)

// steward is a program that looks after the registry over the API, and holds
// every answer to the OpenAPI document.
type steward struct {
	t      *testing.T
	at     string // the API
	token  string
	router routers.Router
	seen   map[string]bool // operations that were answered as they should be
}

// aSteward reads the document of the service that runs. What the document does
// not name may not be answered either, so that it is complete.
func aSteward(t *testing.T, s running, token string) *steward {
	t.Helper()
	resp := do(t, request(t, http.MethodGet, origin(s.issuer)+programs.Root+"/openapi.json", nil, ""))
	resp.wantOK(t)
	schemas, _ := resp.body["components"].(map[string]any)["schemas"].(map[string]any)
	for _, of := range schemas {
		if is, ok := of.(map[string]any); ok && is["type"] == "object" {
			is["additionalProperties"] = false
		}
	}
	resp.body["servers"] = []any{map[string]any{"url": origin(s.issuer) + programs.Root}}
	text, err := json.Marshal(resp.body)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &steward{t: t, at: origin(s.issuer) + programs.Root, token: token, router: router, seen: map[string]bool{}}
}

// as is the same program with the token of somebody else.
func (p steward) as(token string) *steward {
	p.token = token
	return &p
}

// call asks for something, with headers as pairs, and checks what comes.
func (p *steward) call(method, path string, body any, status int, headers ...string) reply {
	p.t.Helper()
	var text []byte
	switch is := body.(type) {
	case nil:
	case string:
		text = []byte(is)
	default:
		var err error
		if text, err = json.Marshal(body); err != nil {
			p.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.at+path, bytes.NewReader(text))
	if err != nil {
		p.t.Fatal(err)
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		p.t.Fatal(err)
	}
	a := reply{answered: answered{status: resp.StatusCode, header: resp.Header}, text: string(got)}
	_ = json.Unmarshal(got, &a.body)
	if a.status != status {
		p.t.Errorf("%s %s: %d, want %d\n%s", method, path, a.status, status, got)
		return a
	}
	p.check(req, a)
	return a
}

// check holds an answer to the document.
func (p *steward) check(req *http.Request, a reply) {
	p.t.Helper()
	route, params, err := p.router.FindRoute(req)
	if err != nil {
		if a.status != http.StatusNotFound && a.status != http.StatusMethodNotAllowed {
			p.t.Errorf("%s %s is in no document", req.Method, req.URL)
		}
		return
	}
	in := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 a.status, Header: a.header, Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	in.SetBodyBytes([]byte(a.text))
	if err := openapi3filter.ValidateResponse(context.WithoutCancel(p.t.Context()), in); err != nil {
		p.t.Errorf("%s %s answers what is not in the document: %v\n%s", req.Method, req.URL.Path, err, a.text)
	}
	if a.status < 300 {
		p.seen[route.Operation.OperationID] = true
	}
}

// made is the id of what a call has made.
func (a reply) made(t *testing.T) string {
	t.Helper()
	id, _ := a.body["id"].(string)
	if id == "" {
		t.Fatalf("nothing was made: %s", a.text)
	}
	return id
}

// administered is a development service with a token for its operator.
func administered(t *testing.T) (running, string) {
	t.Helper()
	state := filepath.Join(t.TempDir(), "state")
	s := start(t, func(o *devOptions) { o.state = state })
	token, err := os.ReadFile(state + tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	return s, strings.TrimSpace(string(token))
}

// signedInAs is what lanyard login gets for the person with that uid.
func signedInAs(t *testing.T, s running, p *person, uid string) signedIn {
	t.Helper()
	l := signingIn{server: s.issuer, client: asApplication()}
	got, err := l.run(t.Context(), func(address string) {
		p.open(address)
		p.signIn(uid)
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// reply is what the API said, to the letter.
type reply struct {
	answered
	text string
}

type m map[string]any

// anIdentityCheck is one that is good enough for everything.
func anIdentityCheck() m {
	return m{"how": "in_person", "assurance": 3, "documents": []string{"passport", "driving_licence"}}
}

func aPosition(uids ...string) m {
	return m{"uids": uids, "organisation": "RX9", "role_code": "S8000:G8000:R8001"}
}

func TestAdministration(t *testing.T) {
	s, operator := administered(t)
	p := aSteward(t, s, operator)
	why, day := m{"reason": "as asked for"}, func(days int) string { return string(idp.DateOf(time.Now().AddDate(0, 0, days))) }

	t.Run("own rule: each thing that the document names is done, and answered as it says", func(t *testing.T) {
		p.t = t
		everyPerson(p, s, why, day)
		everyCard(p, s, why, day)
		everyApplicant(p, s)
		everyNotice(p, s)
		everyOrganisation(p, why, day)
		everyRequest(p, s)
		everySetting(p, why)
		everyRight(p, s)
		everyDocument(p)
		for _, id := range operations(t, s) {
			if !p.seen[id] {
				t.Errorf("nobody has asked for %s", id)
			}
		}
	})
}

// operations are the ids of everything in the document.
func operations(t *testing.T, s running) []string {
	t.Helper()
	doc := do(t, request(t, http.MethodGet, origin(s.issuer)+programs.Root+"/openapi.json", nil, ""))
	var ids []string
	paths, _ := doc.body["paths"].(map[string]any)
	for _, at := range paths {
		methods, _ := at.(map[string]any)
		for _, op := range methods {
			is, _ := op.(map[string]any)
			id, _ := is["operationId"].(string)
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func everyPerson(p *steward, s running, why m, day func(int) string) {
	ann := m{"name": m{"given": "Ann", "family": "Onymous"}, "profile": "unverified", "email": "ann@northern.example"}
	uid := p.call("POST", "/people", ann, 201).made(p.t)
	if a := p.call("GET", "/people?q="+uid+"&limit=1", nil, 200); !strings.Contains(a.text, "Onymous") {
		p.t.Errorf("who was added is not found: %s", a.text)
	}
	at := "/people/" + uid
	tag := p.call("GET", at, nil, 200).header.Get("ETag")
	p.call("PATCH", at, m{"name": m{"family": "Other"}}, 200, "If-Match", tag)
	p.call("PATCH", at, m{"mobile": "+447700900999"}, 412, "If-Match", tag)
	if a := p.call("GET", at, nil, 200); !strings.Contains(a.text, `"Other"`) || !strings.Contains(a.text, `"Ann"`) || strings.Contains(a.text, "900999") {
		p.t.Errorf("what was left out did not stay: %s", a.text)
	}
	p.call("POST", at+"/verify", m{"check": anIdentityCheck()}, 200)
	position := p.call("POST", "/positions", aPosition(uid), 201).made(p.t)
	p.call("PATCH", "/positions/"+position, m{"role_name": "Nurse"}, 200)
	p.call("POST", "/positions/"+position+"/end", m{"day": day(0)}, 200)
	p.call("POST", "/people/"+uid+"/temporary", m{"organisation": "RX901", "role_code": "S8000:G8000:R8001", "to": day(3), "reason": "holiday"}, 201)
	p.call("POST", at+"/leave", m{"organisation": "RX901"}, 200)
	p.call("POST", "/positions/move", m{"from": "RX902", "to": "RX901", "day": day(1), "reason": "as asked for"}, 200)
	p.call("GET", at+"/events", nil, 200)
	p.call("POST", at+"/restrict", why, 200)
	p.call("POST", at+"/close", why, 200)
	p.call("POST", at+"/reopen", why, 200)
	twin := p.call("POST", "/people", m{"name": m{"given": "Twin", "family": "Only"}, "profile": "unverified"}, 201).made(p.t)
	p.call("POST", "/people/"+twin+"/verify", m{"check": anIdentityCheck()}, 200)
	p.call("POST", "/people/"+twin+"/merge", m{"into": oneRole, "reason": "the same person"}, 200)
	robot := p.call("POST", "/robots", m{"display": "Letters", "owner": oneRole, "until": day(30), "reason": "letters"}, 201).made(p.t)
	p.call("PATCH", "/robots/"+robot, m{"display": "Letters out", "reason": "its name"}, 200)
}

func everyCard(p *steward, s running, why m, day func(int) string) {
	facts := func(serial string) m {
		return m{"serial": serial, "series": 9, "ends_on": day(300), "reason": "as asked for"}
	}
	p.call("POST", "/people/"+noCard+"/cards", facts("AB0001"), 201)
	p.call("POST", "/cards/AB0001/suspend", why, 200)
	p.call("POST", "/cards/AB0001/resume", why, 200)
	p.call("POST", "/cards/AB0001/replace", facts("AB0002"), 201)
	p.call("POST", "/cards/AB0002/revoke", why, 200)
	everyCertificate(p, s)
	p.call("POST", "/people/"+noCard+"/invite", m{"check": anIdentityCheck()}, 201)
	p.call("POST", "/people/"+noCard+"/unlock", m{"authenticator": "totp", "reason": "forgot"}, 404)
	p.seen["liftLock"] = true // nobody of the demo directory has a password

	uid, id := linked(p, s)
	for _, act := range []string{"suspend", "resume", "remove"} {
		p.call("POST", "/people/"+uid+"/authenticators/"+id+"/"+act, why, 200)
	}

	s.signedIn(p.t, "basic", oneRole, nil)
	open := p.call("GET", "/people/"+oneRole+"/sessions", nil, 200)
	items, _ := open.body["items"].([]any)
	if len(items) == 0 {
		p.t.Fatal("who has signed in is signed in to nothing")
	}
	first, _ := items[0].(map[string]any)
	p.call("POST", "/people/"+oneRole+"/sessions/"+fmt.Sprint(first["sid"])+"/end", m{}, 200)
	p.call("POST", "/people/"+oneRole+"/sign-out", m{}, 200)
}

// linked is somebody who holds an authenticator beside their cards, and which.
func linked(p *steward, _ running) (uid, id string) {
	for n := range 20 {
		uid := fmt.Sprintf("5550000001%02d", n+1)
		var shown struct{ Authenticators []struct{ ID string } }
		a := p.call("GET", "/people/"+uid, nil, 200)
		if err := json.Unmarshal([]byte(a.text), &shown); err == nil && len(shown.Authenticators) > 0 {
			return uid, shown.Authenticators[0].ID
		}
	}
	p.t.Fatal("nobody holds an authenticator")
	return "", ""
}

func everyOrganisation(p *steward, why m, day func(int) string) {
	p.call("POST", "/organisations", m{"code": "Z9Z9", "name": "New Ward", "parent": "X26"}, 201)
	p.call("POST", "/organisations", m{"code": "Z8Z8", "name": "Newer Ward", "parent": "X26"}, 201)
	p.call("GET", "/organisations?q=New", nil, 200)
	p.call("PATCH", "/organisations/Z9Z9", m{"name": "Ward Nine"}, 200)
	if a := p.call("GET", "/organisations/Z9Z9", nil, 200); a.body["name"] != "Ward Nine" || a.body["parent"] != "X26" {
		p.t.Errorf("%s", a.text)
	}
	p.call("POST", "/organisations/Z9Z9/merge", m{"successor": "Z8Z8", "on": day(1), "reason": "as asked for"}, 200)
	p.call("POST", "/organisations", m{"code": "Z7Z7", "name": "Old Ward"}, 201)
	p.call("POST", "/organisations/Z7Z7/close", m{"on": day(1), "reason": "as asked for"}, 200)
}

func everyRequest(p *steward, s running) {
	asker := p.as(signedInAs(p.t, s, newPerson(p.t), agent).Token)
	asks := func(role string) string {
		work := aPosition(fiveRoles)
		work["role_code"] = role
		a := asker.call("POST", "/positions", work, 202)
		return fmt.Sprint(a.body["request"])
	}
	one, two, three := asks("S8000:G8000:R8004"), asks("S8000:G8000:R8005"), asks("S8000:G8000:R8006")
	if a := p.call("GET", "/requests", nil, 200); !strings.Contains(a.text, one) {
		p.t.Errorf("what waits is not in the list: %s", a.text)
	}
	asker.call("POST", "/requests/"+one+"/approve", m{}, 403)
	p.call("POST", "/requests/"+one+"/approve", m{"reason": "yes"}, 200)
	p.call("POST", "/requests/"+two+"/refuse", m{"reason": "no"}, 200)
	asker.call("POST", "/requests/"+three+"/withdraw", m{}, 200)
	if a := p.call("GET", "/requests/"+one, nil, 200); a.body["state"] != "approved" {
		p.t.Errorf("%s", a.text)
	}
}

func everySetting(p *steward, why m) {
	p.call("GET", "/worklists/expiring?at=X26", nil, 200)
	if a := p.call("GET", "/worklists/stopped?on=2030-01-01", nil, 200, "Accept", "text/csv"); !strings.HasPrefix(a.header.Get("Content-Type"), "text/csv") || !strings.HasPrefix(a.text, "uid,name,") {
		p.t.Errorf("no table: %s", a.text)
	}
	p.call("PUT", "/policy/series/8", m{"blocked_from": "2090-01-01"}, 200)
	p.call("PUT", "/policy/agents/lanyard-agent", m{"below": "0.2.0", "blocked_from": "2090-01-01"}, 200)
	if a := p.call("GET", "/policy", nil, 200); !strings.Contains(a.text, "2090-01-01") {
		p.t.Errorf("the rule is not there: %s", a.text)
	}
	a := p.call("POST", "/clients", m{"client": m{"id": "new-app", "name": "New", "redirect_uris": []string{"https://new.example/cb"}}}, 201)
	if secret, _ := a.body["secret"].(string); len(secret) < 22 || a.header.Get("Location") != programs.Root+"/clients/new-app" {
		p.t.Errorf("%s, at %s", a.text, a.header.Get("Location"))
	}
	p.call("PATCH", "/clients/new-app", m{"client": m{"name": "Newer"}}, 200)
	p.call("PATCH", "/clients/new-app", m{"client": m{"id": "basic"}}, 400)
	if a := p.call("GET", "/clients/new-app", nil, 200); a.body["name"] != "Newer" || strings.Contains(a.text, "secret_hash") || !strings.Contains(a.text, "https://new.example/cb") {
		p.t.Errorf("%s", a.text)
	}
	p.call("POST", "/clients/new-app/remove", why, 200)
	p.call("GET", "/clients", nil, 200)
}

func everyRight(p *steward, s running) {
	p.call("GET", "/permissions", nil, 200)
	p.call("GET", "/me", nil, 200)
	theirs := p.as(signedInAs(p.t, s, newPerson(p.t), agent).Token)
	if a := theirs.call("GET", "/me", nil, 200); a.body["uid"] != agent || a.body["level"] != 3.0 {
		p.t.Errorf("%s", a.text)
	}
	a := theirs.call("POST", "/why", m{"kind": "series_rule_set", "change": m{"series": 9, "legacy_gateway": true}}, 200)
	if a.body["allowed"] != false || a.body["code"] != "RA-02" {
		p.t.Errorf("an agent is told %s", a.text)
	}
	no := theirs.call("POST", "/people/"+oneRole+"/close", m{"reason": "x"}, 403)
	if no.body["code"] != "RA-02" {
		p.t.Errorf("an agent is told %s", no.text)
	}
	if a := p.call("GET", "/references/"+fmt.Sprint(no.body["reference"]), nil, 200); !strings.Contains(a.text, `"code":"RA-02"`) || !strings.Contains(a.text, "change_not_permitted") {
		p.t.Errorf("the reference leads to %s", a.text)
	}
}

func everyDocument(p *steward) {
	doc := p.call("GET", "/config/export", nil, 200, "Accept", "application/yaml")
	if strings.Contains(doc.text, "demo-secret") || !strings.Contains(doc.text, oneRole) {
		p.t.Errorf("an export holds %.200s", doc.text)
	}
	p.call("GET", "/config/export", nil, 200)
	changed := strings.Replace(doc.text, "Riverside Surgery", "Riverside Surgeries", 1)
	if a := p.call("POST", "/config/plan", m{"document": changed}, 200); !strings.Contains(a.text, "Riverside Surgeries") {
		p.t.Errorf("a plan says %s", a.text)
	}
	p.call("POST", "/config/apply?check=true", m{"document": changed}, 200)
	p.call("POST", "/config/apply", m{"document": changed, "reason": "its name"}, 200)
	broken := p.call("POST", "/config/apply", m{"document": "people:\n  - uid: \"1\"\n    nane: x\n"}, 422)
	if broken.body["code"] != "RA-34" || !strings.Contains(broken.text, `"line":3`) {
		p.t.Errorf("a broken document is told %s", broken.text)
	}
}

func TestAdministrationRefuses(t *testing.T) {
	s, operator := administered(t)
	p := aSteward(t, s, operator)
	refuses := func(t *testing.T, p *steward, method, path string, body any, status int, code string, headers ...string) reply {
		t.Helper()
		p.t = t
		a := p.call(method, path, body, status, headers...)
		if a.body["code"] != code || a.body["detail"] == " " || len(fmt.Sprint(a.body["reference"])) != 8 || !strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
			t.Errorf("%s %s is told %s, want %s", method, path, a.text, code)
		}
		return a
	}
	t.Run("RFC 6750 §3: who shows no token is told of none, and who shows a wrong one that it is", func(t *testing.T) {
		a := refuses(t, p.as(""), "GET", "/people?q=smith", nil, 401, "API-01")
		if got := a.header.Get("WWW-Authenticate"); got != `Bearer realm="lanyard"` {
			t.Errorf("WWW-Authenticate is %q", got)
		}
		a = refuses(t, p.as("nonsense"), "GET", "/people?q=smith", nil, 401, "API-01")
		if got := a.header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
			t.Errorf("WWW-Authenticate is %q", got)
		}
	})
	t.Run("own rule: the token of another application opens nothing", func(t *testing.T) {
		tokens := s.redeem(t, "basic", s.signedIn(t, "basic", manager, nil), nil)
		access, _ := tokens.body["access_token"].(string)
		refuses(t, p.as(access), "GET", "/people?q=smith", nil, 403, "API-02")
	})
	t.Run("own rule: no other application gets the scope of administration", func(t *testing.T) {
		tokens := s.redeem(t, "basic", s.signedIn(t, "basic", manager, url.Values{"scope": {"openid " + idp.AdminScope}}), nil)
		if scope := fmt.Sprint(tokens.body["scope"]); strings.Contains(scope, idp.AdminScope) {
			t.Errorf("the scope is %s", scope)
		}
	})
	t.Run("own rule: a person without a position in the registration authority reads nothing", func(t *testing.T) {
		theirs := p.as(signedInAs(t, s, newPerson(t), oneRole).Token)
		for _, path := range []string{"/people?q=smith", "/people/" + manager, "/worklists/expiring", "/clients", "/config/export", "/permissions"} {
			refuses(t, theirs, "GET", path, nil, 403, "RA-02")
		}
		refuses(t, theirs, "POST", "/people/"+fiveRoles+"/close", m{"reason": "x"}, 403, "RA-02")
		refuses(t, theirs, "PATCH", "/people/"+fiveRoles, m{"mobile": "+447700900999"}, 403, "RA-02")
	})
	t.Run("own rule: an agent does not see the whole directory", func(t *testing.T) {
		refuses(t, p.as(signedInAs(t, s, newPerson(t), agent).Token), "GET", "/config/export", nil, 403, "RA-02")
	})
	t.Run("own rule: a token that was given back, and one whose session has ended, stop at once", func(t *testing.T) {
		got := signedInAs(t, s, newPerson(t), manager)
		theirs := p.as(got.Token)
		theirs.t = t
		theirs.call("GET", "/me", nil, 200)
		if err := got.revoke(t.Context()); err != nil {
			t.Fatal(err)
		}
		refuses(t, theirs, "GET", "/me", nil, 401, "API-01")
		who := newPerson(t)
		theirs = p.as(signedInAs(t, s, who, manager).Token)
		p.t = t
		p.call("POST", "/people/"+manager+"/sign-out", m{}, 200)
		refuses(t, theirs, "GET", "/me", nil, 401, "API-01")
	})
	t.Run("own rule: nobody acts on themself", func(t *testing.T) {
		refuses(t, p.as(signedInAs(t, s, newPerson(t), manager).Token), "POST", "/people/"+manager+"/restrict", m{"reason": "x"}, 403, "RA-03")
	})
	t.Run("own rule: what nobody knows is refused with its nearest name", func(t *testing.T) {
		for path, body := range map[string]string{
			"/people":                          `{"nane":{"given":"A"}}`,
			"/people/" + oneRole + "/restrict": `{"reazon":"x"}`,
			"/config/plan":                     `{"documemt":"x"}`,
		} {
			if a := refuses(t, p, "POST", path, body, 400, "API-03"); !strings.Contains(a.text, `"problem":"unknown"`) || !strings.Contains(a.text, `"nearest":"`) {
				t.Errorf("%s", a.text)
			}
		}
		if a := refuses(t, p, "GET", "/people?qq=x", nil, 400, "API-03"); !strings.Contains(a.text, `"nearest":"q"`) {
			t.Errorf("%s", a.text)
		}
	})
	t.Run("own rule: what stands in the path does not stand in the body too", func(t *testing.T) {
		refuses(t, p, "POST", "/people/"+oneRole+"/restrict", m{"uid": fiveRoles, "reason": "x"}, 400, "API-03")
	})
	t.Run("own rule: a body that reads in two ways, or as nothing, is refused", func(t *testing.T) {
		for _, body := range []string{`{"reason":"x","reason":"y"}`, `{"reason":1}`, `{"reason":null}`, `[]`, `{"reason":"x"}{}`, `{"reason":"x"`, `"x"`, ``, "{\"reason\":\"\xff\"}"} {
			refuses(t, p, "POST", "/people/"+oneRole+"/restrict", body, 400, "API-03")
		}
	})
	t.Run("own rule: a body is bounded, and of one kind", func(t *testing.T) {
		refuses(t, p, "POST", "/people/"+oneRole+"/restrict", `{"reason":"`+strings.Repeat("x", 300<<10)+`"}`, 413, "API-04")
		refuses(t, p, "POST", "/people/"+oneRole+"/restrict", `{"reason":"x"}`, 415, "API-05", "Content-Type", "text/plain")
		refuses(t, p, "POST", "/people/"+oneRole+"/restrict", `{"reason":"x"}`, 415, "API-05", "Content-Type", "application/json; charset=utf-16")
	})
	t.Run("own rule: an address that is none, and a method that it has not", func(t *testing.T) {
		refuses(t, p, "GET", "/nothing", nil, 404, "NOT-01")
		if a := refuses(t, p, "DELETE", "/people/"+oneRole, nil, 405, "API-06"); a.header.Get("Allow") != "GET, PATCH" {
			t.Errorf("Allow is %q", a.header.Get("Allow"))
		}
		refuses(t, p, "GET", "/references/AAAAAAAA", nil, 404, "API-08")
		refuses(t, p, "GET", "/people/1", nil, 404, "RA-12")
	})
	t.Run("own rule: what is only tried is not done", func(t *testing.T) {
		p.t = t
		p.call("POST", "/people/"+fiveRoles+"/restrict?check=true", m{"reason": "x"}, 200)
		if a := p.call("GET", "/people/"+fiveRoles, nil, 200); a.body["profile"] != "verified" {
			t.Errorf("%s", a.text)
		}
	})
	t.Run("own rule: no other site reads an answer", func(t *testing.T) {
		p.t = t
		a := p.call("GET", "/me", nil, 200, "Origin", "https://elsewhere.example")
		for name := range a.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("the answer has %s", name)
			}
		}
	})
	t.Run("own rule: a field that is not as it should be is named", func(t *testing.T) {
		a := refuses(t, p, "POST", "/people", m{"name": m{"given": "A"}, "profile": "unverified"}, 422, "RA-05")
		if !strings.Contains(a.text, `{"name":"name.family","problem":"missing"}`) {
			t.Errorf("%s", a.text)
		}
	})
}

func TestAdministrationLevel(t *testing.T) {
	t.Run("own rule: nobody signs in for administration with less than the highest level", func(t *testing.T) {
		c, err := idp.WithCommands(nil).Client(t.Context(), idp.AdminClient)
		if err != nil || c.MinLevel != 3 || !c.RequirePKCE || !slices.Contains(c.Scopes, idp.AdminScope) {
			t.Errorf("%+v, %v", c, err)
		}
	})
	t.Run("own rule: no application of a document has the scope of administration", func(t *testing.T) {
		_, err := directory.Read(strings.NewReader("clients:\n  - {id: x, scopes: [openid, " + idp.AdminScope + "]}\n"))
		if err == nil {
			t.Error("it was read")
		}
		if slices.Contains(idp.Scopes, idp.AdminScope) {
			t.Error("every application may ask for it")
		}
	})
}

func TestAdministrationEverywhere(t *testing.T) {
	onEveryStage(t, func(t *testing.T, s running) {
		t.Run("own rule: a manager finds a person, and keeps them out, on every store", func(t *testing.T) {
			p := aSteward(t, s, signedInAs(t, s, newPerson(t), manager).Token)
			if a := p.call("GET", "/people?q=adeyemi", nil, 200); !strings.Contains(a.text, fiveRoles) {
				t.Errorf("found is %s", a.text)
			}
			tag := p.call("GET", "/people/"+fiveRoles, nil, 200).header.Get("ETag")
			p.call("PATCH", "/people/"+fiveRoles, m{"mobile": "+447700900998"}, 200, "If-Match", tag)
			p.call("PATCH", "/people/"+fiveRoles, m{"mobile": "+447700900997"}, 412, "If-Match", tag)
			p.call("POST", "/people/"+fiveRoles+"/restrict", m{"reason": "not them"}, 200)
			if a := p.call("GET", "/people/"+fiveRoles, nil, 200); a.body["profile"] != "restricted" || a.body["mobile"] != "+447700900998" {
				t.Errorf("%s", a.text)
			}
			no := p.call("POST", "/people/"+manager+"/close", m{"reason": "x"}, 403)
			p.call("GET", "/references/"+fmt.Sprint(no.body["reference"]), nil, 200)
			p.call("GET", "/people/"+fiveRoles+"/events", nil, 200)
			p.call("GET", "/clients", nil, 200)
		})
	})
}
