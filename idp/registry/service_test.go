package registry

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

func TestActors(t *testing.T) {
	t.Run("authority: every act needs a sign-in of the highest level, and a fresh one where it gives access", func(t *testing.T) {
		w := aWorld(t)
		manager, uid := w.holder(Manager, "MID"), w.nurse("MID")
		a := w.actor(manager)
		a.Session.Level = authenticators.AAL2
		if _, err := w.Do(t.Context(), a, RestrictPerson{uid, "x"}); !errors.Is(err, idp.ErrTooLow) {
			t.Errorf("at AAL2: %v", err)
		}
		a.Session.Level, a.Session.AuthTime = authenticators.AAL3, noon.Add(-21*time.Minute)
		if _, err := w.Do(t.Context(), a, AssignPosition{UIDs: []string{uid}, Work: ward("MID")}); !errors.Is(err, idp.ErrStale) {
			t.Errorf("after 21 minutes, what gives access: %v", err)
		}
		if _, err := w.Do(t.Context(), a, RestrictPerson{uid, "x"}); err != nil {
			t.Errorf("after 21 minutes, what takes it: %v", err)
		}
	})
	t.Run("authority: it is that of this moment, whatever the session began with", func(t *testing.T) {
		w := aWorld(t)
		manager, uid := w.holder(Manager, "MID"), w.nurse("MID")
		a := w.actor(manager)
		w.person(manager).Positions[0].To = yesterday
		if _, err := w.Do(t.Context(), a, RestrictPerson{uid, "x"}); !errors.Is(err, ErrNoAuthority) {
			t.Errorf("whose position ended yesterday: %v", err)
		}
		w.person(manager).Positions[0].From, w.person(manager).Positions[0].To = tomorrow, ""
		if _, err := w.Do(t.Context(), a, RestrictPerson{uid, "x"}); !errors.Is(err, ErrNoAuthority) {
			t.Errorf("whose position begins tomorrow: %v", err)
		}
		w.person(manager).Positions[0].From, w.person(manager).Profile = "", idp.Restricted
		if _, err := w.Do(t.Context(), a, RestrictPerson{uid, "x"}); !errors.Is(err, ErrNotActive) {
			t.Errorf("whose profile is restricted: %v", err)
		}
		if e := w.last(); e.Kind != ChangeNo || e.Actor != manager || !strings.HasPrefix(e.Reason, "person_restricted: ") {
			t.Errorf("the journal has of an attempt: %+v", e)
		}
	})
	t.Run("authority: nobody but a manager gives an authority, takes one, or gives access to who holds one", func(t *testing.T) {
		w := aWorld(t)
		advanced, agent := w.holder(Advanced, "MID"), w.nurse("MID")
		give := Work{Organisation: "MID", RoleCode: "S0080:G0450:R5090"}
		w.not(t, advanced, AssignPosition{UIDs: []string{agent}, Work: give}, ErrAbove)
		w.not(t, advanced, ChangePosition{Position: w.person(agent).Positions[0].ID, Work: give}, ErrAbove)
		holder := w.holder(Sponsor, "MID")
		w.not(t, advanced, EndPosition{Position: w.person(holder).Positions[0].ID}, ErrAbove)
		w.not(t, advanced, LeavePerson{UID: holder, Organisation: "MID"}, ErrAbove)
		w.not(t, advanced, IssueCard{UID: holder, CardFacts: CardFacts{"AB", 9, "2031-01-01"}}, ErrAbove)
		w.not(t, advanced, InviteAuthenticator{holder, passport}, ErrAbove)
		w.do(t, advanced, RestrictPerson{holder, "stolen card"}) // anybody may stop what looks wrong

		// A manager of a part is none of the whole.
		manager := w.holder(Manager, "MID")
		both := w.add(nil, work(Manager, "TOP"), work("", "MID"))
		w.not(t, manager, IssueCard{UID: both, CardFacts: CardFacts{"AB", 9, "2031-01-01"}}, ErrAbove)
		w.do(t, manager, AssignPosition{UIDs: []string{agent}, Work: give})
	})
	t.Run("authority: what ends everything of somebody needs it wherever they work", func(t *testing.T) {
		w := aWorld(t)
		manager, top := w.holder(Manager, "MID"), w.holder(Manager, "TOP")
		uid := w.add(nil, work("", "MID"), work("", "SIB"))
		w.not(t, manager, ClosePerson{uid, "x"}, ErrNoAuthority)
		w.not(t, manager, MergePeople{Duplicate: uid, Into: w.nurse("MID"), Reason: "x"}, ErrNoAuthority)
		w.do(t, top, ClosePerson{uid, "x"})
	})
	t.Run("own rule: the operator at the server's host may do everything, under a name in the journal", func(t *testing.T) {
		w := aWorld(t)
		uid := w.nurse("OTH")
		done, err := w.Do(t.Context(), Actor{Host: "root@server1", Request: "r"}, AssignPosition{UIDs: []string{uid}, Work: Work{Organisation: "OTH", RoleCode: "R5080"}})
		if err != nil || done.Request != "" || w.last().Actor != "root@server1" {
			t.Errorf("%+v, %v, %+v", done, err, w.last())
		}
	})
	t.Run("own rule: who may not is told why, from the table", func(t *testing.T) {
		w := aWorld(t)
		agent, uid := w.holder(Agent, "SIB"), w.nurse("MID")
		e, err := w.Why(t.Context(), w.actor(agent), AssignPosition{UIDs: []string{uid}, Work: ward("MID")})
		if err != nil || e.Allowed || e.Why != ErrNoAuthority || !slices.Equal(e.Needs, []string{"MID"}) || len(e.May) != 4 || e.Holds[0].Organisation != "SIB" {
			t.Errorf("%+v, %v", e, err)
		}
		if g := e.May[2]; g.Authority != Agent || !g.Fresh || g.Level != 3 || !slices.Equal(g.Second, []Authority{Sponsor, Manager}) {
			t.Errorf("the row of an agent: %+v", g)
		}
		here := w.holder(Agent, "MID")
		if e, err = w.Why(t.Context(), w.actor(here), AssignPosition{UIDs: []string{uid}, Work: ward("MID")}); err != nil || !e.Allowed || len(e.Second) != 2 {
			t.Errorf("%+v, %v", e, err)
		}
		if len(w.events) > 0 {
			t.Error("a question is in the journal")
		}
	})
	t.Run("own rule: a check makes nothing, shows what would be different, and hides what is secret", func(t *testing.T) {
		w := aWorld(t)
		manager, uid := w.holder(Manager, "MID"), w.nurse("MID")
		before := w.records.clone()
		p, err := w.Check(t.Context(), w.actor(manager), ChangePerson{UID: uid, Details: Details{Name: PersonName{Given: "Given", Family: "New"}, Email: w.person(uid).Email, NINumber: "AB123456C"}})
		if err != nil || len(differences(&before, &w.records)) > 0 {
			t.Fatalf("%v", err)
		}
		var keys []string
		for _, d := range p.Differences {
			keys = append(keys, d.Key+"="+d.Is)
		}
		if !slices.Equal(keys, []string{"name.family=New", "ni_number=" + directory.Hidden}) {
			t.Errorf("differences: %v", keys)
		}
	})
	t.Run("own rule: whoever holds nothing, or signed in with less, does not get in", func(t *testing.T) {
		w := aWorld(t)
		held := w.actor(w.holder(Sponsor, "MID"))
		held.Person.Positions[0].Organisation.Code = "MID"
		if got, err := w.Admit(held); err != nil || len(got) != 1 || got[0].Authority != Sponsor {
			t.Errorf("a sponsor: %v, %v", got, err)
		}
		held.Session.Level = authenticators.AAL2
		if _, err := w.Admit(held); !errors.Is(err, idp.ErrTooLow) {
			t.Errorf("at AAL2: %v", err)
		}
		if _, err := w.Admit(w.actor(w.nurse("MID"))); !errors.Is(err, ErrNoAuthority) {
			t.Errorf("a nurse: %v", err)
		}
	})
	t.Run("own rule: the whole directory is for a manager of the service's own organisation, and for whoever holds the machine", func(t *testing.T) {
		w := aWorld(t)
		for _, tt := range []struct {
			home, at string
			holds    Authority
			want     error
		}{
			{"TOP", "TOP", Manager, nil},
			{"TOP", "MID", Manager, ErrNoAuthority},
			{"TOP", "TOP", Agent, ErrNoAuthority},
			{"", "TOP", Manager, ErrNoAuthority},
			{"", "", Manager, ErrNoAuthority},
		} {
			w.Policy.Home = tt.home
			who := w.actor(w.holder(tt.holds, "TOP"))
			who.Person.Positions[0].Organisation.Code = tt.at
			if err := w.AdmitToAll(who); !errors.Is(err, tt.want) {
				t.Errorf("%+v: %v", tt, err)
			}
			who.Session.Level = authenticators.AAL2
			if err := w.AdmitToAll(who); !errors.Is(err, idp.ErrTooLow) {
				t.Errorf("%+v, at AAL2: %v", tt, err)
			}
		}
		if err := w.AdmitToAll(Actor{Host: "root"}); err != nil {
			t.Errorf("whoever holds the machine: %v", err)
		}
	})
}

