package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	programs "github.com/lanyard-id/lanyard/api/registry"
	"github.com/lanyard-id/lanyard/idp"
	rules "github.com/lanyard-id/lanyard/idp/registry"
)

// askings say how each kind of change is asked for at each face. What stands in
// braces are members of the change's JSON.
var askings = map[rules.Kind]struct {
	call    string // of the API
	page    pageOf
	command string
}{
	rules.PersonAdded:          {"POST /people", long, "person add --given {name.given} --family {name.family} --email {email} --profile {profile}"},
	rules.PersonChanged:        {"PATCH /people/{uid}", long, "person change {uid} --given {name.given} --family {name.family} --email {email}"},
	rules.PersonVerified:       {"POST /people/{uid}/verify", long, "person verify {uid} --how {check.how} --assurance {check.assurance} --document {check.documents} --confirmed"},
	rules.PersonRestricted:     {"POST /people/{uid}/restrict", short, "person restrict {uid} --reason {reason}"},
	rules.PersonClosed:         {"POST /people/{uid}/close", short, "person close {uid} --reason {reason}"},
	rules.PersonReopened:       {"POST /people/{uid}/reopen", short, "person reopen {uid} --reason {reason}"},
	rules.PeopleMerged:         {"POST /people/{duplicate}/merge", long, "person merge {duplicate} --into {into} --reason {reason}"},
	rules.RobotAdded:           {"POST /robots", long, "robot add --display {display} --owner {owner} --until {until} --reason {reason}"},
	rules.RobotChanged:         {"PATCH /robots/{uid}", long, "robot change {uid} --display {display} --owner {owner} --until {until} --reason {reason}"},
	rules.PositionAssigned:     {"POST /positions", long, "person assign {uids} --organisation {organisation} --role-code {role_code} --to {to} --confirmed"},
	rules.PositionChanged:      {"PATCH /positions/{position}", long, "person change-position {position} --organisation {organisation} --role-code {role_code} --to {to} --confirmed"},
	rules.PositionEnded:        {"POST /positions/{position}/end", long, "person end {position}"},
	rules.PersonLeft:           {"POST /people/{uid}/leave", long, "person leave {uid} --organisation {organisation}"},
	rules.TemporaryGranted:     {"POST /people/{uid}/temporary", long, "person temporary {uid} --organisation {organisation} --role-code {role_code} --to {to} --confirmed --reason {reason}"},
	rules.CardIssued:           {"POST /people/{uid}/cards", long, "card issue {uid} --serial {serial} --series {series} --ends-on {ends_on}"},
	rules.CardSuspended:        {"POST /cards/{serial}/suspend", short, "card suspend {serial} --reason {reason}"},
	rules.CardResumed:          {"POST /cards/{serial}/resume", short, "card resume {serial} --reason {reason}"},
	rules.CardRevoked:          {"POST /cards/{serial}/revoke", short, "card revoke {serial} --reason {reason}"},
	rules.CardReplaced:         {"POST /cards/{old}/replace", long, "card replace {old} --serial {serial} --series {series} --ends-on {ends_on} --reason {reason}"},
	idp.AuthenticatorSuspended: {"POST /people/{uid}/authenticators/{id}/suspend", short, "authenticator suspend {uid} {id} --reason {reason}"},
	rules.AuthenticatorBack:    {"POST /people/{uid}/authenticators/{id}/resume", short, "authenticator resume {uid} {id} --reason {reason}"},
	idp.AuthenticatorRemoved:   {"POST /people/{uid}/authenticators/{id}/remove", short, "authenticator remove {uid} {id} --reason {reason}"},
	rules.AuthenticatorCode:    {"POST /people/{uid}/invite", long, "person invite {uid} --how {check.how} --assurance {check.assurance} --document {check.documents}"},
	rules.LockLifted:           {"POST /people/{uid}/unlock", short, "authenticator unlock {uid} --kind {authenticator} --reason {reason}"},
	idp.SessionEnded:           {"POST /people/{uid}/sessions/{sid}/end", short, "person end-session {uid} {sid} --reason {reason}"},
	idp.SignedOutAll:           {"POST /people/{uid}/sign-out", short, "person sign-out {uid} --reason {reason}"},
	rules.OrganisationAdded:    {"POST /organisations", long, "organisation add --code {code} --name {name} --parent {parent}"},
	rules.OrganisationChanged:  {"PATCH /organisations/{code}", long, "organisation change {code} --name {name} --parent {parent}"},
	rules.OrganisationClosed:   {"POST /organisations/{code}/close", long, "organisation close {code} --on {on} --reason {reason}"},
	rules.OrganisationsMerged:  {"POST /organisations/{code}/merge", long, "organisation merge {code} --successor {successor} --on {on} --reason {reason}"},
	rules.PositionsMoved:       {"POST /positions/move", long, "organisation move-positions --from {from} --to {to} --day {day} --uid {uids} --reason {reason}"},
	rules.CertificateIssued:    {"POST /people/{uid}/cards/issue", long, "card issue {uid} --csr FILE --series {series}"},
	rules.CertificateRecorded:  {"POST /people/{uid}/cards/record", long, "card issue {uid} --certificate FILE --series {series}"},
	rules.ApplicantInvited:     {"POST /applicants", long, "applicant invite --email {email} --organisation {organisation} --confirmed"},
	rules.ApplicantAccepted:    {"POST /applicants/{applicant}/accept", long, "applicant accept {applicant} --how {check.how} --assurance {check.assurance} --document {check.documents} --confirmed"},
	rules.ApplicantRefused:     {"POST /applicants/{applicant}/refuse", short, "applicant refuse {applicant} --reason {reason}"},
	rules.NoticeSent:           {"POST /notices", long, "notice send --organisation {organisation} --role {role} --series {series} --subject {subject} --text {text}"},
	rules.SeriesRuleSet:        {"PUT /policy/series/{series}", long, "policy series {series}"},
	rules.AgentRuleSet:         {"PUT /policy/agents/{product}", long, "policy agent {product} --below {below} --blocked-from {blocked_from}"},
	rules.ClientAdded:          {"POST /clients", none, "client add --id {client.id} --name {client.name} --auth-method {client.auth_method} --redirect-uri {client.redirect_uris}"},
	rules.ClientChanged:        {"PATCH /clients/{client.id}", none, "client change {client.id} --name {client.name}"},
	rules.ClientRemoved:        {"POST /clients/{id}/remove", none, "client remove {id} --reason {reason}"},
	rules.DocumentApplied:      {"POST /config/apply", none, "config apply FILE --reason {reason}"},
}

