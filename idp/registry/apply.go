package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// ApplyDocument makes the registry what a document says of it. What an earlier
// document said and this one does not is closed, ended or removed; what was
// never in one is left as it is.
type ApplyDocument struct {
	Document directory.Document `json:"-"`
	Text     string             `json:"document,omitempty"` // YAML or JSON, in the place of Document
	Reason   string             `json:"reason,omitempty"`
}

// Apply returns the change that a document asks for. What is wrong with the
// document is directory.Problems, with its lines.
func Apply(text []byte, reason string) (ApplyDocument, error) {
	d, err := directory.Read(bytes.NewReader(text))
	if err != nil {
		return ApplyDocument{}, err
	}
	return ApplyDocument{Document: d, Text: string(text), Reason: reason}, nil
}

// UnmarshalJSON reads a change with the document that it has as text.
func (ch *ApplyDocument) UnmarshalJSON(text []byte) error {
	var j struct {
		Text   string `json:"document"`
		Reason string `json:"reason"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return err
	}
	var err error
	*ch, err = Apply([]byte(j.Text), j.Reason)
	return err
}

// Kind implements Change.
func (ApplyDocument) Kind() Kind { return DocumentApplied }

func (ch ApplyDocument) words() string { return ch.Reason }

func (ch ApplyDocument) check() error {
	var f checks
	f.reason(ch.Reason, false)
	return f.err()
}

func (ch ApplyDocument) touches() Touch {
	t := Touch{Policy: true}
	for _, p := range ch.Document.People {
		t.People = append(t.People, p.UID)
	}
	for _, o := range ch.Document.Organisations {
		t.Organisations = append(t.Organisations, o.Code)
	}
	for _, c := range ch.Document.Clients {
		t.Clients = append(t.Clients, c.ID)
	}
	return t
}

// about: nobody in particular, because the document is that of the whole
// service. Who applies it must not be in what it changes.
func (ch ApplyDocument) about(*Records) About { return About{} }

func (ch ApplyDocument) make(r *Records, c *Case) error {
	managed := func(k directory.Key) bool { return c.Managed[Name{k.Kind, k.ID}] }
	ch.Document.People = r.certain(ch.Document.People)
	plan := directory.Plan(r.document(), ch.Document, managed)
	c.Done.Differences = plan
	c.journal(r, idp.Event{Reason: join(ch.Reason, strconv.Itoa(len(plan))+" differences")})
	if err := ch.own(plan, r, c); err != nil {
		return err
	}
	for i := range ch.Document.Organisations {
		o := ch.Document.Organisations[i]
		if have := r.Organisations[o.Code]; have != nil {
			o = directory.KeepOrganisation(*have, o)
		}
		r.Organisations[o.Code] = &o
	}
	if err := r.circles(); err != nil {
		return err
	}
	changed := map[string]bool{}
	for _, d := range plan {
		if uid := subject(d); uid != "" {
			changed[uid] = true
		}
	}
	for _, want := range ch.Document.People {
		if !changed[want.UID] {
			continue
		}
		ch.put(r, c, want, managed)
		c.journal(r, idp.Event{Subject: want.UID})
	}
	for i := range ch.Document.Clients {
		client := ch.Document.Clients[i]
		if have := r.Clients[client.ID]; have != nil {
			client = directory.KeepClient(*have, client)
		}
		r.Clients[client.ID] = &client
	}
	policy := directory.KeepPolicy(*r.Policy, ch.Document.Policy, managed)
	r.Policy = &policy
	for _, d := range plan {
		if d.Op == directory.Remove {
			r.remove(c, d)
		}
	}
	for _, k := range ch.Document.Documented() {
		r.Managed[Name{k.Kind, k.ID}] = true
	}
	if len(plan) == 0 {
		c.warn(Warning{Code: WarnNothing})
	}
	return nil
}

// certain returns people as a document has them, with cards that end when their
// certificates do, where the registry has those: a revoked card that ended sooner
// would be missing from the list of them while its certificate still counts.
func (r *Records) certain(people []directory.Person) []directory.Person {
	people = slices.Clone(people)
	for i, p := range people {
		have := r.People[p.UID]
		if have == nil {
			continue
		}
		people[i].Cards = slices.Clone(p.Cards)
		for j, c := range p.Cards {
			for _, old := range have.Cards {
				if directory.CardSerial(old.Serial) == directory.CardSerial(c.Serial) && have.Issued[old.Serial].Certificate != nil {
					people[i].Cards[j].EndsOn = old.EndsOn
				}
			}
		}
	}
	return people
}

// subject is the person that a difference is about.
func subject(d directory.Difference) string {
	if d.Kind == directory.PersonKind {
		return d.ID
	}
	return d.Person
}

// own refuses a document that changes its actor, by whatever profile, or a robot
// of theirs.
func (ch ApplyDocument) own(plan []directory.Difference, r *Records, c *Case) error {
	actor := c.Actor.Person.UID
	if c.Actor.Host != "" || actor == "" {
		return nil
	}
	themself := map[string]bool{actor: true}
	for uid, p := range r.People {
		themself[uid] = themself[uid] || p.Robot.Owner == actor || sameNumbers(detailsOf(p.Person), r.People[actor])
	}
	for _, p := range ch.Document.People {
		themself[p.UID] = themself[p.UID] || sameNumbers(detailsOf(p), r.People[actor])
	}
	for _, d := range plan {
		if themself[subject(d)] {
			return &Refused{Refusal: ErrSelf, Fields: []Field{{"document", Unknown}}}
		}
	}
	return nil
}

// circles refuses organisations that stand above themselves.
func (r *Records) circles() error {
	for code := range r.Organisations {
		if len(r.above(code)) >= highest {
			return refuse(ErrCircle, "document.organisations", Unknown)
		}
	}
	return nil
}

// put makes a person what the document says of them. What becomes of the
// positions that it does not say any more is in the plan.
func (ch ApplyDocument) put(r *Records, c *Case, want directory.Person, managed func(directory.Key) bool) {
	have := r.People[want.UID]
	if have == nil {
		r.People[want.UID] = &Person{Person: want.Clone()}
		return
	}
	lowered := have.Profile != idp.Closed && want.Profile == idp.Closed || have.Profile != idp.Restricted && want.Profile == idp.Restricted
	// Those that go are ended one by one, not forgotten.
	stays := directory.Keep(have.Person, want.Clone(), func(k directory.Key) bool {
		return managed(k) && k.Kind != directory.PositionKind && k.Kind != directory.CardKind
	})
	have.Person = stays
	if lowered {
		have.SignedOutAt = c.Now
	}
}

// remove ends what a document does not say any more.
func (r *Records) remove(c *Case, d directory.Difference) {
	r.Managed[Name{d.Kind, d.ID}] = false
	switch d.Kind {
	case directory.OrganisationKind:
		o := r.Organisations[d.ID]
		if o != nil && o.ClosedOn == "" {
			o.ClosedOn = r.Today
		}
	case directory.PersonKind:
		p := r.People[d.ID]
		if p != nil && p.Profile != idp.Closed {
			_ = p.close(c) // from every other state there is a way
			c.journal(r, idp.Event{Subject: d.ID})
		}
	case directory.PositionKind:
		if p, pos := r.position(d.ID); p != nil {
			if pos.To == "" || pos.To > r.Today {
				pos.To = r.Today
			}
			p.Positions = slices.DeleteFunc(p.Positions, func(pos directory.Position) bool { return pos.To != "" && pos.From > pos.To })
		}
	case directory.CardKind:
		if _, card := r.card(d.ID); card != nil {
			card.State = revoked
		}
	case directory.ClientKind:
		if client := r.Clients[d.ID]; client != nil {
			stopClient(client)
		}
	}
}

// at is the name of one item of a list.
func at(list string, i int) string { return fmt.Sprintf("%s.%d", list, i) }
