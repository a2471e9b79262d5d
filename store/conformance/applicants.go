package conformance

import (
	"fmt"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// invites has a registry invite somebody.
func (w registration) invites(act, id, hash, at string, since time.Time) error {
	return w.change(act, registry.Touch{Organisations: []string{at}}, func(r *registry.Records) {
		r.Applicants[id] = &registry.Applicant{ID: id, State: registry.HasInvitation, Hash: hash, Email: id + "@x.example", At: at, By: ada, InvitedAt: since, Until: noon.Add(24 * time.Hour)}
	})
}

func (w registration) invitesAndApplies() {
	t := w.t
	w.must(w.invites("invite", "100", "h1", "RT101", noon))
	w.must(w.invites("another", "101", "h2", "B81", noon.Add(time.Minute)))
	w.want(w.invites("twice", "100", "h3", "B81", noon), idp.ErrTaken)
	w.want(w.invites("same code", "102", "h1", "B81", noon), idp.ErrTaken)
	for name, touch := range map[string]registry.Touch{"number": {Applicants: []string{"100"}}, "code": {Invitation: "h1"}} {
		r := w.records(touch)
		if a := r.Applicants["100"]; len(r.Applicants) != 1 || a == nil || a.Email != "100@x.example" || a.At != "RT101" || !a.InvitedAt.Equal(noon) || r.Organisations["RT101"] == nil || r.Organisations["RT1"] == nil {
			t.Errorf("by %s: %+v, %+v", name, a, r.Organisations)
		}
	}
	if r := w.records(registry.Touch{Invitation: ""}); len(r.Applicants) != 0 {
		t.Errorf("by no code: %+v", r.Applicants)
	}
	said := registry.Said{Name: registry.PersonName{Given: "Ann"}, Born: "1990-02-03", NINumber: "AB123456C"}
	won := atOnce(func(n int) bool {
		applied := false
		err := w.change(fmt.Sprint("apply ", n), registry.Touch{Invitation: "h1"}, func(r *registry.Records) {
			a := r.Applicants["100"]
			if applied = a.State == registry.HasInvitation; applied {
				a.State, a.Said, a.AppliedAt = registry.HasApplied, said, noon
			}
		})
		w.must(err)
		return applied
	})
	if won != 1 {
		t.Errorf("%d of many applied with one code, want 1", won)
	}
	if a := w.records(registry.Touch{Applicants: []string{"100"}}).Applicants["100"]; a.Said != said || !a.AppliedAt.Equal(noon) || a.State != registry.HasApplied {
		t.Errorf("they said %+v", a)
	}
	list := func(at string, now time.Time, want ...string) {
		t.Helper()
		var ids []string
		q := registry.Query{At: at, Most: 1}
		for range 5 {
			all, next, err := w.Applicants(t.Context(), q, now)
			w.must(err)
			for _, a := range all {
				ids = append(ids, a.ID)
			}
			if q.After = next; next == "" {
				break
			}
		}
		if fmt.Sprint(ids) != fmt.Sprint(want) {
			t.Errorf("at %q: %v, want %v", at, ids, want)
		}
	}
	list("", noon, "100", "101")
	list("RT1", noon, "100")
	list("", noon.Add(25*time.Hour))
	w.must(w.change("accept", registry.Touch{Applicants: []string{"100"}}, func(r *registry.Records) {
		a := r.Applicants["100"]
		a.State, a.UID, a.DecidedBy, a.DecidedAt, a.Said = registry.IsAccepted, dan, ada, noon, registry.Said{}
	}))
	list("", noon, "101")
	if a := w.records(registry.Touch{Applicants: []string{"100"}}).Applicants["100"]; a.UID != dan || a.Said != (registry.Said{}) || !a.DecidedAt.Equal(noon) {
		t.Errorf("accepted: %+v", a)
	}
}

func (w registration) findsByNumber() {
	t := w.t
	whose := func(number string, want ...string) {
		t.Helper()
		found, err := w.ByNINumber(t.Context(), number)
		w.must(err)
		var uids []string
		for _, f := range found {
			uids = append(uids, f.UID)
		}
		if fmt.Sprint(uids) != fmt.Sprint(want) {
			t.Errorf("%q is of %v, want %v", number, uids, want)
		}
	}
	whose("QQ123456C", ada)
	whose("")
	whose("QQ123456D")
	w.must(w.change("number", registry.Touch{People: []string{ada, dan}}, func(r *registry.Records) {
		r.People[ada].NINumber, r.People[dan].NINumber = "QQ123456D", "QQ123456D"
	}))
	whose("QQ123456C")
	whose("QQ123456D", ada, dan)
	w.must(w.change("closed", registry.Touch{People: []string{ada, dan}}, func(r *registry.Records) {
		r.People[ada].NINumber, r.People[dan].Profile = "", idp.Closed
	}))
	whose("QQ123456D", dan)
	w.must(w.change("merged", registry.Touch{People: []string{ada, dan}}, func(r *registry.Records) {
		r.People[dan].MergedInto = ada
	}))
	whose("QQ123456D")
}
