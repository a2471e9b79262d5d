package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// oracle is the table of authorities, written a second time and in another way:
// what each letter may do alone, and what it may ask a second person for, who is
// in the parentheses. M manager, V advanced agent, A agent, S sponsor, I ID
// checker, L local smartcard administrator. A star is of what raises somebody's
// access, H of what only managers at the organisation that runs the service do.
const oracle = `
person_added             M V A I
person_changed         * M V A
person_verified        * M V A I
person_restricted        M V A
person_closed            M V
person_reopened        * M V
people_merged          * M V(M)
robot_added            * M V(M) A(M)
robot_changed          * M V(M)
organisation_added       M
organisation_changed   * M
organisation_closed      M
organisations_merged   * M
positions_moved        * M V
position_assigned      * M V A(SM) S(AVM)
position_changed       * M V A(SM) S(AVM)
position_ended           M V A S
person_left              M V A S
temporary_granted      * M V A(SM) S(AVM)
card_issued            * M V A
card_suspended           M V A L
card_resumed           * M V A L
card_revoked             M V A
card_replaced          * M V A
certificate_issued     * M V A
certificate_recorded   * M V A
authenticator_suspended  M V A L
authenticator_resumed  * M V A
authenticator_removed    M V
authenticator_invited  * M V
lock_lifted            * M V A L
session_ended            M V A
signed_out_everywhere    M V A
applicant_invited        M V A S I
applicant_accepted     * M V A I
applicant_refused        M V A S I
notice_sent            * M
series_rule_set        * H
agent_rule_set         * H
client_added           * H
client_changed         * H
client_removed         * H
document_applied       * H
`

var byLetter = map[byte]Authority{'M': Manager, 'V': Advanced, 'A': Agent, 'S': Sponsor, 'I': IDChecker, 'L': CardAdmin}

// lets is what the oracle says of a kind and an authority.
type lets struct {
	asks, raises, home bool
	second             []Authority
}

func oracleOf(t *testing.T, kind Kind, a Authority) lets {
	t.Helper()
	for line := range strings.Lines(oracle) {
		words := strings.Fields(line)
		if len(words) == 0 || Kind(words[0]) != kind {
			continue
		}
		l := lets{raises: slices.Contains(words, "*"), home: slices.Contains(words, "H")}
		for _, w := range words[1:] {
			if w == "H" {
				l.asks = a == Manager
			} else if w != "*" && byLetter[w[0]] == a {
				l.asks = true
				for _, by := range strings.Trim(w[1:], "()") {
					l.second = append(l.second, byLetter[byte(by)])
				}
			}
		}
		return l
	}
	t.Fatalf("the oracle knows no %s", kind)
	return lets{}
}

// stage is one target of a change, at an organisation, with all that a change
// could be about.
type stage struct {
	w                                *world
	uid, other, position, card, code string
}

