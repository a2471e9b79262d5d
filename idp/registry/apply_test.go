package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

const town = `
policy:
  card_series: [{series: 4, blocked_from: 2031-01-01}]
organisations:
  - {code: DOC1, name: Surgery}
  - {code: DOC2, name: Branch, parent: DOC1}
people:
  - uid: "555000000101"
    name: {given: Asha, family: Smith}
    email: asha@example.org
    ni_number: AB123456C
    positions:
      - {id: "555000000201", org_person_id: "555000000301", organisation: DOC1, role_code: "S8000:G8000:R8000"}
      - {id: "555000000202", org_person_id: "555000000302", organisation: DOC2, role_code: "S8000:G8000:R8001"}
    cards:
      - {serial: "AB", series: 9}
  - uid: "555000000102"
    name: {given: Ben, family: Jones}
clients:
  - {id: doc-app, name: App, secret: hush, redirect_uris: ["https://app.example/cb"]}
`

// operator is who applies documents here.
var operator = Actor{Host: "root@server", Request: "r"}

func (w *world) apply(t *testing.T, text string) Done {
	t.Helper()
	ch, err := Apply([]byte(text), "as code")
	if err != nil {
		t.Fatal(err)
	}
	done, err := w.Do(t.Context(), operator, ch)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func ops(differences []directory.Difference) []string {
	var out []string
	for _, d := range differences {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", d.Op, d.Kind, d.ID, d.Key)))
	}
	return out
}

func TestApply(t *testing.T) {
	t.Run("own rule: a document that was applied has nothing left to do", func(t *testing.T) {
		w := aWorld(t)
		first := w.apply(t, town)
		if len(first.Differences) < 8 || w.person("555000000101") == nil || w.records.Organisations["DOC2"].Parent != "DOC1" {
			t.Fatalf("first: %v", ops(first.Differences))
		}
		events := len(w.events)
		second := w.apply(t, town)
		if len(second.Differences) > 0 || len(w.events) != events+1 || w.last().Kind != DocumentApplied || second.Warnings[0].Code != WarnNothing {
			t.Errorf("second: %v, %+v", ops(second.Differences), w.events[events:])
		}
	})
	t.Run("own rule: what was never in a document is left as it is, and what is not any more is ended", func(t *testing.T) {
		w := aWorld(t)
		byHand := w.nurse("MID")
		w.apply(t, town)
		w.do(t, w.holder(Manager, "DOC1"), AssignPosition{UIDs: []string{"555000000101"}, Work: ward("DOC1")})
		w.records.Clients["by-hand"] = &directory.Client{ID: "by-hand", Grants: []string{"authorization_code"}}
		less := `
organisations:
  - {code: DOC1, name: Surgery}
people:
  - uid: "555000000101"
    name: {given: Asha, family: Smith}
    email: asha@example.org
    ni_number: AB123456C
    positions:
      - {id: "555000000201", org_person_id: "555000000301", organisation: DOC1, role_code: "S8000:G8000:R8000"}
`
		done := w.apply(t, less)
		want := []string{"change policy card_series card_series", "remove organisation DOC2", "remove position 555000000202", "remove card AB",
			"remove person 555000000102", "remove client doc-app"}
		if got := ops(done.Differences); !slices.Equal(got, want) {
			t.Errorf("plan:\n%v\nwant\n%v", got, want)
		}
		p := w.person("555000000101")
		if len(p.Positions) != 3 || p.Positions[0].To != "" || p.Positions[1].To != today || p.Positions[2].To != "" || p.Cards[0].State != revoked {
			t.Errorf("after: %+v", p)
		}
		if w.person("555000000102").Profile != idp.Closed || w.person(byHand).Profile != idp.Verified ||
			w.records.Organisations["DOC2"].ClosedOn != today || w.records.Organisations["MID"].ClosedOn != "" ||
			!stoppedClient(*w.records.Clients["doc-app"]) || stoppedClient(*w.records.Clients["by-hand"]) {
			t.Error("what is managed and what is not are not told apart")
		}
		if again := w.apply(t, less); len(again.Differences) > 0 {
			t.Errorf("again: %v", ops(again.Differences))
		}
	})
	t.Run("own rule: a document brings nothing back that somebody has stopped", func(t *testing.T) {
		w := aWorld(t)
		w.apply(t, town)
		manager := w.holder(Manager, "DOC1")
		w.do(t, manager, RevokeCard{"AB", "lost"})
		w.do(t, manager, EndPosition{Position: "555000000202"})
		w.do(t, manager, RestrictPerson{"555000000101", "doubt"})
		w.do(t, manager, ClosePerson{"555000000102", "died"})
		w.do(t, manager, CloseOrganisation{Code: "DOC2", On: today, Reason: "x"})
		if done := w.apply(t, town); len(done.Differences) > 0 {
			t.Errorf("plan: %v", ops(done.Differences))
		}
		p := w.person("555000000101")
		if p.Cards[0].State != revoked || p.Positions[1].To != today || p.Profile != idp.Restricted || w.person("555000000102").Profile != idp.Closed || w.records.Organisations["DOC2"].ClosedOn != today {
			t.Errorf("it is back: %+v", p)
		}
	})
	t.Run("own rule: what a document says of a duplicate stays with who they are", func(t *testing.T) {
		w := aWorld(t)
		w.apply(t, town)
		w.do(t, w.holder(Manager, "HOM"), MergePeople{Duplicate: "555000000101", Into: "555000000102", Reason: "one person"})
		if done := w.apply(t, town); len(done.Differences) > 0 {
			t.Errorf("plan: %v", ops(done.Differences))
		}
		if p := w.person("555000000102"); p.Cards[0].State != active || p.Positions[0].To != "" {
			t.Errorf("after: %+v", p)
		}
	})
	t.Run("own rule: nobody applies a document that has their number", func(t *testing.T) {
		w := aWorld(t)
		manager := w.add(func(p *directory.Person) { p.Professional.GMC = "C1234567" }, work(Manager, "HOM"))
		ch, err := Apply([]byte(`people: [{uid: "555000000101", name: {given: Me, family: Again}, professional: {gmc_id: c1234567}}]`), "")
		if err != nil {
			t.Fatal(err)
		}
		w.not(t, manager, ch, ErrSelf)
		w.do(t, w.holder(Manager, "HOM"), ch)
		w.not(t, manager, RestrictPerson{"555000000101", "doubt"}, ErrSelf)
	})
	t.Run("own rule: whoever applies a document is not in what it changes, and no organisation stands above itself", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "HOM")
		ch, err := Apply([]byte(`people: [{uid: "`+manager+`", name: {given: Me, family: Myself}}]`), "")
		if err != nil {
			t.Fatal(err)
		}
		w.not(t, manager, ch, ErrSelf)
		circle, err := Apply([]byte(`organisations: [{code: C1, parent: C2}, {code: C2, parent: C1}]`), "")
		if err != nil {
			t.Fatal(err)
		}
		w.not(t, manager, circle, ErrCircle)
		w.not(t, w.holder(Manager, "TOP"), ch, ErrNoAuthority)
	})
	t.Run("own rule: of a broken document every error is told with its line, and nothing is changed", func(t *testing.T) {
		_, err := Apply([]byte("organisations:\n  - {cod: A}\npeople:\n  - {uid: \"12\"}\n"), "")
		var problems directory.Problems
		if !errors.As(err, &problems) || len(problems) < 2 {
			t.Errorf("%v", err)
		}
		if _, err := Read(DocumentApplied, []byte(`{"document": "organisations: [{cod: A}]"}`)); !errors.As(err, &problems) || !errors.Is(err, idp.ErrRequest) {
			t.Errorf("as JSON: %v", err)
		}
	})
}
