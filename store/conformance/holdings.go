package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// HoldingStore is a registry of what people hold, with all that goes with a
// change of it.
type HoldingStore interface {
	idp.People
	idp.Holdings
	idp.Contacts
	idp.SignOuts
	idp.Journal
}

// Opened is a registry, and what reads back what a change left.
type Opened struct {
	HoldingStore
	Events func() []idp.Event // oldest first
	Mails  func() []idp.Mail  // in any order
}

const (
	ada   = "555000000101"
	other = "000000000102"
)

// anAct is one that request tells from others.
func anAct(request string) idp.Act {
	return idp.Act{
		Event:  idp.Event{At: noon, Kind: idp.AuthenticatorAdded, Request: request, Subject: ada},
		Fences: []idp.Fence{{Kind: idp.ChallengeFence, Hash: request}},
		Mails:  []idp.Mail{{To: "ada.cole@millbrook.example", Lang: "cy", Text: "mail.added", Args: map[string]string{"name": request}}},
	}
}

func aKey(id string) authenticators.Authenticator {
	return authenticators.Authenticator{
		ID: id, Subject: ada, Kind: authenticators.KeyKind, Handle: "handle-" + id, Name: "Ward's key", Model: "K 5",
		Method: authenticators.Passkey, Level: authenticators.AAL2, State: authenticators.Active, SelfClaimed: true,
		AddedAt: noon.Add(time.Microsecond), Record: json.RawMessage(`{"key":"AA"}`), Mark: json.RawMessage(`{"n":1}`),
	}
}

