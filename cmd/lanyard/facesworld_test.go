package main

import (
	"crypto"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
	"github.com/lanyard-id/lanyard/idp"
	rules "github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/memory"
	"github.com/lanyard-id/lanyard/store/redis"
)

// places are the organisations of the test of the three faces, each with the one
// above it.
//
//	HOM (runs the service)
//	TOP ─┬─ MID ── LOW
//	     └─ SIB         OTH (apart)
var places = [][2]string{{"HOM", ""}, {"TOP", ""}, {"MID", "TOP"}, {"LOW", "MID"}, {"SIB", "TOP"}, {"OTH", ""}}

// holders are positions that give an authority, each one.
var holders = map[rules.Authority]directory.Position{
	rules.Manager:   {RoleCode: "S0080:G0450:R5080"},
	rules.Advanced:  {RoleCode: "S0080:G0450:R5090", Activities: []directory.Coded{{Code: "B0266"}}},
	rules.Agent:     {RoleCode: "S0080:G0450:R5090"},
	rules.Sponsor:   {RoleCode: "S8000:G8000:R8001", Activities: []directory.Coded{{Code: "B1300"}}},
	rules.IDChecker: {RoleCode: "S8000:G8000:R8001", Activities: []directory.Coded{{Code: "B0267"}}},
	rules.CardAdmin: {RoleCode: "S8000:G8000:R8001", Activities: []directory.Coded{{Code: "B0263"}}},
}

// The targets that a change may have. All of them work at MID.
const (
	somebody, themself, ofTheirs, robotic, unverifiedOne, restrictedOne, closedOne, holder = "somebody else", "themself", "robot of theirs", "robot", "unverified", "restricted", "closed", "holder"
)

// facesWorld is a service with people of every authority at every organisation,
// and whom they may want to change.
type facesWorld struct {
	service *service
	handler http.Handler
	url     string
	people  *memory.Store
	live    *redis.Store
	rdb     goredis.UniversalClient
	rules   *rules.Service
	now     time.Time
	folder  string // for files

	cards        *cardca.Authority
	key          crypto.Signer // of the card that somebody shall have
	csr          string
	certificates sync.Map // of that key by uid, in PEM

	doc    directory.Document
	actors []facesActor
	others map[string]string // uids of the targets that are the same for every actor
}

// facesActor is somebody who holds an authority somewhere, signed in at a
// browser and at a terminal.
type facesActor struct {
	name, uid, robot string
	rules.Actor
	cookie, token string
}

func (w *facesWorld) day(days int) idp.Date { return idp.DateOf(w.now.AddDate(0, 0, days)) }

// number returns a number that nobody has.
func (w *facesWorld) number() string {
	n := len(w.doc.People)*10 + 100
	for _, p := range w.doc.People {
		n += len(p.Positions)
	}
	return fmt.Sprintf("%012d", n)
}

// add adds somebody with a card that is suspended, one that is not, a key and an
// authenticator app, who works at MID beside their positions.
func (w *facesWorld) add(change func(*directory.Person), positions ...directory.Position) string {
	uid := w.number()
	p := directory.Person{UID: uid, Profile: idp.Verified, IdentityAssurance: 3, Email: "p" + uid + "@example.org",
		Name: directory.Name{Given: "Given", Family: "Family" + uid},
		Cards: []directory.Card{{Serial: "AA" + uid, Series: 9, State: "suspended", Registered: true, EndsOn: w.day(900)},
			{Serial: "BB" + uid, Series: 9, State: "active", Registered: true, EndsOn: w.day(900)}},
		Authenticators: []directory.Authenticator{
			{ID: "key" + uid, Kind: authenticators.KeyKind, Handle: "h" + uid, Level: 3, Method: authenticators.FIDO2, State: authenticators.Active},
			{ID: "app" + uid, Kind: authenticators.CodeKind, Handle: uid, Level: 2, Method: authenticators.TOTP, State: authenticators.Suspended}}}
	for i, pos := range append(positions, directory.Position{Organisation: "MID", RoleCode: "S8000:G8000:R8001"}) {
		pos.ID, pos.OrgPersonID = fmt.Sprintf("9%s%d", uid[2:], i), fmt.Sprintf("8%s%d", uid[2:], i)
		p.Positions = append(p.Positions, pos)
	}
	if change != nil {
		change(&p)
	}
	w.doc.People = append(w.doc.People, p)
	return uid
}

