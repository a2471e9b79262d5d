package conformance

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// LogoutStore is a registry that tells clients when sessions end.
type LogoutStore interface {
	HoldingStore
	idp.Watches
	idp.Logouts
}

// telling is a registry in which sessions are watched.
type telling struct {
	t *testing.T
	LogoutStore
	events func() []idp.Event
}

// token records a token of a client in a session of Ada's, or of who else is
// named.
func (w telling) token(sid, client string, of ...string) {
	w.t.Helper()
	e := event("token of " + client)
	e.Subject, e.Session, e.Client = append(of, ada)[0], sid, client
	e.Tell = &idp.Watch{SID: sid, Client: client, Subject: e.Subject}
	w.must(w.Record(w.t.Context(), e))
}

func (w telling) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// all is a taking of everything that is due at now.
func all(now time.Time) idp.LogoutTaking {
	return idp.LogoutTaking{Now: now, Until: now.Add(time.Minute), Clients: 100, Each: 100}
}

// take takes logouts, as "sid client" each.
func (w telling) take(t idp.LogoutTaking) (taken []idp.Logout, names []string) {
	w.t.Helper()
	taken, err := w.TakeLogouts(w.t.Context(), t)
	w.must(err)
	for _, l := range taken {
		names = append(names, l.SID+" "+l.Client)
	}
	slices.Sort(names)
	return taken, names
}

// wantTold takes all that is due and checks what that is.
func (w telling) wantTold(want ...string) []idp.Logout {
	w.t.Helper()
	taken, got := w.take(all(noon))
	if !slices.Equal(got, want) {
		w.t.Errorf("%q are told, want %q", got, want)
	}
	return taken
}

// due are the watches that are due at now.
func (w telling) due(now time.Time) []idp.Watch {
	w.t.Helper()
	due, err := w.DueWatches(w.t.Context(), now, now.Add(10*time.Second), 100)
	w.must(err)
	return due
}

// sidFence is what ends a session.
func sidFence(sid string) idp.Fence { return idp.Fence{Kind: idp.SIDFence, Hash: sid} }

// Logouts checks one registry. open returns one that holds doc.
func Logouts(t *testing.T, open func(t *testing.T, doc directory.Document) (s LogoutStore, events func() []idp.Event)) {
	ward := func(t *testing.T) telling {
		s, events := open(t, read(t, surgery))
		return telling{t, s, events}
	}
	t.Run("own rule: the fence that ends a session tells every client that had a token in it, once", func(t *testing.T) {
		w := ward(t)
		for _, client := range []string{"ward", "list", "ward"} {
			w.token("s1", client)
		}
		w.token("s2", "ward")
		w.must(w.Record(t.Context(), event("code"), idp.Fence{Kind: idp.CodeFence, Hash: "s1"}, idp.Fence{Kind: idp.SessionFence, Hash: "s1"}))
		w.wantTold()
		for range 2 {
			w.must(w.Record(t.Context(), event("end"), sidFence("s1"), sidFence("s3")))
		}
		taken := w.wantTold("s1 list", "s1 ward")
		for _, l := range taken {
			if l.Subject != ada || l.Tries != 1 || !l.At.Equal(noon) || l.Result != "" || !l.SaidAt.IsZero() || l.ID == 0 || !l.Held.Equal(noon.Add(time.Minute)) {
				t.Errorf("it is %+v", l)
			}
		}
		w.wantTold() // it is somebody's own
	})
	t.Run("own rule: what is not recorded tells nobody", func(t *testing.T) {
		w := ward(t)
		code := idp.Fence{Kind: idp.CodeFence, Hash: "h"}
		w.must(w.Record(t.Context(), event("first"), code))
		e := event("second")
		e.Tell = &idp.Watch{SID: "s1", Client: "ward", Subject: ada}
		if err := w.Record(t.Context(), e, code); !errors.Is(err, idp.ErrUsed) {
			t.Errorf("Record: %v, want ErrUsed", err)
		}
		w.token("s2", "ward")
		if err := w.Record(t.Context(), event("third"), code, sidFence("s2")); !errors.Is(err, idp.ErrUsed) {
			t.Errorf("Record: %v, want ErrUsed", err)
		}
		w.must(w.Record(t.Context(), event("end"), sidFence("s1")))
		w.wantTold()
	})
	t.Run("own rule: of many who take one logout at once one gets it, and its name is the end of that", func(t *testing.T) { w := ward(t); taking(w) })
	t.Run("own rule: of many clients some are taken, and some of each, those that are due first", func(t *testing.T) { w := ward(t); fairly(w) })
	t.Run("own rule: what came of a logout is in the log, and in the journal if it was not told", func(t *testing.T) { w := ward(t); logged(w) })
	t.Run("own rule: a session is looked after soon, then when it was said, and by one at a time", func(t *testing.T) { w := ward(t); looked(w) })
	t.Run("own rule: whatever changes of a person has their sessions looked after at once", func(t *testing.T) { w := ward(t); changed(w) })
	t.Run("own rule: a session that is over by itself tells its clients, once, with its event", func(t *testing.T) {
		w := ward(t)
		w.token("s1", "ward")
		w.token("s1", "list")
		over := idp.Act{Event: idp.Event{At: noon, Kind: idp.SessionEnded, Subject: ada, Session: "s1", Reason: idp.EndExpired}}
		won := atOnce(func(int) bool {
			err := w.EndWatch(t.Context(), "s1", over)
			if err != nil && !errors.Is(err, idp.ErrNotFound) {
				t.Errorf("EndWatch: %v, want ErrNotFound", err)
			}
			return err == nil
		})
		events := w.events()
		if last := events[len(events)-1]; won != 1 || len(events) != 3 || last.Reason != idp.EndExpired {
			t.Errorf("%d ended it, and the journal ends with %+v", won, last)
		}
		w.wantTold("s1 list", "s1 ward")
		if len(w.due(noon.Add(time.Hour))) != 0 {
			t.Error("it is watched still")
		}
	})
}

