package conformance

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

func (w registration) refused() {
	t := w.t
	touch := registry.Touch{People: []string{ada, "555000000201"}, Organisations: []string{"RT1"}, Policy: true}
	before := w.records(touch)
	spoil := func(r *registry.Records) {
		r.People[ada].Email, r.People[ada].Cards[0].State, r.People[ada].Positions = "x@x.example", "revoked", nil
		r.People["555000000201"] = &registry.Person{Person: directory.Person{UID: "555000000201", Profile: idp.Verified}}
		r.Organisations["RT1"].Name, r.Policy.WarnDays = "x", nil
		r.Codes = []registry.Enrolment{{Hash: "h", UID: ada, Until: noon.Add(time.Hour)}}
		r.Managed[registry.Name{Kind: "person", Name: ada}] = true
		r.Mails = []idp.Mail{{To: "x@x.example"}}
	}
	no := errors.New("no")
	err := w.Change(t.Context(), touch, func(r *registry.Records) (idp.Act, error) {
		spoil(r)
		return anAct("no"), no
	})
	if err != no { //nolint:errorlint // as it is
		t.Errorf("Change: %v, want the reason as it is", err)
	}
	w.must(w.Record(t.Context(), idp.Event{At: noon, Kind: idp.TokenRevoked, Request: "first"}, anAct("once").Fences...))
	w.want(w.change("once", touch, spoil), idp.Used{Fence: anAct("once").Fences[0]})
	w.want(w.change("taken", touch, func(r *registry.Records) {
		spoil(r)
		r.People[ada].Positions = []directory.Position{{ID: "203", Organisation: "RT1", RoleCode: "R"}} // another's
	}), idp.ErrTaken)
	if now := w.records(touch); !reflect.DeepEqual(now, before) {
		t.Errorf("there is %+v\nwant %+v", now, before)
	}
	if _, err := w.FindEnrolment(t.Context(), "h", noon); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("FindEnrolment: %v", err)
	}
	if names, err := w.Managed(t.Context()); err != nil || len(names) != 0 {
		t.Errorf("Managed = %v, %v", names, err)
	}
	if events, mails := w.Events(), w.Mails(); len(events) != 1 || len(mails) != 0 {
		t.Errorf("%d events and %d mails, want the first alone", len(events), len(mails))
	}
}

func races(t *testing.T, ward func(*testing.T) registration) {
	person := func(uid string) *registry.Person {
		return &registry.Person{Person: directory.Person{UID: uid, Profile: idp.Verified}}
	}
	for name, add := range map[string]func(r *registry.Records, n int, own string){
		"uid": func(r *registry.Records, _ int, _ string) { r.People["555000000777"] = person("555000000777") },
		"position": func(r *registry.Records, _ int, own string) {
			r.People[own] = person(own)
			r.People[own].Positions = []directory.Position{{ID: "777", Organisation: "RT1", RoleCode: "R"}}
		},
		"card": func(r *registry.Records, n int, own string) {
			r.People[own] = person(own)
			r.People[own].Cards = []directory.Card{{Serial: []string{"0777", "777"}[n%2], Series: 9, State: "active", Registered: true}}
		},
		"e-mail": func(r *registry.Records, n int, own string) {
			r.People[own] = person(own)
			r.People[own].Email = []string{"Same@x.example", "same@X.example"}[n%2]
		},
		"organisation": func(r *registry.Records, _ int, _ string) {
			r.Organisations["777"] = &directory.Organisation{Code: "777"}
		},
		"client": func(r *registry.Records, _ int, _ string) {
			r.Clients["777"] = &directory.Client{ID: "777", AuthMethod: idp.NoAuth, IDTokenAlg: "RS256", ACRDefault: idp.AAL3Any, MinLevel: 1}
		},
		"handle": func(r *registry.Records, n int, own string) {
			r.People[own] = person(own)
			a := aKey(fmt.Sprint(n))
			a.Handle = "wanted"
			r.People[own].Authenticators = []directory.Authenticator{directory.AuthenticatorOf(a)}
		},
	} {
		w := ward(t)
		won := atOnce(func(n int) bool {
			own := fmt.Sprintf("5550000008%02d", n)
			// Who is told of what they add by its name is told that it is there.
			err := w.Change(t.Context(), registry.Touch{}, func(r *registry.Records) (idp.Act, error) {
				add(r, n, own)
				return anAct(fmt.Sprint(n)), nil
			})
			if err != nil && !errors.Is(err, idp.ErrTaken) {
				t.Errorf("%s: %v, want ErrTaken", name, err)
			}
			return err == nil
		})
		if events := len(w.Events()); won != 1 || events != 1 {
			t.Errorf("%s: %d added it and %d events tell so, want 1", name, won, events)
		}
	}
}

