package registry

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// do makes a change for somebody, or fails.
func (w *world) do(t *testing.T, uid string, ch Change) Done {
	t.Helper()
	done, err := w.Do(t.Context(), w.actor(uid), ch)
	if err != nil {
		t.Fatalf("%s: %v", ch.Kind(), err)
	}
	return done
}

// not wants a change to be refused with that refusal, and nothing to be
// different afterwards.
func (w *world) not(t *testing.T, uid string, ch Change, want idp.Refusal) {
	t.Helper()
	before := w.records.clone()
	_, err := w.Do(t.Context(), w.actor(uid), ch)
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %q", ch.Kind(), err, want)
	}
	if d := differences(&before, &w.records); len(d) > 0 {
		t.Errorf("%s: it is refused, and changed %v", ch.Kind(), d)
	}
}

func (w *world) last() idp.Event { return w.events[len(w.events)-1] }

var passport = IdentityCheck{How: InPerson, Documents: []string{"passport"}, Assurance: 3}

func ward(code string) Work { return Work{Organisation: code, RoleCode: "S8000:G8000:R8002"} }

func TestOwnNumbers(t *testing.T) {
	mine := map[string]Details{
		"NI number":           {NINumber: "AB123456C"},
		"professional number": {Professional: Professional{NMC: "10A1234E"}},
	}
	own := func(p *directory.Person) { p.NINumber, p.Professional.NMC = "AB123456C", "10A1234E" }
	for what, details := range mine {
		details.Name = PersonName{Given: "Some", Family: "Body"}
		t.Run("own rule: nobody adds, changes or verifies a profile that has their own "+what, func(t *testing.T) {
			w := aWorld(t)
			manager, other := w.add(own, work(Manager, "HOM")), w.holder(Manager, "HOM")
			add := AddPerson{Details: details, Profile: idp.Unverified, Confirmed: true}
			w.not(t, manager, add, ErrSelf)
			again := w.do(t, other, add).ID
			w.not(t, manager, VerifyPerson{UID: again, Check: passport, Confirmed: true}, ErrSelf)
			w.not(t, manager, AssignPosition{UIDs: []string{again}, Work: ward("MID"), Confirmed: true}, ErrSelf)
			w.not(t, manager, ChangePerson{UID: w.nurse("MID"), Details: details}, ErrSelf)
			w.do(t, other, VerifyPerson{UID: again, Check: passport, Confirmed: true})
		})
	}
	t.Run("own rule: nobody approves what gives them a second profile", func(t *testing.T) {
		w := aWorld(t)
		w.Policy.Second = []SecondPerson{{PersonVerified, IDChecker, []Authority{Manager}}}
		asks, approves := w.holder(IDChecker, "MID"), w.add(own, work(Manager, "MID"))
		uid := w.add(func(p *directory.Person) { p.Profile, p.NINumber = idp.Unverified, "AB123456C" }, work("", "MID"))
		id := w.do(t, asks, VerifyPerson{UID: uid, Check: passport, Confirmed: true}).Request
		if id == "" {
			t.Fatal("it waits for nobody")
		}
		if _, err := w.Decide(t.Context(), w.actor(approves), id, true, ""); !errors.Is(err, ErrSelf) {
			t.Errorf("Decide: %v", err)
		}
	})
}

