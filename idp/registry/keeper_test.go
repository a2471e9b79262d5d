package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// noon is when everything in these tests happens, unless they say otherwise.
var noon = time.Date(2030, 6, 3, 12, 0, 0, 0, time.UTC)

const today, yesterday, tomorrow = idp.Date("2030-06-03"), idp.Date("2030-06-02"), idp.Date("2030-06-04")

// world is a registry in memory, and all that a Service stands on.
type world struct {
	faster   func() // what somebody else does before the next change
	mu       sync.Mutex
	records  Records
	events   []idp.Event
	mails    []idp.Mail
	codes    []Enrolment
	managing map[Name]bool
	used     map[string]bool // numbers that are somebody's or were
	sessions []idp.OwnSession
	ended    []string
	cleared  []idp.LimitKey
	tried    map[idp.LimitKey]int
	limited  error // what counting a try says
	next     int
	at       time.Time

	*Service

	told     []Addressee // whomever a notice is for
	toldNone error       // why nobody knows who that is
	audience Audience    // that was asked for last
}

// aWorld has organisations in a tree, and nobody.
//
//	HOM
//	 └ TOP ─ MID ─ LOW
//	      └─ SIB      OTH (apart)
func aWorld(t *testing.T) *world {
	t.Helper()
	w := &world{at: noon, managing: map[Name]bool{}, used: map[string]bool{}}
	w.records = Records{People: map[string]*Person{}, Organisations: map[string]*directory.Organisation{},
		Clients: map[string]*directory.Client{}, Requests: map[string]*Request{}, Applicants: map[string]*Applicant{},
		Policy: &directory.Policy{WarnDays: []int{30}}}
	for _, o := range []directory.Organisation{
		{Code: "HOM", Name: "Home"}, {Code: "TOP", Name: "Top"}, {Code: "MID", Name: "Middle", Parent: "TOP"},
		{Code: "LOW", Name: "Low", Parent: "MID"}, {Code: "SIB", Name: "Sibling", Parent: "TOP"}, {Code: "OTH", Name: "Other"},
	} {
		w.records.Organisations[o.Code] = &o
	}
	w.Service = &Service{Addresses: w, Keeper: w, Finder: w, Own: w, Sessions: w, Limits: w, Managing: w,
		Policy: Approvals{Home: "HOM"}, Now: func() time.Time { return w.at }, CardAuthority: authorities{}, CardTrust: authorities{}}
	return w
}

// number returns a number that nobody has.
func (w *world) number() string {
	w.next++
	return fmt.Sprintf("%012d", w.next)
}

// add adds somebody who works at organisations, verified if nothing else is
// said.
func (w *world) add(change func(*directory.Person), positions ...directory.Position) string {
	p := directory.Person{UID: w.number(), Profile: idp.Verified, IdentityAssurance: 3, Email: fmt.Sprintf("p%d@example.org", w.next),
		Name: directory.Name{Given: "Given", Family: fmt.Sprintf("Family%d", w.next)}, Positions: positions}
	for i := range p.Positions {
		p.Positions[i].ID, p.Positions[i].OrgPersonID = w.number(), w.number()
		w.used["position "+p.Positions[i].ID] = true
	}
	if change != nil {
		change(&p)
	}
	w.used["person "+p.UID] = true
	w.records.People[p.UID] = &Person{Person: p}
	return p.UID
}

// at makes a position of one of the authorities, or of a nurse, at an
// organisation.
func work(authority Authority, code string) directory.Position {
	p := directory.Position{Organisation: code, RoleCode: "S8000:G8000:R8001"}
	for _, m := range marks {
		if m.authority != authority {
			continue
		}
		if m.role != "" {
			p.RoleCode = "S0080:G0450:" + m.role
		}
		if m.activity != "" {
			p.Activities = []directory.Coded{{Code: m.activity}}
		}
	}
	return p
}

// holder adds somebody who holds an authority at an organisation.
func (w *world) holder(authority Authority, code string) string {
	return w.add(nil, work(authority, code))
}

// nurse adds somebody who cares for patients at an organisation.
func (w *world) nurse(code string) string { return w.add(nil, work("", code)) }

// actor is somebody who has only just signed in with a card.
func (w *world) actor(uid string) Actor {
	a := Actor{Request: "REQUEST1", Session: idp.Session{ID: "sid", Subject: uid, Level: authenticators.AAL3, AuthTime: w.at}}
	if p := w.records.People[uid]; p != nil {
		a.Person = p.IDP(map[string]idp.Organisation{})
	}
	a.Person.UID = uid
	return a
}

