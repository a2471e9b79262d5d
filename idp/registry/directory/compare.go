package directory

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

// Difference is one thing that differs between two directories.
type Difference struct {
	Op     Op     `json:"op"`
	Kind   string `json:"kind"`             // one of the kinds below
	ID     string `json:"id"`               // its code, uid, id or serial number
	Person string `json:"person,omitempty"` // whose it is
	Key    string `json:"key,omitempty"`    // of what is changed
	Was    string `json:"was,omitempty"`
	Is     string `json:"is,omitempty"`
}

// About names what differs.
func (d Difference) About() Key { return Key{d.Kind, d.ID} }

// Key names an organisation, a person, a position, a client and so on, as a
// Difference does.
type Key struct{ Kind, ID string }

// Op says what is to be done.
type Op string

// What is to be done.
const (
	Add    Op = "add"
	Change Op = "change"
	Remove Op = "remove"
)

// The kinds of what differs.
const (
	PolicyKind        = "policy" // its id is the key of a list
	OrganisationKind  = "organisation"
	PersonKind        = "person"
	PositionKind      = "position"
	CardKind          = "card"
	AuthenticatorKind = "authenticator"
	ClientKind        = "client"
)

// Hidden stands where a secret differs.
const Hidden = "[hidden]"

// secretKeys are those whose values no difference shows.
var secretKeys = []string{"ni_number", "secret_hash", "passcode", "puk", "record", "mark"}

// Compare returns what differs between two directories, in an order that
// depends on what differs alone.
func Compare(was, is Document) []Difference {
	return comparison{shapes: shapes{}}.documents(was, is, func(Key) bool { return true })
}

// Plan returns what applying want would do to have. Where want says nothing of
// something it is left as it is, and removed only if managed says that an
// earlier document made it. A document takes back nothing that somebody has
// stopped: see Keep.
func Plan(have, want Document, managed func(Key) bool) []Difference {
	// What it says of somebody else, whose duplicate they were, is not left out.
	said := map[Key]bool{}
	for _, k := range want.Documented() {
		said[k] = true
	}
	gone := func(k Key) bool { return managed(k) && !said[k] }
	people := index(have.People, personID)
	kept := want
	kept.People = make([]Person, len(want.People))
	for i, p := range want.People {
		if old, ok := people[p.UID]; ok {
			p = Keep(*old, p, gone)
		}
		kept.People[i] = p
	}
	organisations := index(have.Organisations, organisationID)
	kept.Organisations = slices.Clone(want.Organisations)
	for i, o := range want.Organisations {
		if old, ok := organisations[o.Code]; ok {
			kept.Organisations[i] = KeepOrganisation(*old, o)
		}
	}
	clients := index(have.Clients, clientID)
	kept.Clients = slices.Clone(want.Clients)
	for i := range kept.Clients {
		if old, ok := clients[kept.Clients[i].ID]; ok {
			kept.Clients[i] = KeepClient(*old, kept.Clients[i])
		}
	}
	kept.Policy = KeepPolicy(have.Policy, want.Policy, managed)
	return comparison{shapes: shapes{}}.documents(have, kept, gone)
}

// Documented are the keys of all that a document has.
func (d Document) Documented() []Key {
	var keys []Key
	for _, o := range d.Organisations {
		keys = append(keys, Key{OrganisationKind, o.Code})
	}
	for _, p := range d.People {
		keys = append(keys, Key{PersonKind, p.UID})
		for _, pos := range p.Positions {
			keys = append(keys, Key{PositionKind, pos.ID})
		}
		for _, c := range p.Cards {
			keys = append(keys, Key{CardKind, CardSerial(c.Serial)})
		}
	}
	for _, c := range d.Clients {
		keys = append(keys, Key{ClientKind, c.ID})
	}
	if len(d.Policy.CardSeries) > 0 {
		keys = append(keys, Key{PolicyKind, "card_series"})
	}
	if len(d.Policy.Agents) > 0 {
		keys = append(keys, Key{PolicyKind, "agents"})
	}
	return keys
}