func TestProfiles(t *testing.T) {
	states := []idp.Profile{idp.Verified, idp.Unverified, idp.Restricted, idp.Closed}
	changes := func(uid string) map[idp.Profile][]Change {
		return map[idp.Profile][]Change{
			idp.Verified:   {VerifyPerson{UID: uid, Check: passport}},
			idp.Restricted: {RestrictPerson{uid, "doubt"}, ReopenPerson{uid, "mistake"}},
			idp.Closed:     {ClosePerson{uid, "died"}},
		}
	}
	t.Run("own rule: a profile goes from state to state by the ways that there are", func(t *testing.T) {
		want := map[Kind][]idp.Profile{
			PersonVerified: {idp.Unverified, idp.Restricted}, PersonRestricted: {idp.Verified, idp.Unverified},
			PersonClosed: {idp.Verified, idp.Unverified, idp.Restricted}, PersonReopened: {idp.Closed},
		}
		for _, from := range states {
			for to, ways := range changes("") {
				for i := range ways {
					w := aWorld(t)
					manager := w.holder(Manager, "MID")
					uid := w.add(func(p *directory.Person) { p.Profile = from }, work("", "MID"))
					ch := changes(uid)[to][i]
					_, err := w.Do(t.Context(), w.actor(manager), ch)
					if allowed := slices.Contains(want[ch.Kind()], from); allowed != (err == nil) {
						t.Errorf("%s of a profile that is %s: %v", ch.Kind(), from, err)
					}
					if got := w.person(uid).Profile; err == nil && got != to {
						t.Errorf("%s: the profile is %s", ch.Kind(), got)
					}
				}
			}
		}
	})
	t.Run("closed: what is closed, restricted or merged ends at once, and nothing new is given to it", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "TOP")
		uid := w.add(func(p *directory.Person) {
			p.Cards = []directory.Card{{Serial: "AB", Registered: true, State: active}}
			p.Authenticators = []directory.Authenticator{{ID: "a", Kind: authenticators.KeyKind, Handle: "h"}}
		}, work("", "MID"), work("", "SIB"))
		w.do(t, manager, ClosePerson{uid, "died"})
		p := w.person(uid)
		if p.Cards[0].State != revoked || len(p.Authenticators) > 0 || p.Positions[0].To != today || !p.SignedOutAt.Equal(noon) {
			t.Errorf("after closing: %+v", p)
		}
		for _, ch := range []Change{
			AssignPosition{UIDs: []string{uid}, Work: ward("MID")}, IssueCard{UID: uid, CardFacts: CardFacts{"AC", 9, "2031-01-01"}},
			InviteAuthenticator{uid, passport}, ChangePerson{UID: uid, Details: Details{Name: PersonName{Given: "A", Family: "B"}}},
			VerifyPerson{UID: uid, Check: passport}, GrantTemporary{UID: uid, Work: Work{Organisation: "MID", RoleCode: "R8000", To: tomorrow}, Reason: "x"},
		} {
			w.not(t, manager, ch, ErrClosed)
		}
		w.not(t, manager, ResumeCard{"AB", "found"}, ErrClosed)

		other := w.add(func(p *directory.Person) {
			p.Cards = []directory.Card{{Serial: "AD", Registered: true, State: suspended}}
		}, work("", "MID"))
		w.do(t, manager, RestrictPerson{other, "doubt"})
		if !w.person(other).SignedOutAt.Equal(noon) {
			t.Error("whom somebody restricts stays signed in")
		}
		for _, ch := range []Change{
			AssignPosition{UIDs: []string{other}, Work: ward("MID")}, IssueCard{UID: other, CardFacts: CardFacts{"AC", 9, "2031-01-01"}},
			InviteAuthenticator{other, passport}, ResumeCard{"AD", "found"},
			GrantTemporary{UID: other, Work: Work{Organisation: "MID", RoleCode: "R8000", To: tomorrow}, Reason: "x"},
			ChangePosition{Position: w.person(other).Positions[0].ID, Work: ward("")},
			ReplaceCard{Old: "AD", CardFacts: CardFacts{"AC", 9, "2031-01-01"}, Reason: "lost"},
		} {
			w.not(t, manager, ch, ErrRestricted)
		}
		w.do(t, manager, VerifyPerson{UID: other, Check: passport})
		w.do(t, manager, ResumeCard{"AD", "found"})
	})
	t.Run("own rule: what comes back is restricted, and has to be verified again", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "MID")
		uid := w.add(func(p *directory.Person) { p.Profile = idp.Closed })
		w.do(t, manager, ReopenPerson{uid, "mistake"})
		w.not(t, manager, AssignPosition{UIDs: []string{uid}, Work: ward("MID")}, ErrRestricted)
		w.do(t, manager, VerifyPerson{UID: uid, Check: passport})
		w.do(t, manager, AssignPosition{UIDs: []string{uid}, Work: ward("MID")})
	})
	t.Run("own rule: an unverified profile gets a position only when somebody says that they know, and no authority or card", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "MID")
		uid := w.add(func(p *directory.Person) { p.Profile = idp.Unverified })
		ask := AssignPosition{UIDs: []string{uid}, Work: ward("MID")}
		w.not(t, manager, ask, ErrConfirm)
		preview, err := w.Check(t.Context(), w.actor(manager), ask)
		if err != nil || !preview.Confirm || preview.Warnings[0].Code != WarnUnverified {
			t.Errorf("Check: %+v, %v", preview, err)
		}
		w.not(t, manager, AssignPosition{UIDs: []string{uid}, Work: Work{Organisation: "MID", RoleCode: "R5090"}, Confirmed: true}, ErrUnverified)
		w.not(t, manager, IssueCard{UID: uid, CardFacts: CardFacts{"AC", 9, "2031-01-01"}}, ErrUnverified)
		w.not(t, manager, InviteAuthenticator{uid, passport}, ErrUnverified)
		ask.Confirmed = true
		w.do(t, manager, ask)
	})
	t.Run("own rule: an unverified profile is never tied to a system of human resources", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "MID")
		uid := w.add(func(p *directory.Person) { p.Profile = idp.Unverified })
		d := Details{Name: PersonName{Given: "A", Family: "B"}, HRLink: "12345678"}
		w.not(t, manager, ChangePerson{UID: uid, Details: d}, ErrUnverified)
		w.not(t, manager, AddPerson{Details: d, Profile: idp.Unverified}, ErrUnverified)
		w.not(t, manager, AddPerson{Details: d, Profile: idp.Verified, Check: passport}, ErrHRLink)
		w.not(t, manager, ChangePerson{UID: w.nurse("MID"), Details: d}, ErrHRLink)
	})
	t.Run("own rule: who is verified and is like somebody on file is confirmed to be another", func(t *testing.T) {
		w := aWorld(t)
		checker := w.holder(IDChecker, "MID")
		like := func(p *directory.Person) {
			p.Name, p.NINumber = directory.Name{Given: "Ann", Family: "Other"}, "AB123456C"
		}
		same := w.add(like)
		uid := w.add(func(p *directory.Person) { like(p); p.Profile = idp.Unverified })
		w.not(t, checker, VerifyPerson{UID: uid, Check: passport}, ErrConfirm)
		preview, err := w.Check(t.Context(), w.actor(checker), VerifyPerson{UID: uid, Check: passport})
		if err != nil || !preview.Confirm || len(preview.Warnings) != 1 || preview.Warnings[0].Code != WarnSameNumber || preview.Warnings[0].UID != same {
			t.Errorf("Check: %+v, %v", preview, err)
		}
		w.do(t, checker, VerifyPerson{UID: uid, Check: passport, Confirmed: true})
		w.not(t, checker, VerifyPerson{UID: same, Check: passport}, ErrProfileState)
	})
	t.Run("own rule: who is verified was checked, by somebody else", func(t *testing.T) {
		w := aWorld(t)
		checker := w.holder(IDChecker, "MID")
		uid := w.add(func(p *directory.Person) { p.Profile = idp.Unverified }, work("", "MID"))
		w.not(t, checker, VerifyPerson{UID: uid}, ErrField)
		w.not(t, checker, VerifyPerson{UID: uid, Check: IdentityCheck{How: InPerson, Assurance: 3}}, ErrField)
		w.not(t, checker, VerifyPerson{UID: uid, Check: IdentityCheck{How: InPerson, By: uid, Assurance: 1}}, ErrField)
		w.do(t, checker, VerifyPerson{UID: uid, Check: passport})
		if e := w.last(); e.Kind != PersonVerified || e.Actor != checker || e.Subject != uid || !strings.Contains(e.Reason, "in_person, assurance 3, passport") {
			t.Errorf("the journal has %+v", e)
		}
	})
}