// Holdings checks one registry of authenticators. open returns one that holds
// doc.
func Holdings(t *testing.T, open func(t *testing.T, doc directory.Document) Opened) {
	ward := func(t *testing.T) holdings { return holdings{t, open(t, read(t, surgery))} }

	t.Run("own rule: an authenticator is as the directory says", func(t *testing.T) {
		w := ward(t)
		held, err := w.HeldBy(t.Context(), ada)
		if err != nil || len(held) != 2 || held[0].ID != "k1" || held[1].ID != "c1" {
			t.Fatalf("HeldBy = %+v, %v; want k1 and c1, the oldest first", held, err)
		}
		want := authenticators.Authenticator{ID: "c1", Subject: ada, Kind: authenticators.CodeKind, Handle: ada, Name: "My phone",
			Method: authenticators.TOTP, Level: authenticators.AAL2, State: authenticators.Suspended, SelfClaimed: true,
			AddedAt: time.Date(2029, 2, 1, 9, 0, 0, 1000, time.UTC), Record: json.RawMessage(`{"s":"BG"}`), Mark: json.RawMessage(`{"step":5}`)}
		w.same(held[1], want)
		w.same(w.byHandle(authenticators.CodeKind, ada), want)
		if held, err := w.HeldBy(t.Context(), other); err != nil || len(held) != 0 {
			t.Errorf("HeldBy = %+v, %v; want none", held, err)
		}
		for _, handle := range []string{"", "h", "H1", ada} {
			if a, err := w.ByHandle(t.Context(), authenticators.KeyKind, handle); !errors.Is(err, authenticators.ErrNotHeld) || a.ID != "" {
				t.Errorf("ByHandle(%q) = %+v, %v; want ErrNotHeld", handle, a, err)
			}
		}
	})
	t.Run("own rule: what is added is held, with its act", func(t *testing.T) {
		w := ward(t)
		w.must(w.AddAuthenticator(t.Context(), aKey("k2"), anAct("add")))
		w.same(w.byHandle(authenticators.KeyKind, "handle-k2"), aKey("k2"))
		w.holds("passkey:k2", true)
		w.left("add")
	})
	t.Run("own rule: a handle is one authenticator's of its kind, and what fails leaves nothing", func(t *testing.T) {
		w := ward(t)
		taken := aKey("k3")
		taken.Handle = "h1"
		w.want(w.AddAuthenticator(t.Context(), taken, anAct("taken")), idp.ErrTaken)
		again := aKey("k1")
		w.want(w.AddAuthenticator(t.Context(), again, anAct("id")), idp.ErrTaken)
		nobody := aKey("k4")
		nobody.Subject = "555000000999"
		w.want(w.AddAuthenticator(t.Context(), nobody, anAct("nobody")), idp.ErrNotFound)
		w.left()
		taken.Kind = authenticators.FederatedKind
		w.must(w.AddAuthenticator(t.Context(), taken, anAct("taken"))) // its fence was not raised
		w.left("taken")
	})
	t.Run("own rule: of many who add one handle at once one does", func(t *testing.T) {
		w := ward(t)
		won := atOnce(func(n int) bool {
			a := aKey(fmt.Sprint(n))
			a.Handle = "wanted"
			err := w.AddAuthenticator(t.Context(), a, anAct(a.ID))
			if err != nil && !errors.Is(err, idp.ErrTaken) {
				t.Errorf("AddAuthenticator: %v, want ErrTaken", err)
			}
			return err == nil
		})
		if won != 1 {
			t.Errorf("%d added it, want 1", won)
		}
		if n, m := len(w.Events()), len(w.Mails()); n != 1 || m != 1 {
			t.Errorf("%d events and %d mails, want 1", n, m)
		}
	})
	t.Run("own rule: a used fence undoes the change", func(t *testing.T) {
		w := ward(t)
		w.must(w.AddAuthenticator(t.Context(), aKey("k2"), anAct("once")))
		w.want(w.AddAuthenticator(t.Context(), aKey("k3"), anAct("once")), idp.Used{Fence: anAct("once").Fences[0]})
		w.want(w.RemoveAuthenticator(t.Context(), ada, "k2", anAct("once")), idp.ErrUsed)
		w.want(w.SaveEmail(t.Context(), ada, "new@x.example", anAct("once")), idp.ErrUsed)
		w.want(w.SignOut(t.Context(), ada, noon, anAct("once")), idp.ErrUsed)
		w.holds("passkey:k2", true)
		if p := w.person(); !p.SignedOutAt.IsZero() || p.Email != "ada.cole@millbrook.example" || len(p.Holds) != 5 {
			t.Errorf("Person = %+v, want her as she was", p)
		}
		w.left("once")
	})
	t.Run("A10: what is suspended is no longer usable, and what is removed no longer held", func(t *testing.T) {
		w := ward(t)
		w.must(w.AddAuthenticator(t.Context(), aKey("k2"), anAct("add")))
		a := aKey("k2")
		a.Name, a.State, a.Record = "Lost", authenticators.Suspended, json.RawMessage(`{"key":"BB"}`)
		w.must(w.RenameAuthenticator(t.Context(), ada, "k2", a.Name, anAct("rename")))
		w.must(w.KeepRecord(t.Context(), ada, "k2", a.Record, anAct("change")))
		w.must(w.StopAuthenticator(t.Context(), ada, "k2", anAct("stop")))
		w.want(w.KeepRecord(t.Context(), ada, "k2", json.RawMessage(`{}`), anAct("late")), idp.ErrNotFound)
		w.same(w.byHandle(authenticators.KeyKind, "handle-k2"), a)
		w.holds("passkey:k2", false)
		w.must(w.RemoveAuthenticator(t.Context(), ada, "k2", anAct("remove")))
		if _, ok := w.person().Holds["passkey:k2"]; ok {
			t.Error("it is still held")
		}
		w.left("add", "rename", "change", "stop", "remove")
	})
	t.Run("own rule: nobody changes what they do not hold", func(t *testing.T) {
		w := ward(t)
		w.must(w.AddAuthenticator(t.Context(), aKey("k2"), anAct("add")))
		w.must(w.RemoveAuthenticator(t.Context(), ada, "k2", anAct("remove")))
		for _, of := range []struct{ subject, id string }{{ada, "k2"}, {other, "k1"}} {
			w.want(w.RenameAuthenticator(t.Context(), of.subject, of.id, "mine", anAct("late")), idp.ErrNotFound)
			w.want(w.StopAuthenticator(t.Context(), of.subject, of.id, anAct("late")), idp.ErrNotFound)
			w.want(w.KeepRecord(t.Context(), of.subject, of.id, json.RawMessage(`{}`), anAct("late")), idp.ErrNotFound)
			w.want(w.RemoveAuthenticator(t.Context(), of.subject, of.id, anAct("late")), idp.ErrNotFound)
		}
		w.left("add", "remove")
	})
	t.Run("own rule: an e-mail finds its person, whatever its spelling", func(t *testing.T) { emails(t, ward(t)) })
	t.Run("own rule: of two people at once one gets an e-mail", func(t *testing.T) {
		w := ward(t)
		won := atOnce(func(n int) bool {
			uid, spelt := ada, "Same@X.example"
			if n%2 == 0 {
				uid, spelt = other, "same@x.EXAMPLE "
			}
			err := w.SaveEmail(t.Context(), uid, spelt, anAct(fmt.Sprint(n)))
			if err != nil && !errors.Is(err, idp.ErrTaken) {
				t.Errorf("SaveEmail: %v, want ErrTaken", err)
			}
			return err == nil
		})
		p, err := w.PersonByEmail(t.Context(), "same@x.example")
		if won != racers/2 || err != nil || len(w.Events()) != won {
			t.Errorf("%d were told that it is theirs, and it is of %q, %v", won, p.UID, err)
		}
	})
	t.Run("S6: signing out of everything is told of the person, and never undone", func(t *testing.T) {
		w := ward(t)
		at := noon.Add(time.Minute + time.Nanosecond)
		w.must(w.SignOut(t.Context(), ada, at, anAct("a")))
		w.must(w.SignOut(t.Context(), ada, noon, anAct("b")))
		p := w.person()
		if p.SignedOutAt.Before(at) || p.SignedOutAt.After(at.Add(time.Microsecond)) {
			t.Errorf("signed out at %v, want %v", p.SignedOutAt, at)
		}
		if p.Stands(at, "") || p.Stands(noon, "card:0101") || !p.Stands(at.Add(2*time.Microsecond), "card:0101") || p.Stands(at.Add(time.Hour), "card:0ABC") {
			t.Error("what stands is not what began since, with what may be used")
		}
		w.want(w.SignOut(t.Context(), "555000000999", at, anAct("c")), idp.ErrNotFound)
		w.left("a", "b")
	})
	t.Run("own rule: a use is written down with its sign-in", func(t *testing.T) { used(t, ward(t)) })
	t.Run("own rule: of many uses at once that were compared with one mark one counts", func(t *testing.T) {
		w := ward(t)
		for round, was := range []json.RawMessage{nil, json.RawMessage(`{"n": 1}`)} {
			mark := json.RawMessage(fmt.Sprintf(`{"n":%d}`, round+1))
			if n := winners(t, idp.ErrUsed, func() error { return w.use("k1", mark, was, noon) }); n != 1 {
				t.Errorf("%d signed in, want 1", n)
			}
		}
		if n := len(w.Events()); n != 2 {
			t.Errorf("%d sign-ins are recorded, want 2", n)
		}
	})
	t.Run("A10: who signs in while it is suspended, or removed, does before or not at all", func(t *testing.T) {
		w := ward(t)
		won := atOnce(func(n int) bool {
			if n == racers/2 {
				w.must(w.StopAuthenticator(t.Context(), ada, "k1", anAct("stop")))
				return false
			}
			err := w.use("k1", nil, nil, noon)
			if err != nil && !errors.Is(err, idp.ErrUsed) {
				t.Errorf("Record: %v, want ErrUsed", err)
			}
			return err == nil
		})
		before := 0
		for _, e := range w.Events() {
			if e.Request == "stop" {
				break
			}
			before++
		}
		if n := len(w.Events()); n != won+1 || before != won {
			t.Errorf("%d of %d sign-ins came before, %d events", before, won, n)
		}
		w.want(w.use("k1", nil, nil, noon), idp.ErrUsed)
	})
}