func (w registration) decidedOnce() {
	t := w.t
	asked := registry.Request{ID: "r1", Kind: "position_assigned", Change: []byte(`{"ni":"QQ123456C"}`), AskedBy: ada, AskedAt: noon, Until: noon.Add(time.Hour),
		UID: dan, At: "RT1W1", State: "waiting"}
	later := asked
	later.ID, later.AskedAt, later.At = "r2", noon.Add(time.Minute), "B81"
	w.must(w.change("ask", registry.Touch{Requests: []string{"r1", "r2"}}, func(r *registry.Records) {
		r.Requests["r1"], r.Requests["r2"] = &asked, &later
	}))
	for at, want := range map[string][]string{"": {"r1", "r2"}, "RT1": {"r1"}, "B81": {"r2"}, "none": nil} {
		if ids := w.waiting(registry.Query{At: at}, noon); !slices.Equal(ids, want) {
			t.Errorf("at %q %v wait, want %v", at, ids, want)
		}
	}
	if ids := w.waiting(registry.Query{Most: 1}, noon); !slices.Equal(ids, []string{"r1", "r2"}) {
		t.Errorf("page after page %v wait", ids)
	}
	if ids := w.waiting(registry.Query{}, noon.Add(time.Hour)); len(ids) != 0 {
		t.Errorf("%v wait when they are too old", ids)
	}
	over := errors.New("it was decided on")
	won := atOnce(func(n int) bool {
		err := w.Change(t.Context(), registry.Touch{Requests: []string{"r1"}, People: []string{dan}}, func(r *registry.Records) (idp.Act, error) {
			q := r.Requests["r1"]
			if q.State != "waiting" {
				return idp.Act{}, over
			}
			q.State, q.By, q.Reason = "approved", "somebody", fmt.Sprint(n)
			p := r.People[dan]
			p.Positions = append(p.Positions, directory.Position{ID: fmt.Sprint("7", n), Organisation: "RT1W1", RoleCode: "R"})
			return anAct(fmt.Sprint(n)), nil
		})
		if err != nil && !errors.Is(err, over) {
			t.Errorf("Change: %v", err)
		}
		return err == nil
	})
	r := w.records(registry.Touch{Requests: []string{"r1", "r2"}, People: []string{dan}})
	q := *r.Requests["r1"]
	q.State, q.By, q.Reason = "waiting", "", ""
	if won != 1 || len(r.People[dan].Positions) != 2 || !reflect.DeepEqual(q, asked) || !reflect.DeepEqual(*r.Requests["r2"], later) || len(w.Events()) != 2 {
		t.Errorf("%d approved it: %+v, %+v", won, r.Requests["r1"], r.People[dan].Positions)
	}
	if ids := w.waiting(registry.Query{}, noon); !slices.Equal(ids, []string{"r2"}) {
		t.Errorf("%v wait", ids)
	}
}