// changesAt returns a change of each kind that could be made of somebody who
// works at an organisation, and that concerns that organisation.
func (s stage) changes() []Change {
	words := "because"
	check := IdentityCheck{How: InPerson, Documents: []string{"passport"}, Assurance: 3}
	facts := CardFacts{Serial: "0A0B0C", Series: 9, EndsOn: "2031-06-03"}
	nurse := Work{Organisation: s.code, RoleCode: "S8000:G8000:R8002", To: "2030-06-10"}
	details := Details{Name: PersonName{Given: "New", Family: "Person"}, Email: s.w.number() + "@example.org"}
	client := Client{ID: "app", Name: "App", AuthMethod: idp.NoAuth, AssertionAlgs: []string{"RS256"}, AssertionAudiences: []string{"issuer"},
		RedirectURIs: []string{"https://app.example/cb"}, Scopes: []string{"openid"}, Grants: []string{"authorization_code"},
		ResponseModes: []string{"query"}, IDTokenAlg: "RS256", ACRDefault: idp.AAL3Any, MinLevel: 1}
	old := client
	old.ID = "old"
	return []Change{
		ChangePerson{UID: s.uid, Details: details}, VerifyPerson{UID: s.uid, Check: check}, RestrictPerson{s.uid, words}, ClosePerson{s.uid, words},
		ReopenPerson{s.uid, words}, MergePeople{Duplicate: s.uid, Into: s.other, Reason: words}, MergePeople{Duplicate: s.other, Into: s.uid, Reason: words},
		AddRobot{"Robot", s.uid, "2031-01-01", words}, ChangeRobot{s.uid, "Robot", s.other, "2031-01-01", words},
		AssignPosition{UIDs: []string{s.uid}, Work: nurse, Confirmed: true}, ChangePosition{Position: s.position, Work: nurse, Confirmed: true},
		EndPosition{Position: s.position}, LeavePerson{UID: s.uid, Organisation: s.code},
		GrantTemporary{UID: s.uid, Work: nurse, Confirmed: true, Reason: words},
		IssueCard{UID: s.uid, CardFacts: facts}, SuspendCard{"BB" + s.uid, words}, ResumeCard{s.card, words}, RevokeCard{s.card, words},
		ReplaceCard{Old: s.card, CardFacts: facts, Reason: words},
		IssueCertificate{Certified{UID: s.uid, Series: 9}, "key 1"}, RecordCertificate{Certified{UID: s.uid, Series: 9}, "0D key2 " + s.uid},
		SuspendAuthenticator{s.uid, "key" + s.uid, words}, ResumeAuthenticator{s.uid, "app" + s.uid, words},
		RemoveAuthenticator{s.uid, "key" + s.uid, words}, InviteAuthenticator{s.uid, check}, LiftLock{s.uid, authenticators.CodeKind, words},
		EndSession{s.uid, "sid" + s.uid, words}, EndSessions{s.uid, words},
		AddOrganisation{Code: "NEW", Name: "New", Parent: s.code}, ChangeOrganisation{Code: s.code, Name: "Other name", Parent: s.w.records.Organisations[s.code].Parent},
		CloseOrganisation{Code: s.code, On: tomorrow, Reason: words},
		MergeOrganisations{Code: s.code, Successor: "SIB", On: tomorrow, Reason: words},
		MovePositions{From: s.code, To: "SIB", UIDs: []string{s.uid}, Reason: words},
		InviteApplicant{Email: "new@example.org", Organisation: s.code, Confirmed: true}, AcceptApplicant{"100", check, true}, RefuseApplicant{"100", words},
		SendNotice{Organisation: s.code, Subject: "Lifts", Text: "They stand."},
		SetSeriesRule{Series: 4}, SetAgentRule{Product: "agent", Below: "1.0"}, AddClient{client}, ChangeClient{Client: old}, RemoveClient{"old", words},
		ApplyDocument{Document: directory.Document{Organisations: []directory.Organisation{{Code: "DOC", Name: "Documented"}}}},
	}
}

// The targets that a change may have.
const (
	another, themself, ofTheirs, robotic, unverified, restricted, shut, authority = "another", "themself", "robot of theirs", "robot", "unverified", "restricted", "closed", "holder"
)

var targets = []string{another, themself, ofTheirs, robotic, unverified, restricted, shut, authority}

// stageFor makes a world in which actor, who holds a, wants something of a
// target who works at code.
func stageFor(t *testing.T, a Authority, from, target, code string) (stage, string) {
	w := aWorld(t)
	w.records.Organisations["LOW"].ClosedOn = yesterday // what is above an open one is not closed
	actor := w.holder(a, from)
	s := stage{w: w, code: code}
	belongings := func(p *directory.Person) {
		p.Cards = []directory.Card{{Serial: "AA" + p.UID, Series: 9, State: "suspended", Registered: true, EndsOn: "2031-01-01"},
			{Serial: "BB" + p.UID, Series: 9, State: "active", Registered: true, EndsOn: "2031-01-01"}}
		p.Authenticators = []directory.Authenticator{
			{ID: "key" + p.UID, Kind: authenticators.KeyKind, Handle: "h" + p.UID, Level: 3, Method: authenticators.FIDO2, State: authenticators.Active},
			{ID: "app" + p.UID, Kind: authenticators.CodeKind, Handle: p.UID, Level: 2, Method: authenticators.TOTP, State: authenticators.Suspended}}
	}
	profiles := map[string]idp.Profile{unverified: idp.Unverified, restricted: idp.Restricted, shut: idp.Closed}
	switch target {
	case themself:
		s.uid = actor
		p := w.person(actor)
		belongings(&p.Person)
		pos := work("", code)
		pos.ID = w.number()
		p.Positions = append(p.Positions, pos)
	case authority:
		s.uid = w.add(belongings, work(Sponsor, code))
	default:
		s.uid = w.add(func(p *directory.Person) {
			belongings(p)
			if profile, ok := profiles[target]; ok {
				p.Profile = profile
			}
			switch target {
			case ofTheirs:
				p.Robot = directory.Robot{Owner: actor, Until: "2030-12-31"}
			case robotic:
				p.Robot = directory.Robot{Owner: w.nurse(code), Until: "2030-12-31"}
			}
		}, work("", code))
	}
	p := w.person(s.uid)
	s.position, s.card = p.Positions[len(p.Positions)-1].ID, p.Cards[0].Serial
	s.other = w.add(nil, work("", code))
	w.sessions = []idp.OwnSession{{Session: idp.Session{ID: "sid" + s.uid, Key: "key", Subject: s.uid}}}
	w.records.Applicants["100"] = &Applicant{ID: "100", State: HasApplied, Hash: "h", At: code, Email: "a@example.org", Until: noon.AddDate(0, 1, 0),
		Said: Said{Name: PersonName{Given: "Ann", Family: "Other"}, Born: "1990-01-01", NINumber: "AB123456C"}}
	w.records.Clients["old"] = &directory.Client{ID: "old", AuthMethod: idp.NoAuth, Grants: []string{"authorization_code"}}
	return s, actor
}

