package registry

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// someone is what an applicant says of themself.
func someone() Said {
	return Said{Name: PersonName{Title: "Ms", Given: "Ann", Family: "Other"}, Born: "1990-02-03", Mobile: "+447700900123", NINumber: "AB123456C"}
}

// applying is a world in which somebody was invited, with the code that they
// were sent and their number.
func applying(t *testing.T) (w *world, s *Applying, code, id string) {
	t.Helper()
	w = aWorld(t)
	w.Address = "https://id.hospital.example"
	done := w.do(t, w.holder(Sponsor, "MID"), InviteApplicant{Email: "ann@example.org", Organisation: "MID"})
	return w, &Applying{Keeper: w, Limits: w, Now: w.Now}, w.mails[0].Args["code"], done.ID
}

func (s *Applying) apply(t *testing.T, code string) error {
	t.Helper()
	return s.Apply(t.Context(), code, someone(), idp.Owner{Request: "REQUEST2", Lang: "cy"})
}

func TestApplicants(t *testing.T) {
	check := IdentityCheck{How: InPerson, Documents: []string{"passport"}, Assurance: 3}
	t.Run("own rule: who was invited applies, is checked, and is a verified person with a uid", func(t *testing.T) {
		w, s, code, id := applying(t)
		m := w.mails[0]
		if m.To != "ann@example.org" || m.Text != "mail.invited" || m.Args["organisation"] != "Middle" || m.Args["address"] != "https://id.hospital.example/apply" {
			t.Errorf("mail: %+v", m)
		}
		a, name, err := s.Invitation(t.Context(), strings.ToLower(code), netip.Prefix{})
		if err != nil || a.ID != id || name != "Middle" {
			t.Errorf("Invitation() = %+v, %s, %v", a, name, err)
		}
		if err := s.apply(t, code); err != nil {
			t.Fatal(err)
		}
		if e := w.last(); e.Kind != ApplicantApplied || e.Organisation != "MID" || e.Request != "REQUEST2" {
			t.Errorf("journal: %+v", e)
		}
		done := w.do(t, w.holder(IDChecker, "MID"), AcceptApplicant{Applicant: id, Check: check})
		p := w.person(done.ID)
		if !idp.IsUID(done.ID) || p.Profile != idp.Verified || p.IdentityAssurance != 3 || p.Name.Display != "Ms Ann Other" || p.Email != "ann@example.org" || p.NINumber != "AB123456C" {
			t.Errorf("they are %+v", p)
		}
		if e := w.last(); e.Kind != ApplicantAccepted || e.Subject != done.ID || !strings.Contains(e.Reason, "passport") || !strings.Contains(e.Reason, id) {
			t.Errorf("journal: %+v", e)
		}
		if m := w.mails[len(w.mails)-1]; m.Text != "mail.accepted" || m.Args["uid"] != done.ID {
			t.Errorf("mail: %+v", m)
		}
		if a := w.records.Applicants[id]; a.State != IsAccepted || a.UID != done.ID || a.Said != (Said{}) {
			t.Errorf("what they said is kept twice: %+v", a)
		}
		w.not(t, w.holder(IDChecker, "MID"), AcceptApplicant{Applicant: id, Check: check}, ErrApplicant)
	})
	t.Run("own rule: a code works once, for 14 days, and is told to the applicant alone", func(t *testing.T) {
		w, s, code, _ := applying(t)
		for _, wrong := range []string{"", "AAAA-BBBB-CCCC", code + "A"} {
			if err := s.apply(t, wrong); !errors.Is(err, ErrNotInvited) {
				t.Errorf("%q: %v", wrong, err)
			}
		}
		w.at = noon.Add(ApplyLife)
		if _, _, err := s.Invitation(t.Context(), code, netip.Prefix{}); !errors.Is(err, ErrNotInvited) {
			t.Errorf("after 14 days: %v", err)
		}
		w.at = noon.Add(ApplyLife - time.Second)
		if err := s.apply(t, code); err != nil {
			t.Fatal(err)
		}
		if err := s.apply(t, code); !errors.Is(err, ErrNotInvited) {
			t.Errorf("a second time: %v", err)
		}
	})
	t.Run("own rule: what an applicant says has a form, and a wrong form uses nothing up", func(t *testing.T) {
		_, s, code, _ := applying(t)
		for field, change := range map[string]func(*Said){
			"name.given":  func(s *Said) { s.Name.Given = "" },
			"name.family": func(s *Said) { s.Name.Family = strings.Repeat("x", 101) },
			"born":        func(s *Said) { s.Born = "2020-01-01" },
			"ni_number":   func(s *Said) { s.NINumber = "" },
			"mobile":      func(s *Said) { s.Mobile = "ring me" },
		} {
			said := someone()
			change(&said)
			err := s.Apply(t.Context(), code, said, idp.Owner{})
			no, ok := errors.AsType[*Refused](err)
			if !ok || len(no.Fields) != 1 || no.Fields[0].Name != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		if err := s.apply(t, code); err != nil {
			t.Errorf("after all that: %v", err)
		}
	})
	t.Run("own rule: who is like somebody on file is confirmed to be another", func(t *testing.T) {
		w, s, code, id := applying(t)
		twin := w.add(func(p *directory.Person) { p.Name = directory.Name{Given: "Ann", Family: "Other"} })
		same := w.add(func(p *directory.Person) { p.NINumber = "AB123456C" })
		if err := s.apply(t, code); err != nil {
			t.Fatal(err)
		}
		checker := w.holder(IDChecker, "MID")
		w.not(t, checker, AcceptApplicant{Applicant: id, Check: check}, ErrConfirm)
		done := w.do(t, checker, AcceptApplicant{Applicant: id, Check: check, Confirmed: true})
		if len(done.Warnings) != 2 || done.Warnings[0].Code != WarnSameNumber || done.Warnings[0].UID != same || done.Warnings[1].UID != twin {
			t.Errorf("warnings: %+v", done.Warnings)
		}
	})
	t.Run("own rule: of two with one number who are accepted at once one is told of the other, whatever was confirmed before", func(t *testing.T) {
		w, s, code, id := applying(t)
		if err := s.apply(t, code); err != nil {
			t.Fatal(err)
		}
		checker, other := w.holder(IDChecker, "MID"), ""
		w.faster = func() { other = w.add(func(p *directory.Person) { p.NINumber = "AB123456C" }) }
		_, err := w.Do(t.Context(), w.actor(checker), AcceptApplicant{Applicant: id, Check: check, Confirmed: true})
		if no, ok := errors.AsType[*Refused](err); !ok || !errors.Is(err, ErrConfirm) || no.Warnings[0].Code != WarnSameNumber || no.Warnings[0].UID != other || w.records.Applicants[id].State != HasApplied {
			t.Errorf("%v", err)
		}
		w.do(t, checker, AcceptApplicant{Applicant: id, Check: check, Confirmed: true}) // of whom they know now
	})
	t.Run("own rule: of who was decided on nothing that they said is kept, nor their address", func(t *testing.T) {
		for _, decision := range []func(id string) Change{
			func(id string) Change { return AcceptApplicant{Applicant: id, Check: check} },
			func(id string) Change { return RefuseApplicant{Applicant: id, Reason: "moved away"} },
		} {
			w, s, code, id := applying(t)
			if err := s.apply(t, code); err != nil {
				t.Fatal(err)
			}
			w.do(t, w.holder(IDChecker, "MID"), decision(id))
			if a := w.records.Applicants[id]; a.Email != "" || a.Said != (Said{}) {
				t.Errorf("%+v", a)
			}
			if m := w.mails[len(w.mails)-1]; m.To == "" {
				t.Errorf("they are told at %+v", m)
			}
		}
	})
	t.Run("own rule: nobody accepts themself, by their address or their number", func(t *testing.T) {
		for what, own := range map[string]func(*directory.Person){
			"address": func(p *directory.Person) { p.Email = "Ann@Example.org" },
			"number":  func(p *directory.Person) { p.NINumber = "AB123456C" },
		} {
			w, s, code, id := applying(t)
			if err := s.apply(t, code); err != nil {
				t.Fatal(err)
			}
			checker := w.add(own, work(IDChecker, "MID"))
			_, err := w.Do(t.Context(), w.actor(checker), AcceptApplicant{Applicant: id, Check: check, Confirmed: true})
			if !errors.Is(err, ErrSelf) || w.records.Applicants[id].State != HasApplied {
				t.Errorf("%s: %v", what, err)
			}
		}
	})
	t.Run("own rule: nobody is accepted who has not applied, and who is refused is told", func(t *testing.T) {
		w, s, code, id := applying(t)
		checker := w.holder(IDChecker, "MID")
		w.not(t, checker, AcceptApplicant{Applicant: id, Check: check}, ErrApplicant)
		w.not(t, checker, AcceptApplicant{Applicant: "1", Check: check}, ErrNoApplicant)
		w.not(t, w.holder(IDChecker, "SIB"), RefuseApplicant{Applicant: id, Reason: "x"}, ErrNoAuthority)
		w.do(t, checker, RefuseApplicant{Applicant: id, Reason: "moved away"})
		if m := w.mails[len(w.mails)-1]; m.Text != "mail.refused" || len(m.Args) != 0 {
			t.Errorf("mail: %+v", m)
		}
		if err := s.apply(t, code); !errors.Is(err, ErrNotInvited) {
			t.Errorf("after that: %v", err)
		}
	})
	t.Run("own rule: an invitation is to an organisation that is open, and to an address", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "HOM")
		w.not(t, manager, InviteApplicant{Email: "ann", Organisation: "MID"}, ErrField)
		w.records.Organisations["SIB"].ClosedOn = yesterday
		w.not(t, manager, InviteApplicant{Email: "ann@example.org", Organisation: "SIB"}, ErrOrganisationClosed)
	})
}
