package conformance

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// ruled checks what the rules of package registry expect of a registry: they
// are kept by their own tests, on a registry in memory.
func (w registration) ruled() {
	now := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	s := &registry.Service{Keeper: w, Finder: w, Managing: w, Own: noSessions{}, Sessions: noSessions{},
		Policy: registry.Approvals{Home: "RT1"}, Now: func() time.Time { return now }}
	host := registry.Actor{Host: "root@test", Request: "HOST0001"}
	do := func(a registry.Actor, c registry.Change) registry.Done {
		w.t.Helper()
		done, err := s.Do(w.t.Context(), a, c)
		if err != nil {
			w.t.Fatalf("%s: %v", c.Kind(), err)
		}
		return done
	}
	work := func(code, role string, activities ...registry.Coded) registry.Work {
		return registry.Work{Organisation: code, RoleCode: role, Activities: activities}
	}

	// People with an authority, by changes alone; many at once, each in the
	// journal.
	add := func(name string) string {
		return do(host, registry.AddPerson{Details: registry.Details{Name: registry.PersonName{Given: name, Family: "Ward"}},
			Profile: idp.Verified, Check: registry.IdentityCheck{How: registry.Vouched, Assurance: 3}}).ID
	}
	manager, agent, sponsor := add("Mia"), add("Ann"), add("Sam")
	do(host, registry.AssignPosition{UIDs: []string{manager}, Work: work("RT1", "S1:G1:R5080")})
	do(host, registry.AssignPosition{UIDs: []string{agent}, Work: work("RT101", "S1:G1:R5090")})
	do(host, registry.AssignPosition{UIDs: []string{sponsor}, Work: work("RT101", "S1:G1:R1", registry.Coded{Code: "B1300"})})
	signedIn := func(uid string) registry.Actor {
		p, err := w.PersonNow(w.t.Context(), uid)
		if err != nil {
			w.t.Fatal(err)
		}
		return registry.Actor{Person: p, Session: idp.Session{Level: authenticators.AAL3, AuthTime: now}, Request: "ACT00001"}
	}
	do(signedIn(manager), registry.MovePositions{From: "RT101", To: "RT1W1", UIDs: []string{dan}, Reason: "move"})
	done := do(signedIn(manager), registry.AssignPosition{UIDs: []string{ada, dan}, Work: work("RT101", "S1:G1:R9"), Confirmed: true})
	if len(done.IDs) != 2 {
		w.t.Errorf("many positions: %+v", done)
	}
	for i, uid := range []string{ada, dan} {
		if !slices.ContainsFunc(w.Events(), func(e idp.Event) bool {
			return e.Kind == registry.PositionAssigned && e.Subject == uid && e.Role == done.IDs[i] && e.Actor == manager
		}) {
			w.t.Errorf("the journal does not tell of the position of %s", uid)
		}
	}

	// The right to change somebody is held where they work, or above.
	do(signedIn(agent), registry.SuspendCard{Serial: "0000101", Reason: "lost"})
	if _, err := s.Do(w.t.Context(), signedIn(agent), registry.RestrictPerson{UID: "555000000103", Reason: "x"}); err != nil {
		w.t.Errorf("somebody who works nowhere: %v", err)
	}

	// A second person.
	asked := do(signedIn(agent), registry.AssignPosition{UIDs: []string{ada}, Work: work("RT101", "S1:G1:R10")})
	if asked.Request == "" {
		w.t.Fatal("an agent needs nobody")
	}
	_, err := s.Decide(w.t.Context(), signedIn(sponsor), asked.Request, true, "seen")
	w.must(err)
	_, err = s.Decide(w.t.Context(), signedIn(sponsor), asked.Request, true, "seen")
	w.want(err, registry.ErrDecided)

	// What ends, ends at once, and what is promised by a code is kept.
	invited := do(host, registry.InviteAuthenticator{UID: ada, Check: registry.IdentityCheck{How: registry.InPerson, Documents: []string{"passport"}, Assurance: 3}})
	if e, err := w.FindEnrolment(w.t.Context(), registry.HashCode(strings.ToLower(invited.Secret)), now); err != nil || e.UID != ada {
		w.t.Errorf("an invitation: %+v, %v", e, err)
	}
	do(host, registry.RestrictPerson{UID: ada, Reason: "doubt"})
	if p, err := w.PersonNow(w.t.Context(), ada); err != nil || p.Profile != idp.Restricted || !p.SignedOutAt.Equal(now) {
		w.t.Errorf("whom somebody restricts: %+v, %v", p, err)
	}
	do(host, registry.MergePeople{Duplicate: sponsor, Into: manager, Reason: "twice"})
	w.applies(do, host)
}

// applies checks that a document that was applied has nothing left to do.
func (w registration) applies(do func(registry.Actor, registry.Change) registry.Done, host registry.Actor) {
	w.t.Helper()
	const town = `
policy: {card_series: [{series: 4, blocked_from: 2030-01-01}, {series: 6, blocked_from: 2030-03-01}], agents: [{product: lanyard-agent, below: "0.1.0", blocked_from: 2030-01-01}]}
organisations:
  - {code: DOC2, name: Branch, parent: DOC1}
  - {code: DOC1, name: Surgery}
people:
  - uid: "555000000901"
    name: {title: Dr, given: Asha, middle: Jo, family: Smith}
    email: asha@example.org
    mobile: "+447700900901"
    ni_number: AB123456C
    identity_assurance: 3
    professional: {gmc_id: C1234567}
    memberships: [{org_person_id: "555000000390", organisation: DOC1, gnc: G1}]
    positions:
      - {id: "555000000291", org_person_id: "555000000391", organisation: DOC2, role_code: "S8000:G8000:R8000", activities: [{code: B1, name: View}], from: 2029-01-01}
    cards: [{serial: "0901", series: 9, ends_on: 2031-01-01}]
  - {uid: "555000000902", name: {given: Robbie, family: Bot}, robot: {owner: "555000000901", until: 2030-06-30}}
clients:
  - id: doc-app
    name: App
    auth_method: private_key_jwt
    jwks: {keys: [{kty: EC, crv: P-256, kid: "0001", x: f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU, y: x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0}]}
    redirect_uris: [https://app.example/cb]
`
	apply := func(text string) registry.Done {
		w.t.Helper()
		ch, err := registry.Apply([]byte(text), "as code")
		if err != nil {
			w.t.Fatal(err)
		}
		return do(host, ch)
	}
	if first := apply(town); len(first.Differences) == 0 {
		w.t.Error("a document changes nothing")
	}
	if second := apply(town); len(second.Differences) > 0 {
		w.t.Errorf("a document is applied, and has left %+v", second.Differences)
	}
	less, _, _ := strings.Cut(town, "  - {uid: \"555000000902\"")
	if third := apply(less); len(third.Differences) != 2 { // the robot, and the application
		w.t.Errorf("what a document has no more: %+v", third.Differences)
	}
	if fourth := apply(less); len(fourth.Differences) > 0 {
		w.t.Errorf("a document is applied again, and has left %+v", fourth.Differences)
	}
}

// noSessions are the sessions of nobody.
type noSessions struct{ idp.SessionStore }

func (noSessions) SessionsOf(context.Context, string, time.Time) ([]idp.OwnSession, error) {
	return nil, nil
}