func profile(is idp.Profile) func(*directory.Person) {
	return func(p *directory.Person) { p.Profile = is }
}

// newFacesWorld puts it together, on the registry in memory.
func newFacesWorld(t *testing.T) *facesWorld {
	t.Helper()
	w := &facesWorld{now: time.Now().Truncate(time.Second), others: map[string]string{}, folder: t.TempDir()}
	for _, o := range places {
		w.doc.Organisations = append(w.doc.Organisations, directory.Organisation{Code: o[0], Name: o[0] + " Hospital", Parent: o[1]})
	}
	w.doc.Organisations[3].ClosedOn = w.day(-1) // LOW: what is above an open one is not closed
	w.doc.Clients = []directory.Client{{ID: "old", Name: "Old", AuthMethod: idp.NoAuth, AssertionAlgs: []string{"RS256"}, AssertionAudiences: []string{"issuer"},
		RedirectURIs: []string{"https://old.example/cb"}, Scopes: []string{"openid"}, Grants: []string{"authorization_code"},
		ResponseModes: []string{"query"}, IDTokenAlg: "RS256", ACRDefault: idp.AAL3Any, MinLevel: 1}}
	robot := func(owner string) func(*directory.Person) {
		return func(p *directory.Person) { p.Robot = directory.Robot{Owner: owner, Until: w.day(200)} }
	}
	w.others[somebody] = w.add(nil)
	w.others[robotic] = w.add(robot(w.others[somebody]))
	w.others[unverifiedOne], w.others[restrictedOne], w.others[closedOne] = w.add(profile(idp.Unverified)), w.add(profile(idp.Restricted)), w.add(profile(idp.Closed))
	sponsor := holders[rules.Sponsor]
	sponsor.Organisation = "MID"
	w.others[holder] = w.add(nil, sponsor)
	for _, authority := range everyAuthority {
		for _, at := range places {
			pos := holders[authority]
			pos.Organisation = at[0]
			uid := w.add(nil, pos)
			w.actors = append(w.actors, facesActor{name: string(authority) + " at " + at[0], uid: uid, robot: w.add(robot(uid))})
		}
	}
	w.open(t)
	return w
}

// open starts the service, and signs everybody in.
func (w *facesWorld) open(t *testing.T) {
	t.Helper()
	w.rdb = aMiniredis(t)
	now := func() time.Time { return w.now }
	parts := aParts(t, "http://localhost", now, w.rdb)
	var err error
	if w.people, err = memory.New(w.doc, memory.Options{Now: now}); err != nil {
		t.Fatal(err)
	}
	parts.registry, parts.administration = w.people, inMemory(w.people, "")
	parts.approvals.Home = "HOM"
	w.cards, parts.certifies = parts.authority, cardAuthority{parts.authority, cardLife}
	w.key, w.csr = aRequestOf(t)
	if w.service, err = wire(parts.parts); err != nil {
		t.Fatal(err)
	}
	w.live = redis.New(w.rdb, now)
	parts.trusts = cardJudge{w.service.room}
	w.invite(t)
	w.rules = parts.registryService(w.people, w.live, &idp.Accounts{Now: now})
	w.handler = w.service.pages.Routes()
	server := httptest.NewServer(w.handler)
	t.Cleanup(server.Close)
	w.url = server.URL
	for _, uid := range w.others {
		w.signIn(t, uid)
	}
	for i := range w.actors {
		w.signIn(t, w.actors[i].robot)
		w.actors[i].cookie, w.actors[i].token, w.actors[i].Actor = w.signIn(t, w.actors[i].uid)
	}
}

// applicantID is the number of somebody who has applied at MID.
const applicantID = "000000000001"

