package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	programs "github.com/lanyard-id/lanyard/api/registry"
	"github.com/lanyard-id/lanyard/idp"
	rules "github.com/lanyard-id/lanyard/idp/registry"
)

// only decides: what the registry would say is known, and nothing is written.
type only struct{ rules.Keeper }

// Change implements rules.Keeper.
func (o only) Change(ctx context.Context, t rules.Touch, decide func(*rules.Records) (idp.Act, error)) error {
	r, err := o.Records(ctx, t)
	if err == nil {
		_, err = decide(&r)
	}
	return err
}

// decision is what somebody decides on a request, by the word that commands and
// the API have for it.
type decision string

const (
	approves  decision = "approve"
	refuses   decision = "refuse"
	withdraws decision = "withdraw" // what who asked does by refusing
)

// wait has a change wait for a second person, as if somebody had asked for it.
func (w *facesWorld) wait(t *testing.T, id string, by facesActor, ch rules.Change) {
	t.Helper()
	text, err := json.Marshal(ch)
	if err != nil {
		t.Fatal(err)
	}
	err = w.people.Change(t.Context(), rules.Touch{}, func(r *rules.Records) (idp.Act, error) {
		r.Requests[id] = &rules.Request{ID: id, Kind: ch.Kind(), Change: text, AskedBy: by.uid, AskedAt: w.now, Until: w.now.Add(rules.RequestLife), State: rules.Waiting}
		return idp.Act{Event: idp.Event{At: w.now, Kind: rules.ChangeRequested}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// state is what has become of a request.
func (w *facesWorld) state(t *testing.T, id string) string {
	t.Helper()
	r, err := w.people.Records(t.Context(), rules.Touch{Requests: []string{id}})
	if err != nil || r.Requests[id] == nil {
		t.Fatalf("request %s: %v", id, err)
	}
	return r.Requests[id].State
}

// deciding are the faces at which somebody decides on a request.
var deciding = map[string]func(*facesWorld, *testing.T, facesActor, string, decision) answer{
	"API": (*facesWorld).decideByProgram, "page": (*facesWorld).decideOnPage, "command": (*facesWorld).decideByCommand,
}

func (w *facesWorld) decideByProgram(t *testing.T, a facesActor, id string, d decision) answer {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, programs.Root+"/requests/"+id+"/"+string(d), strings.NewReader(`{"reason":"seen"}`))
	req.Header.Set("Authorization", "Bearer "+a.token)
	req.Header.Set("Content-Type", "application/json")
	got := w.serve(req)
	if got.Code == http.StatusOK {
		return answer{}
	}
	var said struct{ Code, Reference string }
	if err := json.Unmarshal(got.Body.Bytes(), &said); err != nil {
		t.Fatalf("%s: %s", d, got.Body)
	}
	return answer{said.Code, said.Reference}
}

func (w *facesWorld) decideOnPage(t *testing.T, a facesActor, id string, d decision) answer {
	t.Helper()
	if d == withdraws {
		d = refuses
	}
	form := url.Values{"decision": {string(d)}, "reason": {"seen"}}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/ra/requests/"+id, strings.NewReader(form.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.AddCookie(&http.Cookie{Name: "lanyard-session", Value: a.cookie})
	got := w.serve(req)
	if got.Code == http.StatusSeeOther {
		return answer{}
	}
	said := answer{reference: got.Header().Get("X-Request-Id")[:8]}
	if m := regexp.MustCompile(`data-code="([^"]*)"`).FindStringSubmatch(got.Body.String()); m != nil {
		said.code = m[1]
	}
	return said
}

func (w *facesWorld) decideByCommand(t *testing.T, a facesActor, id string, d decision) answer {
	t.Helper()
	root := &cobra.Command{SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(requestGroup())
	root.SetArgs([]string{"request", string(d), id, "--reason", "seen", "--server", w.url, "--state", w.tokens(t, a)})
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	err := root.ExecuteContext(t.Context())
	if err == nil {
		return answer{}
	}
	m := refusalSaid.FindStringSubmatch(err.Error())
	if m == nil {
		t.Fatalf("lanyard request %s: %v", d, err)
	}
	return answer{m[1], m[2]}
}

// waiting is a change that somebody has asked for.
type waiting struct {
	by facesActor
	of string // whom it is about, for messages
	ch rules.Change
}

// holderOf returns the actor with an authority at an organisation.
func (w *facesWorld) holderOf(authority rules.Authority, code string) facesActor {
	i := slices.IndexFunc(w.actors, func(a facesActor) bool { return a.name == string(authority)+" at "+code })
	return w.actors[i]
}

// waitings are changes that wait for a second person, of whom a is one who could
// be: of somebody, of a themself, of a holder of an authority and of robots, by
// who may ask and by who may not any more.
func (w *facesWorld) waitings(a facesActor) []waiting {
	agent, sponsor, advanced, manager := w.holderOf(rules.Agent, "MID"), w.holderOf(rules.Sponsor, "MID"), w.holderOf(rules.Advanced, "TOP"), w.holderOf(rules.Manager, "TOP")
	assign := func(uid string) rules.Change {
		return rules.AssignPosition{UIDs: []string{uid}, Work: rules.Work{Organisation: "MID", RoleCode: "S8000:G8000:R8002", To: w.day(7)}, Confirmed: true}
	}
	robot := rules.AddRobot{Display: "Robot", Owner: w.others[somebody], Until: w.day(100), Reason: "because"}
	return []waiting{
		{agent, somebody, assign(w.others[somebody])}, {sponsor, somebody, assign(w.others[somebody])}, {manager, themself, assign(a.uid)},
		{manager, ofTheirs, rules.ChangeRobot{UID: a.robot, Display: "Robot", Owner: a.uid, Until: w.day(50), Reason: "because"}},
		{manager, holder, assign(w.others[holder])}, {agent, holder, assign(w.others[holder])}, {advanced, robotic, robot},
		{w.holderOf(rules.CardAdmin, "MID"), somebody, assign(w.others[somebody])}, {w.holderOf(rules.Agent, "OTH"), somebody, assign(w.others[somebody])},
	}
}

func TestFacesDecide(t *testing.T) {
	t.Parallel()
	w := newFacesWorld(t)
	oracle := *w.rules
	oracle.Keeper = only{w.people}
	next := 0
	for face, decide := range deciding {
		t.Run("own rule: who may be the second person is the same by page, API and command: "+face, func(t *testing.T) {
			refused, done := 0, map[decision]int{}
			for i, a := range w.actors {
				for k, q := range w.waitings(a) {
					for _, d := range []decision{approves, refuses, withdraws} {
						own := a.uid == q.by.uid
						if turn := (i+k)%3 == 0 || own || strings.HasPrefix(a.name, string(rules.Manager)); !*wholeTable && !turn || (d == withdraws) != (own && d != approves) {
							continue
						}
						next++
						id := fmt.Sprintf("7%011d", next)
						w.wait(t, id, q.by, q.ch)
						_, err := oracle.Decide(t.Context(), a.Actor, id, d == approves, "seen")
						got := decide(w, t, a, id, d)
						what := fmt.Sprintf("%s who would %s what %s asked for of %s", a.name, d, q.by.name, q.of)
						if want := w.code(t, err); got.code != want {
							t.Fatalf("%s is told %q, and the registry says %q: %v", what, got.code, want, err)
						}
						became := map[decision]string{approves: rules.Approved, refuses: rules.Declined, withdraws: rules.Withdrawn}[d]
						if err != nil {
							became = rules.Waiting
						}
						if is := w.state(t, id); is != became {
							t.Fatalf("%s: the request is %s, want %s", what, is, became)
						}
						if err == nil {
							done[d]++
						} else if refused++; refused%20 == 1 && !errors.Is(err, rules.ErrSamePerson) {
							w.known(t, a, q.ch, err, got)
						}
					}
				}
			}
			for _, d := range []decision{approves, refuses, withdraws} {
				if done[d] == 0 || refused == 0 {
					t.Errorf("nobody could %s, and %d were refused: the table was not tried", d, refused)
				}
			}
		})
	}
}
