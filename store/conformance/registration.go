package conformance

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// RegistrationStore is a registry that the registration authority changes, with
// those who must hear of it.
type RegistrationStore interface {
	registry.Keeper
	registry.Finder
	registry.Addresses
	registry.Enrolments
	registry.Insured
	registry.Managing
	registry.CardLedger
	registry.Uses
	idp.People
	idp.Journal
	idp.Fences
	idp.Watches
	smartcard.Cards
}

// Registered is such a registry, and what reads back what a change left.
type Registered struct {
	RegistrationStore
	Events func() []idp.Event // oldest first, as far as they have an order
	Mails  func() []idp.Mail
}

// trust is a small directory of several organisations.
const trust = `
policy: {card_series: [{series: 4, blocked_from: 2030-01-01}, {series: 5, blocked_from: 2030-02-01}]}
organisations:
  - {code: RT1, name: Millbrook Trust}
  - {code: RT101, name: Millbrook Hospital, parent: RT1}
  - {code: RT1W1, name: Ward One, parent: RT101}
  - {code: B81, name: Brook Surgery}
people:
  - uid: "555000000101"
    name: {title: Ms, given: Ada, middle: Grace May, family: Cole, display: Ada Cole}
    email: ada.cole@millbrook.example
    mobile: "+447700900101"
    ni_number: QQ123456C
    identity_assurance: 3
    professional: {nmc_id: 98A7654E}
    positions:
      - {id: "201", org_person_id: "301", organisation: RT1W1, role_code: "S1:G1:R1", role_name: Nurse, activities: [{code: B1, name: View}], from: 2029-01-01}
      - {id: "202", organisation: B81, role_code: "S1:G1:R2", from: 2029-01-01, to: 2030-01-07, reason: cover}
    memberships: [{org_person_id: "301", organisation: RT1, gnc: G1}]
    cards:
      - {serial: 0000101, series: 9, ends_on: 2030-02-01}
      - {serial: 0AbC, series: 5, state: suspended}
    authenticators:
      - {id: k1, kind: passkey, handle: h1, name: Key, method: FIDO2, level: 3, added_at: "2029-01-01T09:00:00Z", record: eyJrIjoxfQ==, mark: eyJuIjoxfQ==}
  - uid: "555000000102"
    name: {title: Dr, given: Cole, family: Adams}
    positions: [{id: "203", organisation: RT101, role_code: "S1:G1:R1"}]
    cards: [{serial: 0102, series: 4}]
    profile: unverified
  - {uid: "555000000103", name: {given: Adam, family: Coleman, display: Professor Coleman}, email: cole@brook.example,
     positions: [{id: "204", organisation: B81, role_code: "S1:G1:R1", to: 2029-12-31}], cards: [{serial: 0103, state: blocked}]}
  - {uid: "555000000104", name: {given: Robbie, family: Bot}, email: bot@brook.example, robot: {owner: "555000000101", until: 2030-06-30}}
  - {uid: "555000000105", name: {given: Gone, family: Cole}, profile: closed}
clients:
  - {id: ward, name: Ward list, secret: s, redirect_uris: [https://ward.example/cb]}
`

// trustIssuer is the authority of its cards.
const trustIssuer = "A1B2"

const dan = "555000000102"