func TestPeople(t *testing.T) {
	t.Run("never again: the service chooses numbers, and one that was somebody's is nobody else's", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "MID")
		taken := w.nurse("MID")
		position := w.person(taken).Positions[0].ID
		numbers := []string{taken, position, "999999999901", "999999999902", "999999999903"}
		w.NewID = func() string { n := numbers[0]; numbers = numbers[1:]; return n }
		done := w.do(t, manager, AddPerson{Details: Details{Name: PersonName{Given: "A", Family: "B"}}, Profile: idp.Unverified})
		if done.ID == taken || w.person(done.ID) == nil {
			t.Errorf("somebody is added as %s", done.ID)
		}
		// A position that never began is taken away, and its number with it.
		w.NewID = w.number
		id := w.do(t, manager, AssignPosition{UIDs: []string{taken}, Work: Work{Organisation: "MID", RoleCode: "R8009", From: tomorrow}}).ID
		w.do(t, manager, EndPosition{Position: id, Day: today})
		if p, _ := w.records.position(id); p != nil {
			t.Error("a position that ends before it begins is there")
		}
		w.NewID = func() string { return id }
		w.not(t, manager, AssignPosition{UIDs: []string{taken}, Work: Work{Organisation: "MID", RoleCode: "R8009"}}, idp.ErrTaken)
	})
	t.Run("own rule: whoever is like somebody else is added only when they are said to be another", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "MID")
		w.add(func(p *directory.Person) { p.Name = directory.Name{Given: "Asha", Family: "Smith"} })
		ask := AddPerson{Details: Details{Name: PersonName{Given: "Asha", Family: "Smith"}}, Profile: idp.Unverified}
		w.not(t, manager, ask, ErrConfirm)
		ask.Confirmed = true
		w.do(t, manager, ask)
	})
	t.Run("own rule: who becomes like somebody else is changed only when they are said to be another", func(t *testing.T) {
		for name, become := range map[string]func(*Details){
			WarnSameNumber: func(d *Details) { d.NINumber = "AB123456C" },
			WarnAlike:      func(d *Details) { d.Name = PersonName{Given: "Asha", Family: "Smith"} },
			"e-mail":       func(d *Details) { d.Email = "asha@example.org" },
		} {
			w := aWorld(t)
			manager, uid := w.holder(Manager, "MID"), w.nurse("MID")
			same := w.add(func(p *directory.Person) {
				p.Name, p.NINumber, p.Email = directory.Name{Given: "Asha", Family: "Smith"}, "AB123456C", "asha@example.org"
			})
			ask := ChangePerson{UID: uid, Details: detailsOf(w.person(uid).Person)}
			become(&ask.Details)
			w.not(t, manager, ask, ErrConfirm)
			p, err := w.Check(t.Context(), w.actor(manager), ask)
			if err != nil || !p.Confirm || len(p.Warnings) != 1 || p.Warnings[0].UID != same || name == WarnSameNumber && p.Warnings[0].Code != name {
				t.Errorf("%s: %+v, %v", name, p, err)
			}
			if ask.Confirmed = true; name == "e-mail" {
				w.not(t, manager, ask, idp.ErrTaken) // it is nobody else's, whatever is confirmed
				continue
			}
			w.do(t, manager, ask)
			ask.Confirmed, ask.Mobile = false, "+447700900123"
			w.do(t, manager, ask) // nobody is asked about again what stays as it was
		}
	})
	t.Run("own rule: of two who get one number at once one is told of the other, whatever was confirmed before", func(t *testing.T) {
		w := aWorld(t)
		manager, uid, other := w.holder(Manager, "MID"), w.nurse("MID"), ""
		ask := ChangePerson{UID: uid, Details: detailsOf(w.person(uid).Person), Confirmed: true}
		ask.NINumber = "AB123456C"
		w.faster = func() { other = w.add(func(p *directory.Person) { p.NINumber = "AB123456C" }) }
		_, err := w.Do(t.Context(), w.actor(manager), ask)
		if no, ok := errors.AsType[*Refused](err); !ok || !errors.Is(err, ErrConfirm) || no.Warnings[0].Code != WarnSameNumber || no.Warnings[0].UID != other || w.person(uid).NINumber != "" {
			t.Errorf("%v", err)
		}
	})
	t.Run("own rule: an e-mail is one person's, and the old address is told of a new one", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "MID")
		one, two := w.nurse("MID"), w.nurse("MID")
		d := Details{Name: PersonName{Given: "A", Family: "B"}, Email: strings.ToUpper(w.person(two).Email[:2]) + w.person(two).Email[2:]}
		w.not(t, manager, ChangePerson{UID: one, Details: d}, idp.ErrTaken)
		old := w.person(one).Email
		d.Email = "new@example.org"
		w.do(t, manager, ChangePerson{UID: one, Details: d})
		if len(w.mails) != 1 || w.mails[0].To != old || w.mails[0].Text != "mail.email" {
			t.Errorf("mails: %v", w.mails)
		}
	})
	t.Run("own rule: what a duplicate holds becomes that of who they are, and its profile is closed for good", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "TOP")
		into, from := w.nurse("MID"), w.add(func(p *directory.Person) {
			p.Cards = []directory.Card{{Serial: "AB", Registered: true, State: active}}
			p.Authenticators = []directory.Authenticator{{ID: "k", Kind: authenticators.KeyKind, Handle: "h"}, {ID: "c", Kind: authenticators.CodeKind, Handle: p.UID}}
			p.Memberships = []directory.Membership{{Organisation: "SIB"}}
		}, work("", "SIB"))
		w.person(from).Issuers = map[string]string{"AB": "issuer"}
		w.do(t, manager, MergePeople{Duplicate: from, Into: into, Reason: "twice"})
		p, was := w.person(into), w.person(from)
		if len(p.Positions) != 2 || len(p.Cards) != 1 || p.Cards[0].State != active || p.Issuers["AB"] != "issuer" || len(p.Authenticators) != 1 || len(p.Memberships) != 1 {
			t.Errorf("who stays has %+v", p)
		}
		if was.Profile != idp.Closed || was.MergedInto != into || len(was.Positions)+len(was.Cards)+len(was.Authenticators) > 0 || !was.SignedOutAt.Equal(noon) {
			t.Errorf("the duplicate has %+v", was)
		}
		w.not(t, manager, ReopenPerson{from, "mistake"}, ErrMerged)
		w.not(t, manager, MergePeople{Duplicate: w.add(func(p *directory.Person) { p.Profile = idp.Unverified }), Into: into, Reason: "x"}, ErrUnverified)
		if kinds := []string{w.events[0].Subject, w.events[1].Subject}; !slices.Equal(kinds, []string{into, from}) {
			t.Errorf("the journal tells of %v", kinds)
		}
	})
	t.Run("own rule: a robot has an owner and an end, its owner has no part in it, and it makes no changes", func(t *testing.T) {
		w := aWorld(t)
		manager, owner := w.holder(Manager, "MID"), w.holder(Agent, "MID")
		robot := w.do(t, manager, AddRobot{"Robot", owner, "2030-12-31", "sorting"}).ID
		if e := w.last(); !e.Robot || e.Subject != robot {
			t.Errorf("the journal does not say that it is a robot: %+v", e)
		}
		w.not(t, manager, AddRobot{"Mine", manager, "2030-12-31", "sorting"}, ErrSelf)
		w.not(t, manager, AddRobot{"Too long", owner, "2039-12-31", "sorting"}, ErrDay)
		w.not(t, manager, AddRobot{"Of a robot", robot, "2030-12-31", "sorting"}, ErrRobot)
		w.not(t, owner, RestrictPerson{robot, "broken"}, ErrSelf)
		w.not(t, manager, AssignPosition{UIDs: []string{robot}, Work: Work{Organisation: "MID", RoleCode: "R5090"}}, ErrRobot)
		w.not(t, manager, AssignPosition{UIDs: []string{robot}, Work: Work{Organisation: "MID", RoleCode: "R8000", To: "2031-01-01"}}, ErrDay)
		w.do(t, manager, AssignPosition{UIDs: []string{robot}, Work: ward("MID")})
		if got := w.person(robot).Positions[0].To; got != "2030-12-31" {
			t.Errorf("its position ends %s", got)
		}
		w.do(t, manager, ChangeRobot{robot, "Robot", w.nurse("MID"), "2030-06-30", "sooner"})
		if got := w.person(robot).Positions[0].To; got != "2030-06-30" {
			t.Errorf("a robot that ends sooner works until %s", got)
		}
		w.person(robot).Positions = append(w.person(robot).Positions, work(Manager, "MID")) // by whatever mistake
		w.not(t, robot, RestrictPerson{w.nurse("MID"), "x"}, ErrNotActive)
	})
}

