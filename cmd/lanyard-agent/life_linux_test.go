package main

import (
	"flag"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

// How often each fault is tried at each step, and at how many desks at once.
// `make faults` tries 100.
var (
	rounds = flag.Int("rounds", 1, "how often each fault is tried at each step (TestLife)")
	desks  = flag.Int("desks", 10, "at how many desks at once")
)

// soon is what "within 5 s" is held to: to the letter by the full numbers, and
// three times as long where other tests keep the machine busy.
func soon() time.Duration {
	if *rounds > 1 {
		return 5 * time.Second
	}
	return 15 * time.Second
}

// step is where a sign-in is when something happens to it.
type step struct {
	name  string
	holds string // the point of the gate at which the agent is held; "" for none
	until string // the point that says that the step is reached; "" for the passcode's window
	card  bool   // a card is in the reader before
	types bool   // the passcode is typed
}

var steps = []step{
	{name: "before its link is redeemed", holds: atRedeem, until: atRedeem, card: true},
	{name: "while it waits for a card", until: atWaiting},
	{name: "at the passcode", card: true},
	{name: "while the card signs", holds: atSigning, until: atSigning, card: true, types: true},
	{name: "before the answer to its response", holds: atResponse, until: atResponse, card: true, types: true},
	{name: "before the browser comes", until: atResponse, card: true, types: true},
}

// The steps, by their place.
const (
	beforeRedeem = iota
	waitingForCard
	atPasscode
	whileSigning
	beforeAnswer
	beforeBrowser
)

// fault is what happens to a sign-in.
type fault struct {
	name string
	does func(t *testing.T, a *attempt, at int)
}

var faults = []fault{
	{"its agent is killed", killed},
	{"its agent is replaced by the next version", upgraded},
	{"another agent and another link come", doubled},
	{"the reader is pulled", readerPulled},
	{"the card is pulled", cardPulled},
	{"the network is cut", networkCut},
}

// TestLife lets everything happen to a sign-in, at every step of it. It ends
// within five seconds and says why, or goes on; and nothing is left behind.
func TestLife(t *testing.T) {
	t.Parallel()
	w := newLifeWorld(t)
	places := make(chan *place, *desks)
	for range cap(places) {
		places <- w.newPlace(t)
	}
	var all sync.WaitGroup
	for _, f := range faults {
		for at, s := range steps {
			for range *rounds {
				p := <-places
				all.Go(func() {
					defer func() { places <- p }()
					t.Run("D5: "+f.name+" "+s.name, func(t *testing.T) {
						a := p.begin(t)
						a.bring(s)
						f.does(t, a, at)
						a.leavesNothing()
						a.next()
					})
				})
			}
		}
	}
	all.Wait()
}

// TestCardAlone puts a card in and takes it out, where an agent waits in the
// session and nobody signs in.
func TestCardAlone(t *testing.T) {
	t.Parallel()
	w := newLifeWorld(t)
	a := w.newPlace(t).begin(t)
	a.t = t
	// looks waits until the reader has looked for the card some times.
	looks := func(t *testing.T) {
		t.Helper()
		before := a.reader.Heard(0).Looks
		for deadline := time.Now().Add(soon()); a.reader.Heard(0).Looks < before+6; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the reader does not look for its card")
			}
		}
	}
	nothing := func(t *testing.T, calls int) {
		t.Helper()
		if n := a.reader.Heard(0).Commands; a.takeOut != nil && n != 0 {
			t.Errorf("the card was asked %d things", n)
		}
		if len(a.person.windows) != 0 {
			t.Errorf("a window says %s", (<-a.person.windows).Text)
		}
		if n := a.line.calls(); n != calls {
			t.Errorf("the service heard %d calls", n-calls)
		}
	}
	t.Run("own rule: a card that is put in does nothing by itself", func(t *testing.T) {
		a.insert()
		looks(t)
		nothing(t, 0)
	})
	t.Run("own rule: a link signs in with the card that is there", func(t *testing.T) {
		a.opens(a.browser.link)
		a.goesOn()
	})
	t.Run("own rule: a card that is taken out after the sign-in does nothing, nor when it comes back", func(t *testing.T) {
		calls := a.line.calls()
		a.pull()
		time.Sleep(hand)
		nothing(t, calls)
		if !a.signedIn() {
			t.Error("the person was signed out")
		}
		a.insert()
		looks(t)
		nothing(t, calls)
		if !a.signedIn() {
			t.Error("the person was signed out")
		}
	})
}

// The faults.

func killed(t *testing.T, a *attempt, at int) {
	a.agent.signal(t, syscall.SIGKILL)
	<-a.agent.ended
	if at == beforeRedeem { // the link is as good as new
		a.agent = a.starts()
		a.agent.ready(t)
		a.line.release()
		a.opens(a.browser.link)
		a.goesOn()
		return
	}
	a.tells("AGT-05")
	a.line.release()
	if a.signedIn() {
		t.Error("somebody was signed in")
	}
}

func upgraded(t *testing.T, a *attempt, _ int) {
	old := a.agent
	old.signal(t, syscall.SIGTERM)
	for deadline := time.Now().Add(soon()); occupied(t.Context(), old.path); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not hear that it shall stop")
		}
	}
	a.agent = a.starts()
	a.line.release()
	a.tells("AGT-05")
	if status := old.ends(t); status != 0 {
		t.Errorf("it ended with %d", status)
	}
	a.agent.ready(t)
	if a.signedIn() {
		t.Error("somebody was signed in")
	}
}

func doubled(t *testing.T, a *attempt, _ int) {
	other := newBrowser(t)
	_, waiting := other.begins(a.w.service)
	a.opens(other.link)
	other.until(waiting, "AGT-06")
	second := a.starts()
	if status := second.ends(t); status != 0 || !strings.Contains(second.said.String(), "An agent waits in this session already.") {
		t.Errorf("the second agent ended with %d: %s", status, second.said.String())
	}
	a.goesOn()
}

func readerPulled(t *testing.T, a *attempt, at int) {
	a.reader.Pull()
	a.takeOut = nil
	a.line.release()
	if at < beforeAnswer { // later nobody needs it
		a.tells("RDR-01")
		a.asked = nil
	}
	a.reader.Plug(a.place.t)
	a.goesOn()
}

func cardPulled(t *testing.T, a *attempt, at int) {
	if at == waitingForCard {
		a.insert()
	}
	a.pull()
	a.line.release()
	switch at {
	case beforeRedeem, waitingForCard:
		a.tells("CRD-0")
		a.asked = nil
	case atPasscode, whileSigning:
		a.tells("CRD-05")
		a.asked = nil
	}
	a.goesOn()
}

func networkCut(t *testing.T, a *attempt, at int) {
	close(a.line.cut)
	a.says(prompt.In("en").Unreachable)
	if at != beforeRedeem {
		a.tells("AGT-05")
	}
	if a.signedIn() {
		t.Error("somebody was signed in")
	}
}