// Registration checks one registry of the registration authority. open returns
// one that holds doc, whose cards are of issuer.
func Registration(t *testing.T, open func(t *testing.T, doc directory.Document, issuer string) Registered) {
	ward := func(t *testing.T) registration { return registration{t, open(t, read(t, trust), trustIssuer)} }

	t.Run("own rule: records are as the directory says, by whatever they are asked for", func(t *testing.T) { ward(t).asRead() })
	t.Run("own rule: what is changed is so, with its act, and nothing else", func(t *testing.T) { ward(t).changesAll() })
	t.Run("own rule: what a change adds is there, and refers to what it added", func(t *testing.T) { ward(t).adds() })
	t.Run("own rule: what is one's goes to another in one change", func(t *testing.T) { ward(t).moves() })
	t.Run("own rule: a card's certificate stays with it, and its authority learns what became of it", func(t *testing.T) { ward(t).certifies() })
	t.Run("own rule: whoever is invited applies once, and is on the list until they are decided on", func(t *testing.T) { ward(t).invitesAndApplies() })
	t.Run("own rule: a person is found by their National Insurance number, as it is now", func(t *testing.T) { ward(t).findsByNumber() })
	t.Run("own rule: who can be told by mail works there that day, is verified and has an address", func(t *testing.T) { ward(t).addressed() })
	t.Run("own rule: a card says when it was last used", func(t *testing.T) { ward(t).lastUsed() })
	t.Run("own rule: no two cards that may be used have one key", func(t *testing.T) { ward(t).oneKey() })
	t.Run("own rule: a change that is refused leaves nothing", func(t *testing.T) { ward(t).refused() })
	t.Run("own rule: a change that changes nothing is in the journal", func(t *testing.T) {
		w := ward(t)
		before := w.records(registry.Touch{People: []string{ada}}).People[ada]
		w.must(w.Change(t.Context(), registry.Touch{People: []string{ada}}, func(*registry.Records) (idp.Act, error) { return anAct("seen"), nil }))
		w.left("seen")
		if now := w.records(registry.Touch{People: []string{ada}}).People[ada]; now.ETag != before.ETag {
			t.Errorf("its name was %s and is %s", before.ETag, now.ETag)
		}
	})
	t.Run("own rule: of many who add the same at once one does, and the others are told", func(t *testing.T) { races(t, ward) })
	t.Run("own rule: many who change one person at once all do", func(t *testing.T) {
		w := ward(t)
		won := atOnce(func(n int) bool {
			err := w.change(fmt.Sprint(n), registry.Touch{People: []string{ada}}, func(r *registry.Records) {
				p := r.People[ada]
				p.Positions = append(p.Positions, directory.Position{ID: fmt.Sprint("9", n), Organisation: "RT1", RoleCode: "R"})
				p.IdentityAssurance = (p.IdentityAssurance + 1) % 4 // of what the one before wrote
			})
			w.must(err)
			return err == nil
		})
		if p := w.records(registry.Touch{People: []string{ada}}).People[ada]; won != racers || len(p.Positions) != 2+racers || p.IdentityAssurance != (3+racers)%4 {
			t.Errorf("%d did, and she has %d positions, known by %d", won, len(p.Positions), p.IdentityAssurance)
		}
	})
	t.Run("own rule: a request is decided on once", func(t *testing.T) { ward(t).decidedOnce() })
	t.Run("own rule: somebody's NI number is compared, and nobody's is none", func(t *testing.T) { ward(t).insures() })
	t.Run("own rule: an enrolment code is good once, for a time, and for one person", func(t *testing.T) { ward(t).enrols() })
	t.Run("own rule: what a document manages is told apart", func(t *testing.T) { ward(t).manages() })
	t.Run("A10: whose card or authenticator is stopped is looked after at once, and cannot sign in with it", func(t *testing.T) { ward(t).stops() })
	t.Run("own rule: people are found by one box, the best first, page after page", func(t *testing.T) { ward(t).found() })
	t.Run("own rule: of many uids all are found at once", func(t *testing.T) { ward(t).foundByUID() })
	t.Run("own rule: worklists tell who is on them and why", func(t *testing.T) { ward(t).listed() })
	t.Run("own rule: what happened is found by its people and by what they read out", func(t *testing.T) { ward(t).happened() })
	t.Run("own rule: organisations are found, and those below them", func(t *testing.T) { ward(t).organisations() })
	t.Run("own rule: what the rules expect of a registry, it does", func(t *testing.T) { ward(t).ruled() })
}

// registration is a registry in a test.
type registration struct {
	t *testing.T
	Registered
}

func (w registration) must(err error) {
	w.t.Helper()
	w.want(err, nil)
}

func (w registration) want(err, want error) {
	w.t.Helper()
	if !errors.Is(err, want) {
		w.t.Errorf("%v, want %v", err, want)
	}
}