// relations are where an actor may hold an authority, seen from MID.
var relations = map[string]bool{"MID": true, "TOP": true, "LOW": false, "SIB": false, "OTH": false, "HOM": true}

// concerns says whether a change is of a person at all, and of two organisations
// of which SIB is one.
func concerns(ch Change) (person, sibling bool) {
	switch ch.Kind() {
	case OrganisationsMerged, PositionsMoved:
		sibling = true
	}
	switch ch.Kind() {
	case ApplicantInvited, ApplicantAccepted, ApplicantRefused, NoticeSent,
		OrganisationAdded, OrganisationChanged, OrganisationClosed, OrganisationsMerged, SeriesRuleSet, AgentRuleSet,
		ClientAdded, ClientChanged, ClientRemoved, DocumentApplied:
		return false, sibling
	}
	return true, sibling
}

func TestPermissions(t *testing.T) {
	t.Run("own rule: nothing is allowed that the table does not allow, and what it allows is", func(t *testing.T) {
		succeeded := map[Kind]int{}
		for letter, a := range byLetter {
			for from, over := range relations {
				for _, target := range targets {
					probe, _ := stageFor(t, a, from, target, "MID")
					for i := range probe.changes() {
						s, actor := stageFor(t, a, from, target, "MID")
						ch := s.changes()[i]
						name := fmt.Sprintf("%c at %s, %s of %s", letter, from, ch.Kind(), target)
						want, allowed := oracleAllows(t, a, ch, from, over, target)
						done, err := s.w.Do(t.Context(), s.w.actor(actor), ch)
						switch {
						case err == nil && !allowed:
							t.Fatalf("%s: it is made, and must not be", name)
						case err == nil && (done.Request != "") != (len(want.second) > 0):
							t.Fatalf("%s: waits for a second person: %t, want %v", name, done.Request != "", want.second)
						case err != nil && target == another && allowed && !impossible(ch):
							t.Fatalf("%s: %v", name, err)
						case err != nil && !isRefusal(err):
							t.Fatalf("%s: %v is no refusal", name, err)
						}
						if err == nil {
							succeeded[ch.Kind()]++
						}
					}
				}
			}
		}
		for _, kind := range Kinds() {
			if succeeded[kind] == 0 && kind != PersonAdded {
				t.Errorf("%s was never made: the table was not tried", kind)
			}
		}
	})
}

func isRefusal(err error) bool { _, ok := errors.AsType[idp.Refusal](err); return ok }

// impossible are those that cannot be made of a verified person with nothing
// restricted, whoever asks.
func impossible(ch Change) bool {
	switch ch.Kind() {
	case PersonVerified, PersonReopened, RobotChanged:
		return true
	}
	return false
}

// oracleAllows says what the issue's words allow, without looking at the code.
func oracleAllows(t *testing.T, a Authority, ch Change, from string, over bool, target string) (lets, bool) {
	l := oracleOf(t, ch.Kind(), a)
	person, sibling := concerns(ch)
	if !l.asks || l.home && from != "HOM" || !l.home && !over || sibling && from == "MID" {
		return l, false
	}
	if !person {
		return l, true
	}
	raising := l.raises || ch.Kind() == PositionEnded || ch.Kind() == PersonLeft || ch.Kind() == PersonClosed
	switch target {
	case themself, ofTheirs:
		return l, false
	case authority:
		if raising && ch.Kind() != RobotAdded && a != Manager { // the robot gets the access, and not who answers for it
			return l, false
		}
	case restricted:
		return l, !slices.Contains([]Kind{PositionAssigned, PositionChanged, TemporaryGranted, CardIssued, CardResumed, CardReplaced, CertificateIssued, CertificateRecorded,
			AuthenticatorBack, AuthenticatorCode, LockLifted, PeopleMerged, RobotAdded}, ch.Kind())
	case robotic:
		return l, !slices.Contains([]Kind{PersonChanged, PersonVerified, AuthenticatorCode, PeopleMerged, RobotAdded, PersonReopened}, ch.Kind())
	case unverified:
		return l, !slices.Contains([]Kind{CardIssued, CardResumed, CardReplaced, CertificateIssued, CertificateRecorded, AuthenticatorCode, PeopleMerged, RobotAdded}, ch.Kind())
	case shut:
		return l, slices.Contains([]Kind{PersonReopened, CardSuspended, CardRevoked, PositionEnded, idp.SessionEnded, idp.SignedOutAll, PositionsMoved}, ch.Kind())
	}
	return l, true
}