// Keep returns want as it becomes of somebody who is in the registry as have.
// Positions, cards and authenticators that no document made stay. What was
// restricted, closed, ended, suspended or revoked stays so, because a document that is
// applied each night must not undo what somebody did about a lost card; and what
// people and their cards have counted since stays too.
func Keep(have, want Person, managed func(Key) bool) Person {
	if have.Profile == idp.Restricted && want.Profile != idp.Closed || have.Profile == idp.Closed {
		want.Profile = have.Profile
	}
	want.MergedInto = cmp.Or(have.MergedInto, want.MergedInto)
	if have.MergedInto != "" {
		return have
	}
	want.Positions = merge(have.Positions, want.Positions, positionID, keepPosition,
		func(id string) bool { return !managed(Key{PositionKind, id}) })
	want.Cards = merge(have.Cards, want.Cards, cardID, keepCard, func(id string) bool { return !managed(Key{CardKind, id}) })
	// People add authenticators themselves: a document brings some, and what
	// becomes of them is theirs.
	brought := slices.DeleteFunc(slices.Clone(want.Authenticators), func(a Authenticator) bool {
		return a.Record == "" && !slices.ContainsFunc(have.Authenticators, func(old Authenticator) bool { return old.ID == a.ID })
	})
	want.Authenticators = merge(have.Authenticators, brought, authenticatorID, keepAuthenticator, func(string) bool { return true })
	if have.Profile == idp.Closed {
		want.Positions, want.Cards, want.Authenticators = have.Positions, have.Cards, have.Authenticators
	}
	return want
}

// keepPosition lets a position end no later than somebody has said.
func keepPosition(old, p Position) Position {
	if old.To != "" && (p.To == "" || p.To > old.To) {
		p.To = old.To
	}
	return p
}

// KeepOrganisation returns want as it becomes of an organisation that the
// registry has: one that was closed stays so.
func KeepOrganisation(have, want Organisation) Organisation {
	if have.ClosedOn != "" && want.ClosedOn == "" {
		want.ClosedOn, want.Successor = have.ClosedOn, cmp.Or(want.Successor, have.Successor)
	}
	return want
}

func keepCard(old, c Card) Card {
	if old.State == "revoked" || c.State == "active" {
		c.State = old.State
	}
	// A card that was used is never again one that nobody knows: who asks whether
	// its certificate is good has to hear that it is not.
	if old.Registered && !c.Registered {
		c.Registered, c.State = true, "revoked"
	}
	// What stands for the virtual card is the card's own once it is there, and a
	// database keeps none of it.
	c.Serial, c.Certificate, c.Passcode, c.PUK, c.TriesLeft = old.Serial, old.Certificate, old.Passcode, old.PUK, old.TriesLeft
	c.EndsOn = cmp.Or(c.EndsOn, old.EndsOn)
	return c
}

func keepAuthenticator(old, a Authenticator) Authenticator {
	if a.State == authenticators.Suspended {
		old.State = a.State
	}
	return old
}

// KeepClient returns want as it becomes of a client that is registered as have:
// without a secret it keeps the one that it has.
func KeepClient(have, want Client) Client {
	if want.AuthMethod == idp.SecretBasic || want.AuthMethod == idp.SecretPost {
		want.SecretHash = cmp.Or(want.SecretHash, have.SecretHash)
	}
	return want
}

// KeepPolicy returns want as it becomes where the policy is have: a list that
// no document has is left as it is.
func KeepPolicy(have, want Policy, managed func(Key) bool) Policy {
	if len(want.CardSeries) == 0 && !managed(Key{PolicyKind, "card_series"}) {
		want.CardSeries = have.CardSeries
	}
	if len(want.Agents) == 0 && !managed(Key{PolicyKind, "agents"}) {
		want.Agents = have.Agents
	}
	if len(want.WarnDays) == 0 {
		want.WarnDays = have.WarnDays
	}
	return want
}

// merge returns have with want over it, in the order of have and then of want;
// what is in have alone stays if stays says so, or is left to be removed.
func merge[T any](have, want []T, id func(T) string, over func(old, want T) T, stays func(id string) bool) []T {
	wanted := index(want, id)
	var out []T
	seen := map[string]bool{}
	for _, old := range have {
		seen[id(old)] = true
		if w, ok := wanted[id(old)]; ok {
			out = append(out, over(old, *w))
		} else if stays(id(old)) {
			out = append(out, old)
		}
	}
	for _, w := range want {
		if !seen[id(w)] {
			out = append(out, w)
		}
	}
	return out
}

func organisationID(o Organisation) string   { return o.Code }
func personID(p Person) string               { return p.UID }
func positionID(p Position) string           { return p.ID }
func cardID(c Card) string                   { return CardSerial(c.Serial) }
func authenticatorID(a Authenticator) string { return a.ID }
func clientID(c Client) string               { return c.ID }

func index[T any](list []T, id func(T) string) map[string]*T {
	m := make(map[string]*T, len(list))
	for i := range list {
		m[id(list[i])] = &list[i]
	}
	return m
}

// comparison compares what two directories hold.
type comparison struct{ shapes shapes }