func TestPositions(t *testing.T) {
	t.Run("own rule: many get a position at once or nobody does, and each is told of in the journal", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "MID")
		one, two, bad := w.nurse("MID"), w.nurse("OTH"), w.add(func(p *directory.Person) { p.Profile = idp.Restricted })
		w.not(t, manager, AssignPosition{UIDs: []string{one, bad, two}, Work: ward("MID")}, ErrRestricted)
		_, err := w.Do(t.Context(), w.actor(manager), AssignPosition{UIDs: []string{one, bad, "000000009999"}, Work: ward("MID")})
		var refused *Refused
		if !errors.As(err, &refused) || len(refused.Fields) != 2 || refused.Fields[0].Name != "uids.1" {
			t.Errorf("who is refused: %v", err)
		}
		done := w.do(t, manager, AssignPosition{UIDs: []string{one, two}, Work: ward("MID")})
		if len(done.IDs) != 2 || len(w.events) != 2 || w.events[1].Subject != two || w.events[1].Role != done.IDs[1] || w.events[1].Organisation != "MID" {
			t.Errorf("%+v, journal %+v", done, w.events)
		}
	})
	t.Run("own rule: a position is held once in the same days, and not where nobody works any more", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "MID")
		uid := w.nurse("MID")
		w.do(t, manager, AssignPosition{UIDs: []string{uid}, Work: Work{Organisation: "MID", RoleCode: "R8000", To: "2030-06-30"}})
		w.not(t, manager, AssignPosition{UIDs: []string{uid}, Work: Work{Organisation: "MID", RoleCode: "R8000", From: "2030-06-30"}}, ErrSamePosition)
		w.do(t, manager, AssignPosition{UIDs: []string{uid}, Work: Work{Organisation: "MID", RoleCode: "R8000", From: "2030-07-01"}})
		w.not(t, manager, AssignPosition{UIDs: []string{uid}, Work: Work{Organisation: "MID", RoleCode: "R8001", To: yesterday}}, ErrDay)
		w.not(t, manager, AssignPosition{UIDs: []string{uid}, Work: Work{Organisation: "MID", RoleCode: "R8001", From: tomorrow, To: today}}, ErrField)
		w.records.Organisations["LOW"].ClosedOn = "2030-06-30"
		w.not(t, manager, AssignPosition{UIDs: []string{uid}, Work: ward("LOW")}, ErrOrganisationClosed)
		w.do(t, manager, AssignPosition{UIDs: []string{uid}, Work: Work{Organisation: "LOW", RoleCode: "R8001", To: "2030-06-30"}})
		if p := w.person(uid).Positions; p[1].OrgPersonID != p[0].OrgPersonID || p[3].OrgPersonID == p[0].OrgPersonID {
			t.Errorf("one person has several numbers at one organisation, or one at several: %+v", p)
		}
	})
	t.Run("own rule: a position ends with a day, and not later than it would", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "MID")
		uid := w.nurse("MID")
		id := w.person(uid).Positions[0].ID
		w.not(t, manager, EndPosition{Position: id, Day: "2030-06-01"}, ErrDay)
		done := w.do(t, manager, EndPosition{Position: id})
		if got := w.person(uid).Positions[0].To; got != today || len(done.Warnings) != 1 || done.Warnings[0].Code != WarnLast {
			t.Errorf("ends %s, %v", got, done.Warnings)
		}
		w.not(t, manager, EndPosition{Position: id, Day: tomorrow}, ErrDay)
		w.do(t, manager, EndPosition{Position: id, Day: yesterday}) // at once
		w.not(t, manager, EndPosition{Position: id}, ErrNoPosition)
		w.not(t, manager, ChangePosition{Position: id, Work: ward("MID")}, ErrNoPosition)
	})
	t.Run("own rule: who leaves an organisation has no position there any more, and keeps all else", func(t *testing.T) {
		w := aWorld(t)
		sponsor := w.holder(Sponsor, "MID")
		uid := w.add(func(p *directory.Person) {
			p.Cards = []directory.Card{{Serial: "AB", Registered: true, State: active}}
			p.Positions[1].From = "2030-07-01"
		}, work("", "MID"), work("", "MID"), work("", "OTH"))
		done := w.do(t, sponsor, LeavePerson{UID: uid, Organisation: "MID"})
		p := w.person(uid)
		if len(done.IDs) != 2 || len(p.Positions) != 2 || p.Positions[0].To != today || p.Positions[1].To != "" || p.Cards[0].State != active || p.Profile != idp.Verified {
			t.Errorf("a leaver has %+v", p)
		}
		w.not(t, sponsor, LeavePerson{UID: uid, Organisation: "MID"}, ErrNoPosition)
	})
	t.Run("own rule: temporary access has a reason and ends within the days of the policy", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "MID")
		uid := w.nurse("MID")
		ask := GrantTemporary{UID: uid, Work: Work{Organisation: "MID", RoleCode: "R8003", To: "2030-06-16"}, Reason: "ward is short of people"}
		long := ask
		long.To = "2030-06-17"
		w.not(t, manager, long, ErrTooLong)
		silent := ask
		silent.Reason = " "
		w.not(t, manager, silent, ErrField)
		open := ask
		open.To = ""
		w.not(t, manager, open, ErrField)
		w.do(t, manager, ask)
		if p := w.person(uid).Positions[1]; p.Reason != ask.Reason || w.last().Reason != ask.Reason {
			t.Errorf("its reason: %+v, %+v", p, w.last())
		}
	})
}

