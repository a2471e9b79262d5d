package postgres

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// aToken records a token of client ward in a session of Asha's.
func aToken(t *testing.T, s *Store, sid string) {
	t.Helper()
	e := idp.Event{At: time.Now(), Kind: idp.TokenIssued, Subject: asha, Client: "ward", Session: sid, Tell: &idp.Watch{SID: sid, Client: "ward", Subject: asha}}
	if err := s.Record(t.Context(), e); err != nil {
		t.Fatal(err)
	}
}

// afterEnd ends a session, and takes what its client is to be told.
func afterEnd(t *testing.T, s *Store, sid string) []idp.Logout {
	t.Helper()
	if err := s.Record(t.Context(), idp.Event{At: time.Now(), Kind: idp.SessionEnded}, idp.Fence{Kind: idp.SIDFence, Hash: sid}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	taken, err := s.TakeLogouts(t.Context(), idp.LogoutTaking{Now: now, Until: now.Add(time.Minute).Truncate(time.Microsecond), Clients: 10, Each: 10})
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

func TestSessionsOfWhoWasChanged(t *testing.T) {
	for _, tt := range []struct {
		rule, statement string
		due             int
	}{
		{"own rule: who restricts a person at a terminal has their sessions looked after", "UPDATE people SET profile = 'restricted'", 1},
		{"own rule: and who signs them out", "UPDATE people SET signed_out_at = '2030-01-01'", 1},
		{"own rule: and who deletes them", "DELETE FROM people", 1},
		{"own rule: and who blocks a card", "UPDATE cards SET state = 'blocked'", 1},
		{"own rule: and who takes a card away", "DELETE FROM cards", 1},
		{"own rule: and who gives it to somebody else", "UPDATE cards SET uid = '555000000102'", 1},
		{"own rule: and who suspends what they sign in with", "UPDATE authenticators SET state = 'suspended'", 1},
		{"own rule: and who takes that away", "DELETE FROM authenticators", 1},
		{"own rule: but not who writes down another title", "UPDATE people SET title = 'Prof'", 0},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := holding(t, document(t, everything), "")
			aToken(t, s, "s1")
			exec(t, s, tt.statement)
			due, err := s.DueWatches(t.Context(), time.Now(), time.Now().Add(time.Minute), 10)
			if err != nil || len(due) != tt.due {
				t.Errorf("%v are due, %v; want %d", due, err, tt.due)
			}
		})
	}
}

func TestLookedAfterAnew(t *testing.T) {
	t.Run("own rule: who looks after a session does not go by what it remembers of the person", func(t *testing.T) {
		s := listening(t, holding(t, document(t, everything), ""))
		aToken(t, s, "s1")
		if p, err := s.Person(t.Context(), asha); err != nil || p.Profile != idp.Unverified {
			t.Fatalf("Person = %+v, %v", p, err)
		}
		exec(t, s, "ALTER TABLE people DISABLE TRIGGER tell")
		exec(t, s, "UPDATE people SET profile = 'closed' WHERE uid = $1", asha) // and nobody is told
		if due, err := s.DueWatches(t.Context(), time.Now(), time.Now().Add(time.Minute), 10); err != nil || len(due) != 1 {
			t.Fatalf("%v are due, %v", due, err)
		}
		if p, err := s.Person(t.Context(), asha); err != nil || p.Profile != idp.Closed {
			t.Errorf("Person = %s, %v", p.Profile, err)
		}
	})
}

func TestLogoutsBeforeTheirMigration(t *testing.T) {
	t.Run("own rule: on the schema before, all goes on and nobody is told; after it they are, without a restart", func(t *testing.T) {
		s := openAt(t, migratedTo(t, 4))
		aToken(t, s, "s1")
		if taken := afterEnd(t, s, "s1"); len(taken) != 0 {
			t.Errorf("%v are told", taken)
		}
		if due, err := s.DueWatches(t.Context(), time.Now(), time.Now(), 10); err != nil || len(due) != 0 {
			t.Errorf("%v are due, %v", due, err)
		}
		n, err1 := s.LogoutsWaiting(t.Context())
		counts, err2 := s.CountLogouts(t.Context())
		if err := errors.Join(err1, err2, s.ForgetLogouts(t.Context())); err != nil || n != 0 || len(counts) != 0 {
			t.Errorf("%d wait, %v, %v", n, counts, err)
		}
		if err := Migrate(t.Context(), s.pool.Config().ConnString(), silent); err != nil {
			t.Fatal(err)
		}
		aToken(t, s, "s2")
		if taken := afterEnd(t, s, "s2"); len(taken) != 1 {
			t.Errorf("%v are told", taken)
		}
	})
}

func TestLogoutLog(t *testing.T) {
	s := open(t)
	old := time.Now().Add(-idp.LogoutLogLife - time.Minute)
	for sid, l := range map[string]idp.Logout{
		"s1": {Result: idp.LogoutTold, Said: "200", SaidAt: old},
		"s2": {Result: idp.LogoutGivenUp, Said: "timeout", SaidAt: old},
		"s3": {Result: idp.LogoutRefused, Said: "400", SaidAt: time.Now()},
		"s4": {Result: idp.LogoutTold, Said: "204", SaidAt: time.Now()},
	} {
		aToken(t, s, sid)
		of := afterEnd(t, s, sid)[0]
		of.Result, of.Said, of.SaidAt = l.Result, l.Said, l.SaidAt
		if err := s.EndLogout(t.Context(), of); err != nil {
			t.Fatal(err)
		}
	}
	aToken(t, s, "s5")
	afterEnd(t, s, "s5")
	t.Run("own rule: what was told is forgotten after a day, and what waits is not", func(t *testing.T) {
		if err := s.ForgetLogouts(t.Context()); err != nil {
			t.Fatal(err)
		}
		last, err := s.LastLogouts(t.Context(), 10)
		var sids []string
		for _, l := range last {
			sids = append(sids, l.SID)
		}
		if slices.Sort(sids); err != nil || !slices.Equal(sids, []string{"s3", "s4", "s5"}) {
			t.Errorf("the log has %q, %v", sids, err)
		}
	})
	t.Run("own rule: what waits and what failed is counted, by client", func(t *testing.T) {
		counts, err := s.CountLogouts(t.Context())
		n, err2 := s.LogoutsWaiting(t.Context())
		if want := []LogoutCount{{Client: "ward", Waiting: 1, Failed: 1, Said: "400"}}; errors.Join(err, err2) != nil || !slices.Equal(counts, want) || n != 1 {
			t.Errorf("%+v, %d wait, %v", counts, n, errors.Join(err, err2))
		}
	})
}