func TestRequests(t *testing.T) {
	// asked is a world in which an agent asked for a position for a nurse.
	asked := func(t *testing.T) (w *world, agent, uid, id string) {
		w = aWorld(t)
		agent, uid = w.holder(Agent, "MID"), w.nurse("MID")
		id = w.do(t, agent, AssignPosition{UIDs: []string{uid}, Work: ward("MID"), Reason: "new ward"}).Request
		if e := w.last(); id == "" || len(w.person(uid).Positions) != 1 || e.Kind != ChangeRequested || e.Actor != agent || e.Subject != uid || e.Reason != "position_assigned" {
			t.Fatalf("asked: %q, %+v", id, e)
		}
		return w, agent, uid, id
	}
	decide := func(t *testing.T, w *world, uid, id string, approve bool) error {
		t.Helper()
		_, err := w.Decide(t.Context(), w.actor(uid), id, approve, "seen")
		return err
	}
	t.Run("second person: somebody else with the authority approves, and both are in the journal", func(t *testing.T) {
		w, agent, uid, id := asked(t)
		sponsor := w.holder(Sponsor, "TOP")
		if err := decide(t, w, sponsor, id, true); err != nil {
			t.Fatal(err)
		}
		e := w.last()
		if len(w.person(uid).Positions) != 2 || e.Kind != PositionAssigned || e.Actor != agent || e.Approver != sponsor || e.Reason != "new ward" {
			t.Errorf("approved: %+v", e)
		}
		if q := w.records.Requests[id]; q.State != Approved || q.By != sponsor || q.Reason != "seen" {
			t.Errorf("the request: %+v", q)
		}
		if err := decide(t, w, sponsor, id, true); !errors.Is(err, ErrDecided) {
			t.Errorf("approved twice: %v", err)
		}
	})
	t.Run("second person: it is neither who asked, nor whom it concerns, nor who has no such authority there", func(t *testing.T) {
		w, agent, uid, id := asked(t)
		for who, want := range map[string]idp.Refusal{
			w.holder(Agent, "MID"): ErrNoAuthority, w.holder(Sponsor, "SIB"): ErrNoAuthority,
			w.holder(Sponsor, "LOW"): ErrNoAuthority, w.nurse("MID"): ErrNoAuthority,
		} {
			if err := decide(t, w, who, id, true); !errors.Is(err, want) {
				t.Errorf("%s approves: %v, want %v", who, err, want)
			}
		}
		w.person(agent).Positions = append(w.person(agent).Positions, work(Sponsor, "MID"))
		if err := decide(t, w, agent, id, true); !errors.Is(err, ErrSamePerson) {
			t.Errorf("who asked approves: %v", err)
		}
		w.person(agent).Positions = w.person(agent).Positions[:1]
		if err := decide(t, w, uid, id, true); !errors.Is(err, ErrSelf) {
			t.Errorf("who is concerned approves: %v", err)
		}
		sponsor := w.actor(w.holder(Sponsor, "MID"))
		sponsor.Session.Level = authenticators.AAL2
		if _, err := w.Decide(t.Context(), sponsor, id, true, ""); !errors.Is(err, idp.ErrTooLow) {
			t.Errorf("at AAL2: %v", err)
		}
		if len(w.person(uid).Positions) != 1 {
			t.Error("it is made")
		}
	})
	t.Run("second person: what has changed since counts", func(t *testing.T) {
		for name, change := range map[string]func(w *world, agent, uid string){
			"asker's position":  func(w *world, agent, _ string) { w.person(agent).Positions[0].To = yesterday },
			"asker's profile":   func(w *world, agent, _ string) { w.person(agent).Profile = idp.Restricted },
			"person restricted": func(w *world, _, uid string) { w.person(uid).Profile = idp.Restricted },
			"organisation":      func(w *world, _, _ string) { w.records.Organisations["MID"].ClosedOn = yesterday },
			"too old":           func(w *world, _, _ string) { w.at = noon.Add(RequestLife) },
		} {
			w, agent, uid, id := asked(t)
			sponsor := w.holder(Sponsor, "MID")
			change(w, agent, uid)
			if err := decide(t, w, sponsor, id, true); !isRefusal(err) || len(w.person(uid).Positions) != 1 {
				t.Errorf("%s: %v", name, err)
			}
			if q := w.records.Requests[id]; q.State != Waiting {
				t.Errorf("%s: it is %s", name, q.State)
			}
		}
	})
	t.Run("second person: a request is refused by who may approve it, and withdrawn by who asked", func(t *testing.T) {
		w, agent, uid, id := asked(t)
		if err := decide(t, w, w.nurse("MID"), id, false); !errors.Is(err, ErrNoAuthority) {
			t.Errorf("a nurse refuses: %v", err)
		}
		if err := decide(t, w, w.holder(Sponsor, "MID"), id, false); err != nil || w.records.Requests[id].State != Declined || w.last().Kind != ChangeRefused {
			t.Errorf("refused: %v, %+v", err, w.last())
		}
		id = w.do(t, agent, AssignPosition{UIDs: []string{uid}, Work: ward("MID")}).Request
		if err := decide(t, w, agent, id, false); err != nil || w.records.Requests[id].State != Withdrawn || w.last().Kind != ChangeWithdrawn {
			t.Errorf("withdrawn: %v, %+v", err, w.last())
		}
		if err := decide(t, w, agent, "000000009999", false); !errors.Is(err, ErrNoRequest) {
			t.Errorf("none: %v", err)
		}
	})
	t.Run("second person: of many who approve at once one does", func(t *testing.T) {
		w, _, uid, id := asked(t)
		var wg sync.WaitGroup
		won := make(chan string, 16)
		var sponsors []Actor
		for range cap(won) {
			sponsors = append(sponsors, w.actor(w.holder(Sponsor, "MID")))
		}
		for _, a := range sponsors {
			wg.Go(func() {
				switch _, err := w.Decide(t.Context(), a, id, true, ""); {
				case err == nil:
					won <- a.Person.UID
				case !errors.Is(err, ErrDecided):
					t.Errorf("Decide: %v", err)
				}
			})
		}
		wg.Wait()
		if len(won) != 1 || len(w.person(uid).Positions) != 2 {
			t.Errorf("%d approved it, and there are %d positions", len(won), len(w.person(uid).Positions))
		}
	})
	t.Run("second person: the policy says who needs one", func(t *testing.T) {
		w := aWorld(t)
		manager, uid := w.holder(Manager, "MID"), w.add(func(p *directory.Person) {
			p.Cards = []directory.Card{{Serial: "AB", Registered: true, State: active}}
		}, work("", "MID"))
		w.Policy.Second = []SecondPerson{{CardRevoked, Manager, []Authority{Agent}}, {PositionAssigned, Agent, nil}}
		if done := w.do(t, manager, RevokeCard{"AB", "lost"}); done.Request == "" {
			t.Error("a manager revokes alone")
		}
		if done := w.do(t, w.holder(Agent, "MID"), AssignPosition{UIDs: []string{uid}, Work: ward("MID")}); done.Request != "" {
			t.Error("an agent waits")
		}
	})
	t.Run("own rule: what could not be made is not kept as a request", func(t *testing.T) {
		w := aWorld(t)
		uid := w.add(func(p *directory.Person) { p.Profile = idp.Restricted }, work("", "MID"))
		w.not(t, w.holder(Agent, "MID"), AssignPosition{UIDs: []string{uid}, Work: ward("MID")}, ErrRestricted)
	})
	t.Run("own rule: a change is the same after a journey as JSON", func(t *testing.T) {
		s, _ := stageFor(t, Manager, "TOP", another, "MID")
		for _, ch := range s.changes() {
			text, err := json.Marshal(ch)
			if err != nil {
				t.Fatal(err)
			}
			if ch.Kind() == DocumentApplied {
				text = []byte(`{"document": "organisations: [{code: DOC, name: Documented}]"}`)
			}
			back, err := Read(ch.Kind(), text)
			if doc, ok := back.(ApplyDocument); ok {
				doc.Text, doc.Document.Policy = "", directory.Policy{}
				back = doc
			}
			if err != nil || !reflect.DeepEqual(back, ch) {
				t.Errorf("%s: %v\n%+v\n%+v", ch.Kind(), err, back, ch)
			}
		}
		for _, text := range []string{`{"uid": "000000000001", "reason": "x", "more": 1}`, `{} {}`, `[]`, ``} {
			if _, err := Read(PersonClosed, []byte(text)); !errors.Is(err, idp.ErrRequest) {
				t.Errorf("%s: %v", text, err)
			}
		}
	})
	t.Run("own rule: every kind of the table can be read, and no other", func(t *testing.T) {
		for _, kind := range Kinds() {
			if kinds[kind] == nil {
				t.Errorf("%s cannot be read", kind)
			}
		}
		if len(kinds) != len(Kinds()) {
			t.Errorf("%d kinds are read, and the table has %d", len(kinds), len(Kinds()))
		}
	})
}