func (c comparison) documents(was, is Document, gone func(Key) bool) []Difference {
	out := c.fields(nil, Difference{Kind: PolicyKind}, reflect.ValueOf(was.Policy), reflect.ValueOf(is.Policy), "")
	for i := range out {
		out[i].ID = out[i].Key
	}
	out = lists(c, out, Difference{Kind: OrganisationKind}, was.Organisations, is.Organisations, organisationID, gone, nil)
	out = lists(c, out, Difference{Kind: PersonKind}, was.People, is.People, personID, gone,
		func(out []Difference, was, is Person) []Difference {
			own := Difference{Person: cmp.Or(was.UID, is.UID)}
			own.Kind = PositionKind
			out = lists(c, out, own, was.Positions, is.Positions, positionID, gone, nil)
			own.Kind = CardKind
			out = lists(c, out, own, was.Cards, is.Cards, cardID, gone, nil)
			own.Kind = AuthenticatorKind
			return lists(c, out, own, was.Authenticators, is.Authenticators, authenticatorID, gone, nil)
		})
	return lists(c, out, Difference{Kind: ClientKind}, was.Clients, is.Clients, clientID, gone, nil)
}

// lists compares two lists of things with an identifier, in its order.
func lists[T any](c comparison, out []Difference, like Difference, was, is []T, id func(T) string, gone func(Key) bool,
	inside func(out []Difference, was, is T) []Difference) []Difference {
	before, after := index(was, id), index(is, id)
	ids := make([]string, 0, len(before)+len(after))
	for name := range before {
		ids = append(ids, name)
	}
	for name := range after {
		if before[name] == nil {
			ids = append(ids, name)
		}
	}
	slices.Sort(ids)
	for _, name := range ids {
		d, w, i := like, before[name], after[name]
		d.ID = name
		if w == nil {
			d.Op, w = Add, new(T)
			out = append(out, d)
		}
		if i == nil {
			if gone(d.About()) {
				d.Op = Remove
				out = append(out, d)
			}
			continue
		}
		if d.Op == "" && reflect.DeepEqual(*w, *i) { // so it is with most
			continue
		}
		if d.Op == "" {
			out = c.fields(out, d, reflect.ValueOf(*w), reflect.ValueOf(*i), "")
		}
		if inside != nil {
			out = inside(out, *w, *i)
		}
	}
	return out
}

// nested are the lists that are compared item by item.
var nested = []string{"positions", "cards", "authenticators"}

// fields compares two structs key by key.
func (c comparison) fields(out []Difference, like Difference, was, is reflect.Value, under string) []Difference {
	for _, f := range c.shapes.of(was.Type()) {
		w, i := was.Field(f.index), is.Field(f.index)
		if under == "" && like.Kind == PersonKind && slices.Contains(nested, f.key) {
			continue
		}
		if w.Kind() == reflect.Struct {
			out = c.fields(out, like, w, i, under+f.key+".")
			continue
		}
		if same(w, i) {
			continue
		}
		d := like
		d.Op, d.Key = Change, under+f.key
		d.Was, d.Is = c.text(w), c.text(i)
		if slices.Contains(secretKeys, f.key) {
			d.Was, d.Is = hide(d.Was), hide(d.Is)
		}
		out = append(out, d)
	}
	return out
}

// same says whether two values mean the same: an empty list is none.
func same(w, i reflect.Value) bool {
	switch w.Kind() {
	case reflect.Slice:
		return w.Len() == 0 && i.Len() == 0 || reflect.DeepEqual(w.Interface(), i.Interface())
	case reflect.String:
		return w.String() == i.String()
	case reflect.Int:
		return w.Int() == i.Int()
	case reflect.Bool:
		return w.Bool() == i.Bool()
	}
	return reflect.DeepEqual(w.Interface(), i.Interface())
}

func hide(value string) string {
	if value == "" {
		return ""
	}
	return Hidden
}

// text is a value as people read it.
func (c comparison) text(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Int:
		return strconv.FormatInt(v.Int(), 10)
	case reflect.Bool:
		return strconv.FormatBool(v.Bool())
	case reflect.Slice:
		items := make([]string, v.Len())
		for i := range v.Len() {
			items[i] = c.text(v.Index(i))
		}
		return strings.Join(items, ", ")
	case reflect.Struct:
		var parts []string
		for _, f := range c.shapes.of(v.Type()) {
			if value := c.text(v.Field(f.index)); value != "" {
				parts = append(parts, f.key+" "+value)
			}
		}
		return strings.Join(parts, " ")
	default:
		return v.String()
	}
}