func TestOrganisations(t *testing.T) {
	t.Run("own rule: no organisation stands above itself, or below one that is closed", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "TOP")
		w.not(t, manager, ChangeOrganisation{Code: "MID", Name: "M", Parent: "LOW"}, ErrCircle)
		w.not(t, manager, ChangeOrganisation{Code: "MID", Name: "M", Parent: "MID"}, ErrCircle)
		w.not(t, manager, CloseOrganisation{Code: "MID", On: today, Reason: "x"}, ErrBelow)
		w.do(t, manager, CloseOrganisation{Code: "LOW", On: today, Reason: "x"})
		w.not(t, manager, AddOrganisation{Code: "NEW", Name: "N", Parent: "LOW"}, ErrOrganisationClosed)
		w.not(t, manager, AddOrganisation{Code: "LOW", Name: "N", Parent: "TOP"}, idp.ErrTaken)
		w.not(t, manager, CloseOrganisation{Code: "LOW", On: today, Reason: "x"}, ErrOrganisationClosed)
	})
	t.Run("own rule: nobody but those who run the service adds an organisation above all, or takes one out of its place", func(t *testing.T) {
		w := aWorld(t)
		manager, home := w.holder(Manager, "TOP"), w.holder(Manager, "HOM")
		w.not(t, manager, AddOrganisation{Code: "NEW", Name: "N"}, ErrNoAuthority)
		w.not(t, manager, ChangeOrganisation{Code: "MID", Name: "M"}, ErrNoAuthority)
		w.not(t, manager, ChangeOrganisation{Code: "MID", Name: "M", Parent: "OTH"}, ErrNoAuthority)
		w.do(t, home, AddOrganisation{Code: "NEW", Name: "N"})
		w.do(t, home, ChangeOrganisation{Code: "MID", Name: "M", Parent: "OTH"})
		w.not(t, manager, RestrictPerson{w.nurse("MID"), "x"}, ErrNoAuthority) // it is not below any more
	})
	t.Run("own rule: positions end with their organisation, and go on at its successor under numbers of their own", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "TOP")
		uid := w.add(func(p *directory.Person) { p.Positions[1].To = yesterday }, work("", "LOW"), work("", "LOW"))
		old := w.person(uid).Positions[0]
		w.do(t, manager, MergeOrganisations{Code: "LOW", Successor: "SIB", On: "2030-06-30", Reason: "merger"})
		p := w.person(uid).Positions
		if len(p) != 3 || p[0].ID != old.ID || p[0].To != "2030-06-30" || p[1].To != yesterday ||
			p[2].ID == old.ID || p[2].Organisation != "SIB" || p[2].From != "2030-07-01" || p[2].To != "" || p[2].RoleCode != old.RoleCode || p[2].OrgPersonID == old.OrgPersonID {
			t.Errorf("after a merger: %+v", p)
		}
		if o := w.records.Organisations["LOW"]; o.ClosedOn != "2030-06-30" || o.Successor != "SIB" {
			t.Errorf("the organisation: %+v", o)
		}
		w.not(t, manager, AssignPosition{UIDs: []string{uid}, Work: Work{Organisation: "LOW", RoleCode: "R8001"}}, ErrOrganisationClosed)
	})
	t.Run("own rule: many positions move with a day, but not the actor's own", func(t *testing.T) {
		w := aWorld(t)
		manager := w.holder(Manager, "TOP")
		w.person(manager).Positions = append(w.person(manager).Positions, directory.Position{ID: "own", Organisation: "MID", RoleCode: "R8001"})
		uid, twice := w.nurse("MID"), w.add(nil, work("", "MID"), work("", "SIB"))
		w.not(t, manager, MovePositions{From: "MID", To: "SIB", UIDs: []string{manager}, Reason: "x"}, ErrSelf)
		done := w.do(t, manager, MovePositions{From: "MID", To: "SIB", Day: "2030-07-01", Reason: "move"})
		if p := w.person(uid).Positions; len(p) != 2 || p[0].To != "2030-06-30" || p[1].Organisation != "SIB" || p[1].From != "2030-07-01" {
			t.Errorf("moved: %+v", p)
		}
		if p := w.person(twice).Positions; len(p) != 2 {
			t.Errorf("who has it there already has it twice: %+v", p)
		}
		if p := w.person(manager).Positions[1]; p.Organisation != "MID" || p.To != "" || done.Warnings[0].Code != WarnLeftAlone {
			t.Errorf("the actor's own: %+v, %v", p, done.Warnings)
		}
	})
}