func (w registration) records(t registry.Touch) registry.Records {
	w.t.Helper()
	r, err := w.Records(w.t.Context(), t)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// change makes a change with the act of that name.
func (w registration) change(request string, t registry.Touch, edit func(*registry.Records)) error {
	return w.Change(w.t.Context(), t, func(r *registry.Records) (idp.Act, error) {
		edit(r)
		return anAct(request), nil
	})
}

// left checks that acts of these names and no others left what they should.
func (w registration) left(requests ...string) {
	w.t.Helper()
	holdings{w.t, Opened{Events: w.Events, Mails: w.Mails}}.left(requests...)
}

func (w registration) asRead() {
	t := w.t
	doc := read(t, trust)
	for name, touch := range map[string]registry.Touch{
		"uid":      {People: []string{ada}},
		"card":     {Cards: []string{"101"}},
		"position": {Positions: []string{"202"}},
		"all":      {People: []string{ada}, Cards: []string{"0abc"}, Positions: []string{"201"}},
	} {
		r := w.records(touch)
		p := r.People[ada]
		if len(r.People) != 1 || p == nil {
			t.Fatalf("by %s: %d people", name, len(r.People))
		}
		if want := plain(doc.People[0]); !reflect.DeepEqual(plain(p.Person), want) || p.ETag == "" || !p.AddedAt.IsZero() {
			t.Errorf("by %s: %+v\nwant %+v", name, p.Person, want)
		}
	}
	r := w.records(registry.Touch{At: "B81"})
	if len(r.People) != 2 || r.People[ada] == nil || r.People["555000000103"] == nil || r.Organisations["B81"] == nil {
		t.Errorf("at B81: %d people, %v", len(r.People), r.Organisations)
	}
	r = w.records(registry.Touch{Organisations: []string{"RT1W1", "B81", "none"}, Clients: []string{"ward", "none"}, People: []string{"555000000999"}, Policy: true})
	if len(r.Organisations) != 4 || r.Organisations["RT1"] == nil || *r.Organisations["RT101"] != doc.Organisations[1] || len(r.People) != 0 {
		t.Errorf("organisations %v, people %v", r.Organisations, r.People)
	}
	if len(r.Clients) != 1 || !reflect.DeepEqual(*r.Clients["ward"], doc.Clients[0]) {
		t.Errorf("clients %+v", r.Clients)
	}
	if r.Policy == nil || !reflect.DeepEqual(*r.Policy, doc.Policy) {
		t.Errorf("policy %+v", r.Policy)
	}
	if r := w.records(registry.Touch{}); r.Policy != nil || len(r.People)+len(r.Organisations)+len(r.Clients)+len(r.Requests) != 0 {
		t.Errorf("nothing is %+v", r)
	}
}

// plain is a person without what is of virtual cards alone, which not every
// registry keeps.
func plain(p directory.Person) directory.Person {
	p = directory.Document{People: []directory.Person{p}}.Clone().People[0]
	for i := range p.Cards {
		p.Cards[i].Passcode, p.Cards[i].PUK, p.Cards[i].TriesLeft, p.Cards[i].Certificate = "", "", 0, ""
	}
	for i := range p.Authenticators {
		p.Authenticators[i].Record, p.Authenticators[i].Mark = "", ""
	}
	return p
}

func (w registration) changesAll() {
	t := w.t
	touch := registry.Touch{People: []string{ada, dan}, Organisations: []string{"RT1W1", "RT1"}, Clients: []string{"ward"}, Policy: true}
	before := w.records(touch)
	var want registry.Records
	w.must(w.change("all", touch, func(r *registry.Records) {
		p := r.People[ada]
		p.Name = directory.Name{Title: "Prof", Given: "A", Middle: "B", Family: "C", Display: "D"}
		p.Email, p.Mobile, p.NINumber, p.IdentityAssurance, p.Profile = "new@x.example", "", "QQ123456A", 2, idp.Restricted
		p.Robot, p.MergedInto = directory.Robot{Owner: dan, Until: "2031-01-01"}, dan
		p.Professional = directory.Professional{GMC: "C1"}
		p.Positions[0].To, p.Positions[0].Workgroups = "2030-01-05", []directory.Coded{{Code: "9", Name: "W"}}
		p.Positions[1].Reason, p.Positions[1].Activities = "longer", []directory.Coded{{Code: "B2"}}
		p.Memberships = append(p.Memberships, directory.Membership{Organisation: "RT101"})
		p.Memberships[0].GNC = ""
		p.Cards[0].State, p.Cards[0].EndsOn = "revoked", ""
		p.Cards[1].Registered, p.Cards[1].Series, p.Cards[1].EndsOn = false, 6, "2031-05-05"
		p.Authenticators[0].State, p.Authenticators[0].Name, p.Authenticators[0].Level = authenticators.Suspended, "Lost", 2
		r.Organisations["RT1W1"].ClosedOn, r.Organisations["RT1W1"].Successor = "2030-01-05", "RT101"
		r.Organisations["RT1"].Name = "Trust"
		r.Clients["ward"].Name, r.Clients["ward"].MinLevel, r.Clients["ward"].Scopes = "Ward", 3, []string{"openid", "profile"}
		r.Policy.WarnDays, r.Policy.CardSeries = []int{7}, []directory.SeriesRule{{Series: 8, LegacyGateway: true}}
		r.Policy.Agents = []directory.AgentRule{{Product: "a", Below: "1.0"}}
		want = *r
	}))
	now := w.records(touch)
	if got, want := plain(now.People[ada].Person), plain(want.People[ada].Person); !reflect.DeepEqual(got, want) {
		t.Errorf("she is %+v\nwant %+v", got, want)
	}
	if !reflect.DeepEqual(*now.Policy, *want.Policy) || !reflect.DeepEqual(now.Clients, want.Clients) || !reflect.DeepEqual(now.Organisations, want.Organisations) {
		t.Errorf("policy %+v, clients %+v, organisations %+v", *now.Policy, *now.Clients["ward"], now.Organisations)
	}
	if now.People[ada].ETag == before.People[ada].ETag || now.People[dan].ETag != before.People[dan].ETag {
		t.Error("who was changed is called as before, or who was not is not")
	}
	if !reflect.DeepEqual(plain(now.People[dan].Person), plain(before.People[dan].Person)) {
		t.Errorf("somebody else is %+v", now.People[dan].Person)
	}
	p, err := w.Person(t.Context(), ada)
	if err != nil || !p.Robot || p.Until != "2031-01-01" || p.Profile != idp.Restricted || p.Holds["card:0101"] || p.Holds["passkey:k1"] || p.Positions[0].Organisation.Name != "Ward One" {
		t.Errorf("Person = %+v, %v", p, err)
	}
	if c, err := w.CardByCertificate(t.Context(), trustIssuer, "0101"); err != nil || c.State != smartcard.Revoked {
		t.Errorf("her card is %+v, %v", c, err)
	}
	w.left("all")
}

func (w registration) adds() {
	t := w.t
	const uid = "555000000201"
	touch := registry.Touch{People: []string{uid}, Organisations: []string{"NEW"}, Clients: []string{"c2"}}
	key := directory.AuthenticatorOf(aKey("k9"))
	w.must(w.change("add", touch, func(r *registry.Records) {
		r.Organisations["NEW"] = &directory.Organisation{Code: "NEW", Name: "New", Parent: "RT1"}
		r.People[uid] = &registry.Person{Person: directory.Person{UID: uid, Email: "n@x.example", Profile: idp.Verified, NINumber: "QQ123456B",
			Positions:      []directory.Position{{ID: "301", Organisation: "NEW", RoleCode: "R"}},
			Cards:          []directory.Card{{Serial: "0201", Series: 9, State: "active", Registered: true, EndsOn: "2031-01-01", Certificate: "valid", TriesLeft: 3}},
			Authenticators: []directory.Authenticator{key}}, Issuers: map[string]string{"0201": ""}}
		r.Clients["c2"] = &directory.Client{ID: "c2", AuthMethod: idp.NoAuth, IDTokenAlg: "RS256", ACRDefault: idp.AAL3Any, MinLevel: 1}
	}))
	now := w.records(registry.Touch{Cards: []string{"201"}, Organisations: []string{"NEW"}, Clients: []string{"c2"}})
	p := now.People[uid]
	if p == nil || p.NINumber != "QQ123456B" || len(p.Positions) != 1 || len(p.Cards) != 1 || !p.AddedAt.Equal(noon) || p.ETag == "" ||
		len(p.Authenticators) != 1 || p.Authenticators[0].Handle != "handle-k9" {
		t.Errorf("added: %+v", p)
	}
	if now.Organisations["NEW"] == nil || now.Organisations["RT1"] == nil || now.Clients["c2"] == nil {
		t.Errorf("added: %+v, %+v", now.Organisations, now.Clients)
	}
	if of, err := w.Person(t.Context(), uid); err != nil || !of.Holds["card:0201"] || !of.Holds["passkey:k9"] || of.Positions[0].Organisation.Name != "New" {
		t.Errorf("Person = %+v, %v", of, err)
	}
	w.want(w.change("nowhere", registry.Touch{People: []string{uid}}, func(r *registry.Records) {
		r.People[uid].Positions = append(r.People[uid].Positions, directory.Position{ID: "302", Organisation: "none", RoleCode: "R"})
	}), idp.ErrNotFound)
	w.left("add")
}

func (w registration) moves() {
	t := w.t
	touch := registry.Touch{People: []string{ada, dan}}
	w.must(w.change("merge", touch, func(r *registry.Records) {
		from, to := r.People[ada], r.People[dan]
		to.Email, from.Email = from.Email, ""
		to.Positions, from.Positions = append(to.Positions, from.Positions...), nil
		to.Authenticators, from.Authenticators = from.Authenticators, nil
		for _, c := range from.Cards {
			to.Issuers[c.Serial] = from.Issuers[c.Serial]
		}
		to.Cards, from.Cards = append(to.Cards, from.Cards...), nil
		from.Profile, from.MergedInto = idp.Closed, dan
	}))
	r := w.records(touch)
	if from, to := r.People[ada], r.People[dan]; len(from.Positions)+len(from.Cards)+len(from.Authenticators) != 0 || from.Email != "" ||
		to.Email != "ada.cole@millbrook.example" || len(to.Positions) != 3 || len(to.Cards) != 3 || len(to.Authenticators) != 1 || from.MergedInto != dan {
		t.Errorf("from %+v\nto %+v", from.Person, to.Person)
	}
	if p, err := w.Person(t.Context(), dan); err != nil || !p.Holds["passkey:k1"] || !p.Holds["card:0101"] {
		t.Errorf("Person = %+v, %v", p, err)
	}
	w.must(w.change("swap", touch, func(r *registry.Records) {
		r.People[ada].Email, r.People[dan].Email = r.People[dan].Email, "x@x.example"
	}))
	w.left("merge", "swap")
}

func (w registration) manages() {
	t := w.t
	person, client := registry.Name{Kind: "person", Name: ada}, registry.Name{Kind: "client", Name: "ward"}
	w.must(w.change("a", registry.Touch{}, func(r *registry.Records) { r.Managed[person], r.Managed[client] = true, true }))
	w.must(w.change("b", registry.Touch{}, func(r *registry.Records) { r.Managed[person] = true }))
	if names, err := w.Managed(t.Context()); err != nil || !slices.Equal(names, []registry.Name{client, person}) {
		t.Errorf("Managed = %v, %v", names, err)
	}
	w.must(w.change("c", registry.Touch{}, func(r *registry.Records) { r.Managed[person] = false }))
	if names, err := w.Managed(t.Context()); err != nil || !slices.Equal(names, []registry.Name{client}) {
		t.Errorf("Managed = %v, %v", names, err)
	}
}

func (w registration) stops() {
	t := w.t
	for name, stop := range map[string]func(*registry.Person){
		"card:0101":  func(p *registry.Person) { p.Cards[0].State = "revoked" },
		"passkey:k1": func(p *registry.Person) { p.Authenticators[0].State = authenticators.Suspended },
	} {
		sid := "sid-" + name
		w.must(w.Record(t.Context(), idp.Event{At: noon, Kind: idp.TokenIssued, Subject: ada, Session: sid, Client: "ward",
			Tell: &idp.Watch{SID: sid, Client: "ward", Subject: ada}}))
		if p, err := w.Person(t.Context(), ada); err != nil || !p.Stands(noon, name) {
			t.Errorf("before: %+v, %v", p.Holds, err)
		}
		if due, err := w.DueWatches(t.Context(), noon, noon.Add(time.Minute), 10); err != nil || len(due) != 0 {
			t.Errorf("before: %v are due, %v", due, err)
		}
		w.must(w.change(name, registry.Touch{People: []string{ada}}, func(r *registry.Records) {
			stop(r.People[ada])
			r.Ends = []idp.OwnSession{{Session: idp.Session{ID: "named-" + sid, Key: "key-" + sid, Subject: ada}}}
		}))
		if p, err := w.PersonNow(t.Context(), ada); err != nil || p.Stands(noon, name) {
			t.Errorf("after: %+v, %v", p.Holds, err)
		}
		due, err := w.DueWatches(t.Context(), noon, noon.Add(time.Hour), 10)
		if err != nil || !slices.ContainsFunc(due, func(d idp.Watch) bool { return d.SID == sid }) {
			t.Errorf("after: %v are due, %v; want %s", due, err, sid)
		}
		if stands, err := w.Stands(t.Context(), idp.Fence{Kind: idp.SessionFence, Hash: "key-" + sid}); err != nil || !stands {
			t.Errorf("the session that was to end has not: %v, %v", stands, err)
		}
		w.must(w.Record(t.Context(), idp.Event{At: noon, Kind: idp.SessionEnded}, idp.Fence{Kind: idp.SIDFence, Hash: sid}))
	}
}