// invite has somebody apply for a care identity.
func (w *facesWorld) invite(t *testing.T) {
	t.Helper()
	err := w.people.Change(t.Context(), rules.Touch{}, func(r *rules.Records) (idp.Act, error) {
		r.Applicants[applicantID] = &rules.Applicant{ID: applicantID, State: rules.HasApplied, Hash: "h", Email: "applicant@example.org", At: "MID", InvitedAt: w.now, Until: w.now.AddDate(0, 1, 0),
			Said: rules.Said{Name: rules.PersonName{Given: "Ann", Family: "Other"}, Born: "1990-01-01", NINumber: "AB123456C"}}
		return idp.Act{Event: idp.Event{At: w.now, Kind: rules.ChangeNo}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// certificate is one that somebody's card could have.
func (w *facesWorld) certificate(uid string) string {
	if made, ok := w.certificates.Load(uid); ok {
		text, _ := made.(string)
		return text
	}
	c, err := w.cards.Issue(cardca.Request{Key: w.key.Public(), Serial: "0D" + uid, UID: uid, NotBefore: w.now.Add(-time.Hour), NotAfter: w.now.Add(time.Hour)})
	if err != nil {
		panic(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	w.certificates.Store(uid, text)
	return text
}

// familyLetters are those of a token that name its family.
const familyLetters = 11

// signIn signs somebody in with their active card: at a browser, and for
// administration.
func (w *facesWorld) signIn(t *testing.T, uid string) (cookie, token string, who rules.Actor) {
	t.Helper()
	return w.signInSo(t, uid, authenticators.AAL3, authenticators.AAL3, time.Minute)
}

// signInSo signs somebody in at a level so long ago, and gives them a token of
// another.
func (w *facesWorld) signInSo(t *testing.T, uid string, level, ofToken authenticators.Level, ago time.Duration) (cookie, token string, who rules.Actor) {
	t.Helper()
	family := idp.NewSecret()[:familyLetters]
	cookie, token = idp.NewSecret(), family+idp.NewSecret()
	s := idp.Session{ID: "sid" + uid, Key: idp.Hash(cookie), Subject: uid, Method: authenticators.Smartcard, Level: level,
		AuthTime: w.now.Add(-ago), LastAct: w.now, Authenticator: "card:BB" + uid}
	if err := w.live.SaveSession(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	g := idp.Grant{Family: family, ClientID: idp.AdminClient, Scopes: []string{"openid", idp.AdminScope}, Subject: uid, SessionID: s.ID, SessionKey: s.Key,
		ACR: idp.AAL3Any, Method: s.Method, Level: ofToken, AuthTime: s.AuthTime, Authenticator: s.Authenticator}
	if err := w.live.SaveToken(t.Context(), token, g, w.now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	p, err := w.people.PersonNow(t.Context(), uid)
	if err != nil {
		t.Fatal(err)
	}
	return cookie, token, rules.Actor{Person: p, Session: s}
}

// target is the uid of whom an actor wants to change.
func (w *facesWorld) target(a facesActor, target string) string {
	switch target {
	case themself:
		return a.uid
	case ofTheirs:
		return a.robot
	}
	return w.others[target]
}

// changes are changes of each kind that could be made of somebody, and that
// concern MID.
func (w *facesWorld) changes(uid string) []rules.Change {
	const why = "because"
	var position string
	for _, p := range w.doc.People {
		if p.UID == uid {
			position = p.Positions[len(p.Positions)-1].ID
		}
	}
	other := w.others[somebody]
	if uid == other {
		other = w.others[restrictedOne] // whom nothing is merged into, if anybody may merge at all
	}
	check := rules.IdentityCheck{How: rules.InPerson, Documents: []string{"passport"}, Assurance: 3}
	facts := rules.CardFacts{Serial: "0A0B0C", Series: 9, EndsOn: w.day(900)}
	nurse := rules.Work{Organisation: "MID", RoleCode: "S8000:G8000:R8002", To: w.day(7)}
	details := rules.Details{Name: rules.PersonName{Given: "New", Family: "Person"}, Email: "new@example.org"}
	client := func(id string) (c rules.Client) {
		if err := json.Unmarshal([]byte(`{"id":"`+id+`","name":"App","auth_method":"none","redirect_uris":["https://app.example/cb"]}`), &c); err != nil {
			panic(err)
		}
		return c
	}
	document, err := rules.Apply([]byte("organisations:\n  - {code: DOC, name: Documented}\n"), why)
	if err != nil {
		panic(err)
	}
	return []rules.Change{
		rules.ChangePerson{UID: uid, Details: details}, rules.VerifyPerson{UID: uid, Check: check, Confirmed: true},
		rules.RestrictPerson{UID: uid, Reason: why}, rules.ClosePerson{UID: uid, Reason: why}, rules.ReopenPerson{UID: uid, Reason: why},
		rules.MergePeople{Duplicate: uid, Into: other, Reason: why}, rules.MergePeople{Duplicate: other, Into: uid, Reason: why},
		rules.AddRobot{Display: "Robot", Owner: uid, Until: w.day(100), Reason: why}, rules.ChangeRobot{UID: uid, Display: "Robot", Owner: other, Until: w.day(100), Reason: why},
		rules.AssignPosition{UIDs: []string{uid}, Work: nurse, Confirmed: true}, rules.ChangePosition{Position: position, Work: nurse, Confirmed: true},
		rules.EndPosition{Position: position}, rules.LeavePerson{UID: uid, Organisation: "MID"},
		rules.GrantTemporary{UID: uid, Work: nurse, Confirmed: true, Reason: why},
		rules.IssueCard{UID: uid, CardFacts: facts}, rules.SuspendCard{Serial: "BB" + uid, Reason: why}, rules.ResumeCard{Serial: "AA" + uid, Reason: why},
		rules.RevokeCard{Serial: "AA" + uid, Reason: why}, rules.ReplaceCard{Old: "AA" + uid, CardFacts: facts, Reason: why},
		rules.SuspendAuthenticator{UID: uid, ID: "key" + uid, Reason: why}, rules.ResumeAuthenticator{UID: uid, ID: "app" + uid, Reason: why},
		rules.RemoveAuthenticator{UID: uid, ID: "key" + uid, Reason: why}, rules.InviteAuthenticator{UID: uid, Check: check},
		rules.LiftLock{UID: uid, Authenticator: authenticators.CodeKind, Reason: why},
		rules.EndSession{UID: uid, SID: "sid" + uid, Reason: why}, rules.EndSessions{UID: uid, Reason: why},
		rules.AddPerson{Details: details, Profile: idp.Unverified},
		rules.AddOrganisation{Code: "NEW", Name: "New", Parent: "MID"}, rules.ChangeOrganisation{Code: "MID", Name: "Other name", Parent: "TOP"},
		rules.CloseOrganisation{Code: "MID", On: w.day(1), Reason: why}, rules.MergeOrganisations{Code: "MID", Successor: "SIB", On: w.day(1), Reason: why},
		rules.MovePositions{From: "MID", To: "SIB", Day: w.day(1), UIDs: []string{uid}, Reason: why},
		rules.IssueCertificate{Certified: rules.Certified{UID: uid, Series: 9}, CSR: w.csr},
		rules.RecordCertificate{Certified: rules.Certified{UID: uid, Series: 9}, Certificate: w.certificate(uid)},
		rules.InviteApplicant{Email: "new@example.org", Organisation: "MID", Confirmed: true}, rules.AcceptApplicant{Applicant: applicantID, Check: check, Confirmed: true},
		rules.RefuseApplicant{Applicant: applicantID, Reason: why}, rules.SendNotice{Organisation: "MID", Role: "R8001", Series: 9, Subject: "Lifts", Text: "Stand."},
		rules.SetSeriesRule{Series: 4}, rules.SetAgentRule{Product: "agent", Below: "1.0", BlockedFrom: w.day(1)},
		rules.AddClient{Client: client("app")}, rules.ChangeClient{Client: client("old")}, rules.RemoveClient{ID: "old", Reason: why},
		document,
	}
}
