package conformance

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
)

const refused = authenticators.ErrAnswer

func aTransaction(now time.Time) smartcard.Transaction {
	return smartcard.Transaction{ID: "tx", Login: "login", Browser: "browser", ClientID: "demo-rp", ClientName: "Demo",
		Act: "login", ServerNonce: "sn", DisplayCode: "1234", Expires: now.Add(300 * time.Second).UTC().Truncate(time.Millisecond)}
}

var theEvidence = authenticators.Evidence{Subject: "555000000101", Method: authenticators.Smartcard, Level: authenticators.AAL3, Flag: "odd"}

// TransactionStore keeps questions, and tells how they stand.
type TransactionStore interface {
	smartcard.Transactions
	smartcard.Desks
}

// anAgent redeems, and theCaller is it when it calls again.
var (
	anAgent   = smartcard.Agent{Name: "a", Version: "1", Build: "b", OS: "linux", Port: 40000, KeyThumbprint: "epk"}
	theCaller = smartcard.Caller{Transaction: "tx", KeyThumbprint: "epk", Once: "1"}
)

// Transactions checks one implementation. open returns an empty store.
func Transactions(t *testing.T, open func(t *testing.T) TransactionStore) {
	opened := func(t *testing.T, now time.Time) TransactionStore {
		s := open(t)
		if err := s.Open(t.Context(), aTransaction(now), now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	redeemed := func(t *testing.T, now time.Time) (TransactionStore, smartcard.Transaction) {
		s := opened(t, now)
		tx, err := s.Redeem(t.Context(), "tx", anAgent, now)
		want := aTransaction(now)
		want.Agent = anAgent
		if err != nil || tx != want {
			t.Fatalf("Redeem = %+v, %v; want %+v", tx, err, want)
		}
		return s, tx
	}
	t.Run("desk-auth/1: a handle works once and for a minute", func(t *testing.T) {
		now := time.Now()
		s := opened(t, now)
		if n := winners(t, refused, func() error { _, err := s.Redeem(t.Context(), "tx", anAgent, now); return err }); n != 1 {
			t.Errorf("%d redeemed the handle, want 1", n)
		}
		s = opened(t, now)
		if _, err := s.Redeem(t.Context(), "tx", anAgent, now.Add(time.Minute)); !errors.Is(err, refused) {
			t.Errorf("Redeem of an old handle: %v, want ErrAnswer", err)
		}
	})
	t.Run("desk-auth/1: a question is taken once, and only after its handle", func(t *testing.T) {
		now := time.Now()
		s := opened(t, now)
		if _, err := s.Answer(t.Context(), theCaller, now); !errors.Is(err, refused) {
			t.Errorf("Answer before Redeem: %v, want ErrAnswer", err)
		}
		s, want := redeemed(t, now)
		if _, err := s.Answer(t.Context(), smartcard.Caller{Transaction: "tx", KeyThumbprint: "other"}, now); !errors.Is(err, refused) {
			t.Errorf("Answer with another key: %v, want ErrAnswer, and nothing taken", err)
		}
		if n := winners(t, refused, func() error {
			got, err := s.Answer(t.Context(), theCaller, now)
			if err == nil && got != want {
				t.Errorf("Answer = %+v, want %+v", got, want)
			}
			return err
		}); n != 1 {
			t.Errorf("%d took the question, want 1", n)
		}
		s, tx := redeemed(t, now)
		if _, err := s.Answer(t.Context(), theCaller, tx.Expires); !errors.Is(err, refused) {
			t.Errorf("Answer of an old question: %v, want ErrAnswer", err)
		}
		if err := s.Settle(t.Context(), tx, "cc", theEvidence, now.Add(time.Minute)); !errors.Is(err, refused) {
			t.Errorf("Settle of a question not taken: %v, want ErrAnswer", err)
		}
	})
	t.Run("own rule: a login has one question at a time, whoever asks for many", func(t *testing.T) { one(t, open(t)) })
	t.Run("desk-auth/1: a completion works once, in time, and any other code ends the question", func(t *testing.T) { complete(t, opened, redeemed) })
	t.Run("desk-auth/1: how a question stands is told until it is over", func(t *testing.T) { stands(t, opened) })
	t.Run("desk-auth/1: a report is of the agent that redeemed, at its stage, and comes once", func(t *testing.T) { reports(t, redeemed) })
	t.Run("desk-auth/1: a transaction that was ended is over at every stage", func(t *testing.T) { ends(t, opened) })
}

func stands(t *testing.T, opened func(*testing.T, time.Time) TransactionStore) {
	now := time.Now()
	s := opened(t, now)
	tx := aTransaction(now)
	wait := smartcard.Report{Doing: smartcard.PINWrong, TriesLeft: 2}
	want := func(stage smartcard.Stage, r smartcard.Report) {
		t.Helper()
		d, err := s.Desk(t.Context(), "tx", now)
		d.Silent = 0 // the store's clock may run
		if err != nil || d != (smartcard.Desk{Transaction: tx, Stage: stage, Report: r}) {
			t.Errorf("Desk = %+v, %v; want %s with %+v", d, err, stage, r)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	want(smartcard.Open, smartcard.Report{})
	_, err := s.Redeem(t.Context(), "tx", anAgent, now)
	must(err)
	tx.Agent = anAgent
	want(smartcard.Redeemed, smartcard.Report{})
	of, err := s.Report(t.Context(), theCaller, wait, now)
	must(err)
	if of != tx {
		t.Errorf("Report is of %+v, want %+v", of, tx)
	}
	want(smartcard.Redeemed, wait)
	_, err = s.Answer(t.Context(), theCaller, now)
	must(err)
	want(smartcard.Answered, wait)
	must(s.Settle(t.Context(), tx, "cc", theEvidence, now.Add(time.Minute)))
	want(smartcard.Settled, wait)
	for id, at := range map[string]time.Time{"tx": now.Add(time.Minute), "another": now} {
		if _, err := s.Desk(t.Context(), id, at); !errors.Is(err, refused) {
			t.Errorf("Desk of %s: %v, want ErrAnswer", id, err)
		}
	}
	if _, err := opened(t, now).Desk(t.Context(), "tx", tx.Expires); !errors.Is(err, refused) {
		t.Errorf("Desk of an old question: %v, want ErrAnswer", err)
	}
}

func reports(t *testing.T, redeemed func(*testing.T, time.Time) (TransactionStore, smartcard.Transaction)) {
	now := time.Now()
	s, tx := redeemed(t, now)
	wait := smartcard.Report{Doing: smartcard.WaitCard}
	no := smartcard.Report{Doing: smartcard.Refused, Code: "CRT-01", Date: now.UTC().Truncate(time.Second)}
	report := func(c smartcard.Caller, r smartcard.Report, at time.Time, want error) {
		t.Helper()
		if _, err := s.Report(t.Context(), c, r, at); !errors.Is(err, want) {
			t.Errorf("Report(%+v, %+v): %v, want %v", c, r, err, want)
		}
	}
	once := func() error { _, err := s.Report(t.Context(), theCaller, wait, now); return err }
	if n := winners(t, refused, once); n != 1 {
		t.Errorf("one report was taken %d times", n)
	}
	another := theCaller
	another.Once = "2"
	report(smartcard.Caller{Transaction: "tx", KeyThumbprint: "other", Once: "3"}, wait, now, refused)
	report(smartcard.Caller{Transaction: "another", KeyThumbprint: "epk", Once: "3"}, wait, now, refused)
	report(another, no, now, refused)
	report(another, wait, tx.Expires, refused)
	report(another, wait, now, nil)
	for n := range smartcard.MostShown + 1 {
		another.Once = fmt.Sprint("shows ", n)
		report(another, smartcard.Report{Doing: smartcard.CardIn, Shows: true}, now, map[bool]error{true: refused}[n == smartcard.MostShown])
	}
	another.Once = "shows none"
	report(another, smartcard.Report{Doing: smartcard.CardIn}, now, nil)
	if _, err := s.Answer(t.Context(), theCaller, now); err != nil {
		t.Fatal(err)
	}
	another.Once = "4"
	report(another, wait, now, refused)
	report(another, no, now, nil)
	if d, err := s.Desk(t.Context(), "tx", now); err != nil || d.Report != no {
		t.Errorf("Desk = %+v, %v; want %+v", d, err, no)
	}
	s, _ = redeemed(t, now)
	if _, err := s.Answer(t.Context(), theCaller, now); err != nil {
		t.Fatal(err)
	}
	if err := s.Settle(t.Context(), tx, "cc", theEvidence, now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	report(another, wait, now, refused)
	report(another, smartcard.Report{Doing: smartcard.Signing}, now, nil) // the agent waits for the browser
	another.Once = "by its session"
	report(another, smartcard.Report{Doing: smartcard.Entering}, now, nil)
	another.Once = "5"
	report(another, smartcard.Report{Doing: smartcard.AgentStopped}, now, nil) // it does not any more
	another.Once = "6"
	report(another, no, now, refused)
	s, _ = redeemed(t, now)
	kept := 0
	for ; kept < 1000; kept++ {
		if _, err := s.Report(t.Context(), smartcard.Caller{Transaction: "tx", KeyThumbprint: "epk", Once: strconv.Itoa(kept)}, wait, now); err != nil {
			break
		}
	}
	if kept < 200 || kept == 1000 {
		t.Errorf("%d reports were taken, want an end that no honest agent comes to", kept)
	}
}

func ends(t *testing.T, opened func(*testing.T, time.Time) TransactionStore) {
	now := time.Now()
	for stage := range 2 {
		s := opened(t, now)
		if stage == 1 {
			if _, err := s.Redeem(t.Context(), "tx", anAgent, now); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(s.End(t.Context(), "tx"), s.End(t.Context(), "tx")); err != nil {
			t.Fatal(err)
		}
		_, err1 := s.Redeem(t.Context(), "tx", anAgent, now)
		_, err2 := s.Answer(t.Context(), theCaller, now)
		_, err3 := s.Desk(t.Context(), "tx", now)
		_, err4 := s.Report(t.Context(), theCaller, smartcard.Report{Doing: smartcard.WaitCard}, now)
		for _, err := range []error{err1, err2, err3, err4} {
			if !errors.Is(err, refused) {
				t.Errorf("after the end: %v, want ErrAnswer", err)
			}
		}
	}
}

func complete(t *testing.T, opened func(*testing.T, time.Time) TransactionStore, redeemed func(*testing.T, time.Time) (TransactionStore, smartcard.Transaction)) {
	now := time.Now()
	settled := func() TransactionStore {
		s, tx := redeemed(t, now)
		if _, err := s.Answer(t.Context(), theCaller, now); err != nil {
			t.Fatal(err)
		}
		if err := s.Settle(t.Context(), tx, "cc", theEvidence, now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := settled()
	if n := winners(t, refused, func() error {
		of, e, err := s.Complete(t.Context(), "tx", "cc", now)
		if err == nil && (e != theEvidence || of != aTransaction(now)) {
			t.Errorf("Complete = %+v, %+v; want %+v, %+v", of, e, aTransaction(now), theEvidence)
		}
		return err
	}); n != 1 {
		t.Errorf("%d completed, want 1", n)
	}
	waiting := func() TransactionStore { s, _ := redeemed(t, now); return s }
	for name, try := range map[string]struct {
		open func() TransactionStore
		cc   string
		at   time.Time
		told string // of which transaction it was
	}{
		"another code":            {settled, "xx", now, "tx"},
		"no code":                 {settled, "", now, "tx"},
		"a code before the time":  {waiting, "cc", now, "tx"},
		"no code before the time": {func() TransactionStore { return opened(t, now) }, "", now, "tx"},
		"a code too late":         {settled, "cc", now.Add(time.Minute), ""},
	} {
		s := try.open()
		if of, e, err := s.Complete(t.Context(), "tx", try.cc, try.at); !errors.Is(err, refused) || of.ID != try.told || e != (authenticators.Evidence{}) {
			t.Errorf("Complete with %s: %+v, %+v, %v; want ErrAnswer and %q", name, of, e, err, try.told)
		}
		if of, _, err := s.Complete(t.Context(), "tx", "cc", now); !errors.Is(err, refused) || of.ID != "" {
			t.Errorf("Complete after %s: %+v, %v; want ErrAnswer: any mismatch ends the transaction", name, of, err)
		}
	}
}

// one opens many questions of one login at once, and one of another.
func one(t *testing.T, s TransactionStore) {
	t.Helper()
	now := time.Now()
	opens := func(id, login string) error {
		tx := aTransaction(now)
		tx.ID, tx.Login = id, login
		return s.Open(t.Context(), tx, now.Add(time.Minute))
	}
	if err := opens("other", "another login"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	const many = 24
	for n := range many {
		all.Go(func() {
			if err := opens(fmt.Sprint("tx", n), "login"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	stands := 0
	for n := range many {
		if _, err := s.Desk(t.Context(), fmt.Sprint("tx", n), now); err == nil {
			stands++
		} else if !errors.Is(err, refused) {
			t.Error(err)
		}
	}
	if stands != 1 {
		t.Errorf("%d questions of one login stand, want 1", stands)
	}
	if _, err := s.Desk(t.Context(), "other", now); err != nil {
		t.Errorf("that of another login: %v", err)
	}
}