func taking(w telling) {
	t := w.t
	w.token("s1", "ward")
	w.must(w.Record(t.Context(), event("end"), sidFence("s1")))
	var taken []idp.Logout
	won := atOnce(func(int) bool {
		got, err := w.TakeLogouts(t.Context(), all(noon))
		if err != nil {
			t.Error(err)
		}
		if len(got) > 0 {
			taken = got // one alone, if this is right
		}
		return len(got) > 0
	})
	if won != 1 || len(taken) != 1 {
		t.Fatalf("%d took it, want 1", won)
	}
	l := taken[0]
	l.Said, l.SaidAt = "500", noon.Add(time.Second)
	w.must(w.PutBackLogout(t.Context(), l, noon.Add(3*time.Second)))
	if err := w.PutBackLogout(t.Context(), l, noon); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("PutBackLogout of what is not held any more: %v, want ErrNotFound", err)
	}
	w.wantTold()
	again, _ := w.take(all(noon.Add(3 * time.Second)))
	if len(again) != 1 || again[0].Tries != 2 || !again[0].At.Equal(noon) || again[0].Said != "500" || !again[0].SaidAt.Equal(l.SaidAt) {
		t.Fatalf("then it is %+v", again)
	}
	late, _ := w.take(all(noon.Add(2 * time.Minute))) // who had it is gone
	if len(late) != 1 || late[0].Tries != 3 {
		t.Fatalf("after that it is %+v", late)
	}
	again[0].Result, again[0].SaidAt = idp.LogoutTold, noon
	if err := w.EndLogout(t.Context(), again[0]); !errors.Is(err, idp.ErrNotFound) {
		t.Errorf("EndLogout by who was too slow: %v, want ErrNotFound", err)
	}
	late[0].Result, late[0].SaidAt = idp.LogoutTold, noon
	w.must(w.EndLogout(t.Context(), late[0]))
	if _, names := w.take(all(noon.Add(time.Hour))); len(names) != 0 {
		t.Errorf("%q are told once more", names)
	}
}

func fairly(w telling) {
	for i := range 5 {
		sid := fmt.Sprint("s", i)
		for _, client := range []string{"a", "b", "c"} {
			w.token(sid, client)
		}
		w.must(w.Record(w.t.Context(), event("end"), sidFence(sid)))
	}
	t := all(noon)
	t.Clients, t.Each, t.But = 1, 2, []string{"a", "c"}
	taken, names := w.take(t)
	if !slices.Equal(names, []string{"s0 b", "s1 b"}) {
		w.t.Fatalf("%q are taken", names)
	}
	w.must(w.PutBackLogout(w.t.Context(), taken[0], noon.Add(-time.Second)))
	w.must(w.PutBackLogout(w.t.Context(), taken[1], noon.Add(-time.Minute)))
	t = all(noon)
	t.Each, t.But = 3, []string{"a"}
	taken, names = w.take(t)
	if len(names) != 6 {
		w.t.Errorf("%q are taken", names)
	}
	var order []string
	for _, l := range taken {
		if l.Client == "b" {
			order = append(order, l.SID)
		}
	}
	if !slices.Equal(order, []string{"s2", "s3", "s4"}) { // these were never tried, and are due since ever
		w.t.Errorf("of b %q are taken", order)
	}
	t = all(noon)
	t.But = []string{"a", "c"}
	if taken, _ = w.take(t); len(taken) != 2 || taken[0].SID != "s1" || taken[1].SID != "s0" {
		w.t.Errorf("of those that were put back %+v are taken", taken)
	}
}