// waiting returns the ids of the requests that wait, page after page.
func (w registration) waiting(q registry.Query, now time.Time) []string {
	w.t.Helper()
	var ids []string
	for {
		part, cursor, err := w.Waiting(w.t.Context(), q, now)
		w.must(err)
		for _, r := range part {
			ids = append(ids, r.ID)
		}
		if q.After = cursor; cursor == "" || err != nil {
			return ids
		}
	}
}

func (w registration) insures() {
	for _, tt := range []struct {
		uid, number string
		want        bool
	}{
		{ada, "QQ123456C", true}, {ada, "QQ123456D", false}, {ada, "", false}, {ada, "qq123456c", false},
		{dan, "QQ123456C", false}, {dan, "", false}, {"000000000000", "QQ123456C", false}, {"nobody \xff", "000000000", false}, {"nobody", "000000000", false}, {"", "", false},
	} {
		if got, err := w.HasNINumber(w.t.Context(), tt.uid, tt.number); err != nil || got != tt.want {
			w.t.Errorf("HasNINumber(%q, %q) = %t, %v; want %t", tt.uid, tt.number, got, err, tt.want)
		}
	}
}

// spend adds a key by a code.
func (registration) spend(r *registry.Records, hash string) {
	p := r.People[dan]
	n := fmt.Sprint(len(p.Authenticators))
	p.Authenticators = append(p.Authenticators, directory.Authenticator{ID: "by code " + n, Kind: authenticators.KeyKind, Handle: "by code " + n, Name: "Key",
		Method: authenticators.Passkey, Level: 2, State: authenticators.Active, Record: `{"a":1}`, Mark: `{"count":0}`})
	r.Spent = hash
}

func (w registration) enrols() {
	t := w.t
	code := registry.Enrolment{Hash: "hash", UID: dan, By: ada, How: "by video", Until: noon.Add(15 * time.Minute)}
	w.must(w.change("code", registry.Touch{People: []string{dan}}, func(r *registry.Records) { r.Codes = []registry.Enrolment{code} }))
	w.want(w.change("again", registry.Touch{People: []string{dan}}, func(r *registry.Records) { r.Codes = []registry.Enrolment{code} }), idp.ErrTaken)
	for hash, at := range map[string]time.Time{"other": noon, "": noon, "hash": code.Until} {
		if e, err := w.FindEnrolment(t.Context(), hash, at); !errors.Is(err, idp.ErrNotFound) || e.UID != "" {
			t.Errorf("%q at %v: %+v, %v; want ErrNotFound", hash, at, e, err)
		}
	}
	w.want(w.change("other", registry.Touch{People: []string{dan}}, func(r *registry.Records) { w.spend(r, "other") }), idp.ErrNotFound)
	w.want(w.Change(t.Context(), registry.Touch{People: []string{dan}}, func(r *registry.Records) (idp.Act, error) {
		w.spend(r, "hash")
		late := anAct("late")
		late.Event.At = code.Until
		return late, nil
	}), idp.ErrNotFound)
	no := errors.New("no")
	w.want(w.Change(t.Context(), registry.Touch{People: []string{dan}}, func(r *registry.Records) (idp.Act, error) {
		w.spend(r, "hash")
		return anAct("no"), no
	}), no)
	if e, err := w.FindEnrolment(t.Context(), "hash", noon); err != nil || e != code {
		t.Errorf("FindEnrolment = %+v, %v; want %+v", e, err, code)
	}
	var tries atomic.Int64
	if n := winners(t, idp.ErrNotFound, func() error {
		return w.change(fmt.Sprint("spend", tries.Add(1)), registry.Touch{People: []string{dan}}, func(r *registry.Records) { w.spend(r, "hash") })
	}); n != 1 {
		t.Errorf("%d used it, want 1", n)
	}
	if held := w.records(registry.Touch{People: []string{dan}}).People[dan].Authenticators; len(held) != 1 {
		t.Errorf("%d keys were added by one code", len(held))
	}
	if _, err := w.FindEnrolment(t.Context(), "hash", noon); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("FindEnrolment: %v, want ErrNotFound", err)
	}
}