// holdings is a registry in a test.
type holdings struct {
	t *testing.T
	Opened
}

func (w holdings) must(err error) {
	w.t.Helper()
	w.want(err, nil)
}

func (w holdings) want(err, want error) {
	w.t.Helper()
	if !errors.Is(err, want) {
		w.t.Errorf("%v, want %v", err, want)
	}
}

func (w holdings) byHandle(kind authenticators.Kind, handle string) authenticators.Authenticator {
	w.t.Helper()
	a, err := w.ByHandle(w.t.Context(), kind, handle)
	w.must(err)
	return a
}

// same compares two authenticators, whose JSON may be written in two ways.
func (w holdings) same(got, want authenticators.Authenticator) {
	w.t.Helper()
	for _, pair := range [][2]json.RawMessage{{got.Record, want.Record}, {got.Mark, want.Mark}} {
		var a, b any
		_, _ = json.Unmarshal(pair[0], &a), json.Unmarshal(pair[1], &b)
		if !reflect.DeepEqual(a, b) {
			w.t.Errorf("%s, want %s", pair[0], pair[1])
		}
	}
	got.Record, got.Mark, want.Record, want.Mark = nil, nil, nil, nil
	if !reflect.DeepEqual(got, want) {
		w.t.Errorf("%+v, want %+v", got, want)
	}
}

func (w holdings) person() idp.Person {
	w.t.Helper()
	p, err := w.Person(w.t.Context(), ada)
	w.must(err)
	return p
}

func (w holdings) holds(called string, usable bool) {
	w.t.Helper()
	if got, ok := w.person().Holds[called]; !ok || got != usable {
		w.t.Errorf("%s is held: %v, usable: %v; want %v", called, ok, got, usable)
	}
}