func logged(w telling) {
	results := []string{idp.LogoutTold, idp.LogoutRefused, idp.LogoutGivenUp, idp.LogoutGone}
	for i := range results {
		w.token(fmt.Sprint("s", i), "ward")
		w.must(w.Record(w.t.Context(), event("end"), sidFence(fmt.Sprint("s", i))))
	}
	taken, _ := w.take(all(noon))
	for i, l := range taken {
		l.Result, l.Said, l.SaidAt = results[i], "x"+fmt.Sprint(i), noon.Add(time.Duration(i)*time.Second)
		w.must(w.EndLogout(w.t.Context(), l))
	}
	w.token("s9", "ward")
	w.must(w.Record(w.t.Context(), event("end"), sidFence("s9")))
	last, err := w.LastLogouts(w.t.Context(), 4)
	w.must(err)
	var got []string
	for _, l := range last {
		got = append(got, l.SID+" "+l.Result+" "+l.Said)
	}
	if want := []string{"s9  ", "s3 gone x3", "s2 given_up x2", "s1 refused x1"}; !slices.Equal(got, want) {
		w.t.Errorf("the log has %q, want %q", got, want)
	}
	var failed []string
	for _, e := range w.events() {
		if e.Kind == idp.LogoutFailed {
			failed = append(failed, e.Client+" "+e.Session+" "+e.Subject+" "+e.Reason)
		}
	}
	if want := []string{"ward s1 " + ada + " refused: x1", "ward s2 " + ada + " given_up: x2", "ward s3 " + ada + " gone: x3"}; !slices.Equal(failed, want) {
		w.t.Errorf("the journal has %q, want %q", failed, want)
	}
}

func looked(w telling) {
	t := w.t
	w.token("s1", "ward")
	if due := w.due(noon); len(due) != 0 {
		t.Errorf("%v are due at once", due)
	}
	soon := noon.Add(idp.FirstLook)
	won := atOnce(func(int) bool {
		due, err := w.DueWatches(t.Context(), soon, soon.Add(10*time.Second), 100)
		if err != nil {
			t.Error(err)
		}
		return len(due) > 0
	})
	if won != 1 {
		t.Errorf("%d look after it, want 1", won)
	}
	due := w.due(soon.Add(10 * time.Second)) // who looked is gone
	if len(due) != 1 || due[0].SID != "s1" || due[0].Client != "ward" || due[0].Subject != ada {
		t.Fatalf("%+v are due", due)
	}
	w.must(w.WatchOn(t.Context(), due[0], noon.Add(time.Hour)))
	if due := w.due(noon.Add(time.Hour - time.Second)); len(due) != 0 {
		t.Errorf("%v are due too soon", due)
	}
	if due := w.due(noon.Add(time.Hour)); len(due) != 1 {
		t.Errorf("%v are due then", due)
	}
	w.token("s1", "ward") // once more: nobody need look
	if due := w.due(noon.Add(time.Hour + time.Second)); len(due) != 0 {
		t.Errorf("%v are due after another token", due)
	}
}

func changed(w telling) {
	t := w.t
	w.token("s1", "ward")
	w.token("s2", "ward", other)
	later := noon.Add(time.Hour)
	adas := func() []idp.Watch {
		return slices.DeleteFunc(w.due(later), func(d idp.Watch) bool { return d.SID != "s1" })
	}
	put := func(d idp.Watch) { w.must(w.WatchOn(t.Context(), d, later.Add(time.Hour))) }
	for _, d := range w.due(later) {
		put(d)
	}
	for name, change := range map[string]func(act idp.Act) error{
		"signed out of everything": func(act idp.Act) error { return w.SignOut(t.Context(), ada, noon, act) },
		"a key is stopped":         func(act idp.Act) error { return w.StopAuthenticator(t.Context(), ada, "k1", act) },
		"a key is removed":         func(act idp.Act) error { return w.RemoveAuthenticator(t.Context(), ada, "c1", act) },
		"a card is stopped":        func(act idp.Act) error { return w.StopCard(t.Context(), ada, "0101", act) },
	} {
		if before := adas(); len(before) != 0 {
			t.Errorf("before %s: %v are due", name, before)
		}
		w.must(change(anAct(name)))
		due := adas()
		if len(due) != 1 {
			t.Errorf("%s: %v are due", name, due)
			continue
		}
		// Something changes again while somebody looks: they have not seen it.
		w.must(w.SignOut(t.Context(), ada, noon, anAct("again: "+name)))
		put(due[0])
		if due = adas(); len(due) != 1 {
			t.Errorf("%s: who looked before it has put it off", name)
			continue
		}
		put(due[0])
	}
}
