package conformance

import (
	"errors"
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

var (
	theLogin    = authenticators.Login{ID: "login", Browser: "browser"}
	theEvidence = authenticators.Evidence{Subject: "555000000101", Method: authenticators.Smartcard, Level: authenticators.AAL3, Flag: "odd"}
)

// Transactions checks one implementation. open returns an empty store.
func Transactions(t *testing.T, open func(t *testing.T) smartcard.Transactions) {
	opened := func(t *testing.T, now time.Time) smartcard.Transactions {
		s := open(t)
		if err := s.Open(t.Context(), aTransaction(now), "handle", now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	redeemed := func(t *testing.T, now time.Time) (smartcard.Transactions, smartcard.Transaction) {
		s := opened(t, now)
		tx, err := s.Redeem(t.Context(), "handle", "epk", now)
		want := aTransaction(now)
		want.AgentKey = "epk"
		if err != nil || tx != want {
			t.Fatalf("Redeem = %+v, %v; want %+v", tx, err, want)
		}
		return s, tx
	}
	t.Run("desk-auth/1: a handle works once and for a minute", func(t *testing.T) {
		now := time.Now()
		s := opened(t, now)
		if n := winners(t, refused, func() error { _, err := s.Redeem(t.Context(), "handle", "epk", now); return err }); n != 1 {
			t.Errorf("%d redeemed the handle, want 1", n)
		}
		s = opened(t, now)
		if _, err := s.Redeem(t.Context(), "handle", "epk", now.Add(time.Minute)); !errors.Is(err, refused) {
			t.Errorf("Redeem of an old handle: %v, want ErrAnswer", err)
		}
	})
	t.Run("desk-auth/1: a question is taken once, and only after its handle", func(t *testing.T) {
		now := time.Now()
		s := opened(t, now)
		if _, err := s.Answer(t.Context(), "tx", now); !errors.Is(err, refused) {
			t.Errorf("Answer before Redeem: %v, want ErrAnswer", err)
		}
		s, want := redeemed(t, now)
		if n := winners(t, refused, func() error {
			got, err := s.Answer(t.Context(), "tx", now)
			if err == nil && got != want {
				t.Errorf("Answer = %+v, want %+v", got, want)
			}
			return err
		}); n != 1 {
			t.Errorf("%d took the question, want 1", n)
		}
		s, tx := redeemed(t, now)
		if _, err := s.Answer(t.Context(), "tx", tx.Expires); !errors.Is(err, refused) {
			t.Errorf("Answer of an old question: %v, want ErrAnswer", err)
		}
		if err := s.Settle(t.Context(), tx, "cc", theEvidence, now.Add(time.Minute)); !errors.Is(err, refused) {
			t.Errorf("Settle of a question not taken: %v, want ErrAnswer", err)
		}
	})
	t.Run("desk-auth/1: a completion works once, in time, for its login and browser", func(t *testing.T) { complete(t, redeemed) })
}

func complete(t *testing.T, redeemed func(*testing.T, time.Time) (smartcard.Transactions, smartcard.Transaction)) {
	now := time.Now()
	settled := func() smartcard.Transactions {
		s, tx := redeemed(t, now)
		if _, err := s.Answer(t.Context(), "tx", now); err != nil {
			t.Fatal(err)
		}
		if err := s.Settle(t.Context(), tx, "cc", theEvidence, now.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := settled()
	if n := winners(t, refused, func() error {
		e, err := s.Complete(t.Context(), "tx", "cc", theLogin, now)
		if err == nil && e.Subject != theEvidence.Subject {
			t.Errorf("Complete = %+v, want %+v", e, theEvidence)
		}
		return err
	}); n != 1 {
		t.Errorf("%d completed, want 1", n)
	}
	for name, try := range map[string]struct {
		cc    string
		login authenticators.Login
		at    time.Time
	}{
		"another code":    {"xx", theLogin, now},
		"another login":   {"cc", authenticators.Login{ID: "other", Browser: "browser"}, now},
		"another browser": {"cc", authenticators.Login{ID: "login", Browser: "other"}, now},
		"too late":        {"cc", theLogin, now.Add(time.Minute)},
	} {
		s := settled()
		if _, err := s.Complete(t.Context(), "tx", try.cc, try.login, try.at); !errors.Is(err, refused) {
			t.Errorf("Complete with %s: %v, want ErrAnswer", name, err)
		}
		if _, err := s.Complete(t.Context(), "tx", "cc", theLogin, now); !errors.Is(err, refused) {
			t.Errorf("Complete after %s: %v, want ErrAnswer: any mismatch ends the transaction", name, err)
		}
	}
}