// left checks that acts of these names and no others left what they should.
func (w holdings) left(requests ...string) {
	w.t.Helper()
	mails := map[string]idp.Mail{}
	for _, m := range w.Mails() {
		mails[m.Args["name"]] = m
	}
	events := w.Events()
	if len(events) != len(requests) || len(mails) != len(requests) {
		w.t.Errorf("%d events and %d mails, want those of %q", len(events), len(mails), requests)
		return
	}
	for i, r := range requests {
		if events[i].Request != r || !reflect.DeepEqual(mails[r], anAct(r).Mails[0]) {
			w.t.Errorf("event %+v and mail %+v, want those of %s", events[i], mails[r], r)
		}
	}
}

// use records a sign-in with the authenticator called id.
func (w holdings) use(id string, mark, was json.RawMessage, at time.Time) error {
	return w.Record(w.t.Context(), idp.Event{At: at, Kind: idp.SignedIn, Request: "use", Subject: ada,
		Use: &authenticators.Use{ID: id, Mark: mark, Was: was}})
}

func emails(t *testing.T, w holdings) {
	for _, spelt := range []string{"ada.cole@millbrook.example", " Ada.Cole@Millbrook.EXAMPLE\n"} {
		if p, err := w.PersonByEmail(t.Context(), spelt); err != nil || p.UID != ada || p.Email == "" || p.Name.Family == "" || p.Profile != idp.Verified {
			t.Errorf("PersonByEmail(%q) = %+v, %v", spelt, p, err)
		}
	}
	for _, unknown := range []string{"", " ", "ada.cole", "%", "nobody@x.example", "a\x00", "\xff"} {
		if p, err := w.PersonByEmail(t.Context(), unknown); !errors.Is(err, idp.ErrNotFound) || p.UID != "" {
			t.Errorf("PersonByEmail(%q) = %q, %v; want ErrNotFound", unknown, p.UID, err)
		}
	}
	w.want(w.SaveEmail(t.Context(), other, "ADA.cole@millbrook.example", anAct("taken")), idp.ErrTaken)
	w.must(w.SaveEmail(t.Context(), ada, "Ada.Cole@millbrook.example", anAct("spelling")))
	w.must(w.SaveEmail(t.Context(), ada, "new@x.example", anAct("new")))
	w.must(w.SaveEmail(t.Context(), other, "ada.cole@millbrook.example", anAct("freed")))
	for email, uid := range map[string]string{"NEW@x.example": ada, "ada.cole@millbrook.example": other} {
		if p, err := w.PersonByEmail(t.Context(), email); err != nil || p.UID != uid {
			t.Errorf("PersonByEmail(%q) = %q, %v; want %s", email, p.UID, err, uid)
		}
	}
	if p := w.person(); p.Email != "new@x.example" {
		t.Errorf("her e-mail is %q", p.Email)
	}
	w.want(w.SaveEmail(t.Context(), "555000000999", "x@x.example", anAct("nobody")), idp.ErrNotFound)
	w.left("spelling", "new", "freed")
}

func used(t *testing.T, w holdings) {
	mark := func(n int) json.RawMessage { return json.RawMessage(fmt.Sprintf(`{"n": %d}`, n)) }
	state := func(n int, at time.Time) {
		t.Helper()
		a := w.byHandle(authenticators.KeyKind, "handle-k2")
		want := aKey("k2")
		want.Mark, want.UsedAt = mark(n), at
		w.same(a, want)
	}
	w.must(w.AddAuthenticator(t.Context(), aKey("k2"), anAct("add")))
	state(1, time.Time{})
	w.must(w.use("k2", mark(2), w.byHandle(authenticators.KeyKind, "handle-k2").Mark, noon.Add(time.Hour)))
	state(2, noon.Add(time.Hour))
	w.want(w.use("k2", mark(3), mark(1), noon.Add(2*time.Hour)), idp.ErrUsed)
	w.want(w.use("k2", mark(3), nil, noon.Add(2*time.Hour)), idp.ErrUsed)
	state(2, noon.Add(time.Hour))
	w.must(w.use("k2", nil, nil, noon)) // a clock that is behind does not move it back
	state(2, noon.Add(time.Hour))
	w.must(w.RenameAuthenticator(t.Context(), ada, "k2", aKey("k2").Name, anAct("change")))
	state(2, noon.Add(time.Hour))
	for _, id := range []string{"c1", "none"} { // suspended, and held by nobody
		w.want(w.use(id, nil, nil, noon), idp.ErrUsed)
	}
	if events := w.Events(); len(events) != 4 || events[1].Use != nil || events[1].Kind != idp.SignedIn {
		t.Errorf("the journal holds %+v", events)
	}
	w.must(w.RemoveAuthenticator(t.Context(), ada, "k2", anAct("remove")))
	w.want(w.use("k2", mark(3), mark(2), noon), idp.ErrUsed)
}