// pageOf is what the pages have of a change.
type pageOf int

const (
	none  pageOf = iota
	short        // a form that asks for a reason at most
	long
)

// inBraces are the members of a change that stand in a text.
var inBraces = regexp.MustCompile(`\{([a-z_.]+)\}`)

// members are those of a change's JSON by their names, with dots where one is in
// another. What says nothing is left out.
func members(t *testing.T, ch rules.Change) map[string]any {
	t.Helper()
	text, err := json.Marshal(ch)
	if err != nil {
		t.Fatal(err)
	}
	var object map[string]any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	flat := map[string]any{}
	var walk func(under string, object map[string]any)
	walk = func(under string, object map[string]any) {
		for name, value := range object {
			if deeper, ok := value.(map[string]any); ok {
				walk(under+name+".", deeper)
			} else if list, ok := value.([]any); value != nil && value != "" && value != false && (!ok || len(list) > 0) {
				flat[under+name] = value
			}
		}
	}
	walk("", object)
	return flat
}

// typed is a member as somebody would type it: of a list the first.
func typed(value any) string {
	if list, ok := value.([]any); ok {
		value = list[0]
	}
	return fmt.Sprint(value)
}

// filledIn replaces what stands in braces by members of a change.
func filledIn(template string, of map[string]any) string {
	return inBraces.ReplaceAllStringFunc(template, func(name string) string { return typed(of[strings.Trim(name, "{}")]) })
}

// answer is what a face said: the code of the message, "" where it would make
// the change, and the reference that somebody reads out.
type answer struct{ code, reference string }

// byProgram asks the API for a change; where it may be made, it is only tried.
func (w *facesWorld) byProgram(t *testing.T, a facesActor, ch rules.Change, may bool) answer {
	t.Helper()
	of := members(t, ch)
	method, path, _ := strings.Cut(askings[ch.Kind()].call, " ")
	body := map[string]any{}
	for name, value := range of {
		if strings.Contains(path, "{"+name+"}") {
			continue
		}
		at, names := body, strings.Split(name, ".")
		for _, n := range names[:len(names)-1] {
			if at[n] == nil {
				at[n] = map[string]any{}
			}
			at, _ = at[n].(map[string]any)
		}
		at[names[len(names)-1]] = value
	}
	sent, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	address := programs.Root + filledIn(path, of)
	if may {
		address += "?check=true"
	}
	req := httptest.NewRequestWithContext(t.Context(), method, address, strings.NewReader(string(sent)))
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	got := w.serve(req)
	if got.Code == http.StatusOK || got.Code == http.StatusCreated {
		return answer{}
	}
	var said answer
	var problem struct{ Code, Reference string }
	if err := json.Unmarshal(got.Body.Bytes(), &problem); err != nil {
		t.Fatalf("%s: %s", ch.Kind(), got.Body)
	}
	said.code, said.reference = problem.Code, problem.Reference
	return said
}