func (w *world) person(uid string) *Person { return w.records.People[uid] }

// Change implements Keeper.
func (w *world) Change(ctx context.Context, t Touch, decide func(*Records) (idp.Act, error)) error {
	if faster := w.faster; faster != nil {
		w.faster = nil
		faster()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.read(t)
	r.SameNumber, _ = w.ByNINumber(ctx, t.NINumber)
	read := maps.Clone(r.People)
	act, err := decide(&r)
	if err != nil {
		return err
	}
	if err := w.unique(&r, read); err != nil {
		return err
	}
	if r.Spent != "" {
		n := len(w.codes)
		w.codes = slices.DeleteFunc(w.codes, func(e Enrolment) bool { return e.Hash == r.Spent && act.Event.At.Before(e.Until) })
		if len(w.codes) == n {
			return idp.ErrNotFound
		}
	}
	maps.Copy(w.records.People, r.People)
	maps.Copy(w.records.Organisations, r.Organisations)
	maps.Copy(w.records.Clients, r.Clients)
	maps.Copy(w.records.Requests, r.Requests)
	maps.Copy(w.records.Applicants, r.Applicants)
	if r.Policy != nil {
		w.records.Policy = r.Policy
	}
	w.events = append(append(w.events, act.Event), r.Events...)
	w.mails, w.codes = append(append(w.mails, act.Mails...), r.Mails...), append(w.codes, r.Codes...)
	maps.Copy(w.managing, r.Managed)
	return nil
}

// Records implements Keeper.
func (w *world) Records(_ context.Context, t Touch) (Records, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.read(t), nil
}

// read returns copies of what t names.
func (w *world) read(t Touch) Records {
	all := w.records.clone()
	r := Records{People: map[string]*Person{}, Organisations: map[string]*directory.Organisation{},
		Clients: map[string]*directory.Client{}, Requests: map[string]*Request{}, Applicants: map[string]*Applicant{}, Managed: map[Name]bool{}}
	codes := append(slices.Clone(t.Organisations), t.At)
	for id, a := range all.Applicants {
		if slices.Contains(t.Applicants, id) || t.Invitation != "" && a.Hash == t.Invitation {
			r.Applicants[id] = a
			codes = append(codes, a.At)
		}
	}
	for uid, p := range all.People {
		named := slices.Contains(t.People, uid) || slices.ContainsFunc(p.Positions, func(pos directory.Position) bool {
			return slices.Contains(t.Positions, pos.ID) || t.At != "" && pos.Organisation == t.At
		}) || slices.ContainsFunc(p.Cards, func(c directory.Card) bool {
			return slices.Contains(t.Cards, directory.CardSerial(c.Serial)) || t.CardKey != "" && p.Issued[c.Serial].Key == t.CardKey
		})
		if !named {
			continue
		}
		r.People[uid] = p
		for _, pos := range p.Positions {
			codes = append(codes, pos.Organisation)
		}
	}
	for _, code := range codes {
		for o := all.Organisations[code]; o != nil && r.Organisations[o.Code] == nil; o = all.Organisations[o.Parent] {
			r.Organisations[o.Code] = o
		}
	}
	for _, id := range t.Clients {
		if c := all.Clients[id]; c != nil {
			r.Clients[id] = c
		}
	}
	for _, id := range t.Requests {
		if q := all.Requests[id]; q != nil {
			r.Requests[id] = q
		}
	}
	if t.Policy {
		r.Policy = all.Policy
	}
	return r
}

// unique is idp.ErrTaken where a number, a card or an e-mail would be two's.
func (w *world) unique(r *Records, read map[string]*Person) error {
	now := maps.Clone(w.records.People)
	maps.Copy(now, r.People)
	seen := map[string]bool{}
	fresh := map[string]bool{}
	for uid, p := range now {
		names := []string{"person " + uid}
		for _, pos := range p.Positions {
			names = append(names, "position "+pos.ID)
		}
		for _, c := range p.Cards {
			names = append(names, "card "+directory.CardSerial(c.Serial))
		}
		if p.Email != "" {
			names = append(names, "email "+idp.EmailKey(p.Email))
		}
		for _, n := range names {
			if seen[n] {
				return idp.ErrTaken
			}
			seen[n], fresh[n] = true, true
		}
	}
	for uid, p := range r.People {
		had := map[string]bool{}
		if read[uid] != nil {
			had["person "+uid] = true
		}
		for _, was := range w.records.People {
			for _, pos := range was.Positions {
				had["position "+pos.ID] = true
			}
		}
		names := []string{"person " + uid}
		for _, pos := range p.Positions {
			names = append(names, "position "+pos.ID)
		}
		for _, n := range names {
			if w.used[n] && !had[n] {
				return idp.ErrTaken
			}
		}
	}
	for n := range fresh {
		if !strings.HasPrefix(n, "email ") {
			w.used[n] = true
		}
	}
	return nil
}

// Managed implements Managing.
func (w *world) Managed(context.Context) ([]Name, error) {
	var names []Name
	for n, is := range w.managing {
		if is {
			names = append(names, n)
		}
	}
	return names, nil
}

// FindPeople implements Finder as far as it is asked for who is alike.
func (w *world) FindPeople(_ context.Context, q Query) ([]Found, string, error) {
	var found []Found
	for uid, p := range w.records.People {
		if p.Email == q.Text || p.Name.Given+" "+p.Name.Family == q.Text {
			found = append(found, Found{UID: uid, Display: p.Name.Given + " " + p.Name.Family})
		}
	}
	return found, "", nil
}

// ByNINumber implements Finder.
func (w *world) ByNINumber(_ context.Context, number string) ([]Found, error) {
	var found []Found
	for uid, p := range w.records.People {
		if number != "" && p.NINumber == number {
			found = append(found, Found{UID: uid, Display: p.Name.Given + " " + p.Name.Family})
		}
	}
	return found, nil
}

// Below implements Finder.
func (w *world) Below(_ context.Context, code string) ([]string, error) {
	codes := []string{code}
	for i := 0; i < len(codes); i++ {
		for _, o := range w.records.Organisations {
			if o.Parent == codes[i] {
				codes = append(codes, o.Code)
			}
		}
	}
	return codes, nil
}

// What follows implements the rest of Finder; no rule asks for it.

func (*world) FindOrganisations(context.Context, Query) ([]directory.Organisation, string, error) {
	return nil, "", nil
}
func (*world) FindUIDs(context.Context, []string, string, int) ([]Found, error) { return nil, nil }
func (w *world) Addressees(_ context.Context, a Audience, _ idp.Date, most int) ([]Addressee, error) {
	w.audience = a
	return w.told[:min(most, len(w.told))], w.toldNone
}
func (*world) Worklist(context.Context, List, Query, time.Time) ([]Found, string, error) {
	return nil, "", nil
}
func (*world) Waiting(context.Context, Query, time.Time) ([]Request, string, error) {
	return nil, "", nil
}
func (*world) Applicants(context.Context, Query, time.Time) ([]Applicant, string, error) {
	return nil, "", nil
}
func (*world) EventsOf(context.Context, string, Query) ([]idp.Event, string, error) {
	return nil, "", nil
}
func (*world) ByReference(context.Context, string) ([]idp.Event, error) { return nil, nil }

// SessionsOf implements idp.OwnSessions.
func (w *world) SessionsOf(_ context.Context, uid string, _ time.Time) ([]idp.OwnSession, error) {
	return slices.DeleteFunc(slices.Clone(w.sessions), func(s idp.OwnSession) bool { return s.Subject != uid }), nil
}

// EndSession is all of idp.SessionStore that a Service asks for.
func (w *world) EndSession(_ context.Context, key string) error {
	w.ended = append(w.ended, key)
	return nil
}
func (*world) SaveSession(context.Context, idp.Session) error   { return nil }
func (*world) UpdateSession(context.Context, idp.Session) error { return nil }
func (*world) Session(context.Context, string, time.Time) (idp.Session, error) {
	return idp.Session{}, idp.ErrNotFound
}

// FindEnrolment implements Enrolments.
func (w *world) FindEnrolment(_ context.Context, hash string, now time.Time) (Enrolment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.codes {
		if e.Hash == hash && now.Before(e.Until) {
			return e, nil
		}
	}
	return Enrolment{}, idp.ErrNotFound
}

// Attempt and Clear implement idp.Limits.
func (w *world) Attempt(_ context.Context, key idp.LimitKey, _ idp.Limit, _ time.Time) error {
	if w.tried == nil {
		w.tried = map[idp.LimitKey]int{}
	}
	w.tried[key]++
	return w.limited
}
func (w *world) Clear(_ context.Context, key idp.LimitKey) error {
	w.cleared = append(w.cleared, key)
	return nil
}