func (w *facesWorld) serve(req *http.Request) *httptest.ResponseRecorder {
	req.Host = "localhost"
	got := httptest.NewRecorder()
	w.handler.ServeHTTP(got, req)
	return got
}

// onPage asks a page for a change: what it would do, where it may be made, and
// otherwise that it be done, as somebody would who has got hold of the token of
// the page that they are refused.
func (w *facesWorld) onPage(t *testing.T, a facesActor, ch rules.Change, may bool) answer {
	t.Helper()
	form := url.Values{}
	for name, value := range members(t, ch) {
		var all []string
		if list, ok := value.([]any); ok && name != "check.documents" {
			for _, item := range list {
				all = append(all, fmt.Sprint(item))
			}
			form.Set(name, strings.Join(all, "\n"))
			continue
		}
		form.Set(name, typed(value))
	}
	address := "/ra/change/" + string(ch.Kind())
	if !may {
		own := url.Values{}
		for name, values := range form {
			if name != "confirmed" && (name != "reason" || askings[ch.Kind()].page != short) {
				own[name] = values
			}
		}
		form.Set("token", w.looked(t, a, string(ch.Kind())+"?"+own.Encode()))
		address += "/do"
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.AddCookie(&http.Cookie{Name: "lanyard-session", Value: a.cookie})
	got := w.serve(req)
	if got.Code == http.StatusOK {
		return answer{}
	}
	said := answer{reference: got.Header().Get("X-Request-Id")[:8]}
	if m := regexp.MustCompile(`data-code="([^"]*)"`).FindStringSubmatch(got.Body.String()); m != nil {
		said.code = m[1]
	}
	return said
}

// looked makes the token of a page on which somebody has looked at what a change
// would do.
func (w *facesWorld) looked(t *testing.T, a facesActor, digest string) string {
	t.Helper()
	kept, err := json.Marshal(map[string]string{"session": a.Session.Key, "digest": idp.Hash(digest)})
	if err != nil {
		t.Fatal(err)
	}
	token := idp.NewSecret()
	if err := w.live.Questions("ra").Ask(t.Context(), idp.Hash(token), kept, w.now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return token
}

// refusalSaid is how a command says one.
var refusalSaid = regexp.MustCompile(`\(([A-Z]+-\d+), reference (\S+)\)`)

// tokens is the state file beside which somebody's token stands.
func (w *facesWorld) tokens(t *testing.T, a facesActor) string {
	t.Helper()
	state := filepath.Join(w.folder, a.uid)
	if err := os.WriteFile(state+tokenFile, []byte(a.token), 0o600); err != nil {
		t.Fatal(err)
	}
	return state
}

// groups are the commands that ask for changes, each made when it is needed: to
// make them all takes longer than what they ask for.
var groups = map[string]func() *cobra.Command{"person": personGroup, "robot": robotGroup, "authenticator": authenticatorGroup, "card": cardCommand,
	"organisation": organisationGroup, "applicant": applicantGroup, "notice": noticeGroup, "policy": policyGroup, "client": clientGroup, "config": configCommand}

// byCommand runs a command that asks for a change; where it may be made, it is
// only tried.
func (w *facesWorld) byCommand(t *testing.T, a facesActor, ch rules.Change, may bool) answer {
	t.Helper()
	of := members(t, ch)
	args := strings.Fields(askings[ch.Kind()].command)
	for i, arg := range args {
		if arg == "FILE" {
			file := filepath.Join(w.folder, "document.yaml")
			text := ""
			for _, name := range []string{"document", "csr", "certificate"} {
				if is, ok := of[name].(string); ok {
					text = is
				}
			}
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			args[i] = file
			continue
		}
		args[i] = filledIn(arg, of)
	}
	if may && ch.Kind() == rules.DocumentApplied {
		args = []string{"config", "plan", args[2]}
	} else if may {
		args = append(args, "--check")
	}
	root := &cobra.Command{SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(groups[args[0]]())
	root.SetArgs(append(args, "--server", w.url, "--state", w.tokens(t, a)))
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	err := root.ExecuteContext(t.Context())
	if e, ok := errors.AsType[exit](err); err == nil || ok && e.status == exitDiffers {
		return answer{}
	}
	m := refusalSaid.FindStringSubmatch(err.Error())
	if m == nil {
		t.Fatalf("lanyard %s: %v", strings.Join(args, " "), err)
	}
	return answer{m[1], m[2]}
}

// ofNobody says whether a change is of no person, so that it is the same
// whatever the target.
func ofNobody(ch rules.Change) bool {
	return slices.Contains([]rules.Kind{rules.PersonAdded, rules.OrganisationAdded, rules.OrganisationChanged, rules.OrganisationClosed, rules.OrganisationsMerged,
		rules.ApplicantInvited, rules.ApplicantAccepted, rules.ApplicantRefused, rules.NoticeSent, rules.SeriesRuleSet, rules.AgentRuleSet, rules.ClientAdded, rules.ClientChanged, rules.ClientRemoved, rules.DocumentApplied}, ch.Kind())
}

// faces ask for a change in the three ways.
var faces = map[string]func(*facesWorld, *testing.T, facesActor, rules.Change, bool) answer{
	"API": (*facesWorld).byProgram, "page": (*facesWorld).onPage, "command": (*facesWorld).byCommand,
}

// wholeTable has the faces asked for every change by everybody of everybody, as
// TestPermissions asks the registry itself. It takes minutes.
var wholeTable = flag.Bool("whole-table", false, "ask all faces for every change, and not for a part of them")

// each calls ask for every kind of change with every authority, every place at
// which it is held and every target. They go round, so that each kind meets
// all of them and most pairs, and a manager of the organisation above, who may
// do most, asks for all.
func (w *facesWorld) each(ask func(a facesActor, target string, ch rules.Change)) {
	for i, authority := range everyAuthority {
		for place, at := range places {
			a := w.actors[i*len(places)+place]
			for j, target := range []string{somebody, themself, ofTheirs, robotic, unverifiedOne, restrictedOne, closedOne, holder} {
				for k, ch := range w.changes(w.target(a, target)) {
					turn := *wholeTable || authority == rules.Manager && (at[0] == "TOP" || at[0] == "HOM" && ofNobody(ch))
					switch {
					case ofNobody(ch):
						turn = (turn || (i+place+k)%3 == 0) && j == 0
					case (i+j+k)%len(places) == place:
						turn = turn || (i+j+3*k)%4 == 0
					}
					if turn {
						ask(a, target, ch)
					}
				}
			}
		}
	}
}

func TestFaces(t *testing.T) {
	t.Parallel()
	w := newFacesWorld(t)
	was := w.people.Document()
	t.Run("own rule: what the table does not allow is refused by page, API and command alike, and what it allows by none", func(t *testing.T) {
		for face, ask := range faces {
			t.Run(face, func(t *testing.T) {
				t.Parallel()
				refused, could := 0, map[rules.Kind]bool{}
				w.each(func(a facesActor, target string, ch rules.Change) {
					if face == "page" && askings[ch.Kind()].page == none {
						return
					}
					_, err := w.rules.Check(t.Context(), a.Actor, ch)
					got := ask(w, t, a, ch, err == nil)
					if want := w.code(t, err); got.code != want {
						t.Fatalf("%s is told %q of %s of %s, and the registry says %q", a.name, got.code, ch.Kind(), target, want)
					}
					if err == nil {
						could[ch.Kind()] = true
					} else if refused++; refused%50 == 1 {
						w.known(t, a, ch, err, got)
					}
				})
				for kind, asking := range askings {
					if !could[kind] && (face != "page" || asking.page != none) {
						t.Errorf("%s was never allowed: the table was not tried", kind)
					}
				}
			})
		}
	})
	t.Run("own rule: what was refused has changed nothing", func(t *testing.T) {
		if now := w.people.Document(); !reflect.DeepEqual(was, now) {
			t.Error("the directory is another")
		}
		for _, e := range w.people.Events() {
			if e.Kind != rules.ChangeNo {
				t.Fatalf("the journal has %+v", e)
			}
		}
		for _, uid := range w.others {
			if open, err := w.live.SessionsOf(t.Context(), uid, w.now); err != nil || len(open) != 1 {
				t.Errorf("%s is signed in to %v, %v", uid, open, err)
			}
		}
	})
}

// code is that of the message that says an error; "" of none.
func (w *facesWorld) code(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	return w.service.pages.RegistrationProblem(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil), "en", err).Code
}

// known checks that the reference of a refusal leads to who tried what, if it
// was refused for want of a right.
func (w *facesWorld) known(t *testing.T, a facesActor, ch rules.Change, err error, got answer) {
	t.Helper()
	if !slices.ContainsFunc([]error{rules.ErrNoAuthority, rules.ErrSelf, rules.ErrAbove}, func(of error) bool { return errors.Is(err, of) }) {
		return
	}
	found, failed := w.people.ByReference(t.Context(), got.reference)
	if failed != nil || len(found) != 1 || found[0].Kind != rules.ChangeNo || found[0].Actor != a.uid || !strings.HasPrefix(found[0].Reason, string(ch.Kind())+": ") {
		t.Errorf("%s of %s leads to %+v, %v", got.reference, ch.Kind(), found, failed)
	}
}
