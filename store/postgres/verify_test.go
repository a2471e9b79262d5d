package postgres

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// tamper changes the journal as somebody could who owns the database.
func tamper(t *testing.T, s *Store, sql string, args ...any) {
	t.Helper()
	for _, table := range tampered {
		exec(t, s, `ALTER TABLE `+table+` DISABLE TRIGGER USER`)
		defer exec(t, s, `ALTER TABLE `+table+` ENABLE TRIGGER USER`)
	}
	exec(t, s, sql, args...)
}

// tampered are the tables that tamper opens.
var tampered = []string{"audit_events", "audit_seals"}

// aJournal returns a registry with five events, 1 to 5, and their chain.
func aJournal(t *testing.T) (*Store, string) {
	t.Helper()
	s := open(t)
	recordFive(t, s)
	return s, s.journal.server
}

func recordFive(t *testing.T, s *Store) {
	t.Helper()
	for n := range 5 {
		e := anEvent(fmt.Sprint(n + 1))
		e.At = noon.Add(time.Duration(n) * time.Minute)
		if err := s.Record(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Run("own rule: a journal that nobody touched is whole", func(t *testing.T) {
		s, _ := aJournal(t)
		r, err := s.Verify(t.Context(), noKeys)
		if err != nil || !r.Whole() || r.Chains != 1 || r.Events != 5 {
			t.Errorf("Verify: %+v, %v", r, err)
		}
	})
	for _, c := range []struct {
		did, sql string
		seq      int64
		finds    string
	}{
		{"an event was changed", `UPDATE audit_events SET event = replace(event, '"3"', '"9"') WHERE seq = 3`, 3, "was changed"},
		{"the last event was changed", `UPDATE audit_events SET event = replace(event, '"5"', '"9"') WHERE seq = 5`, 5, "was changed"},
		{"an event and its hash were changed", `UPDATE audit_events SET hash = sha256('x') WHERE seq = 3`, 3, "was changed"},
		{"the time beside an event was changed", `UPDATE audit_events SET at = at + interval '1 second' WHERE seq = 3`, 3, "time"},
		{"an event was overwritten", `UPDATE audit_events SET event = 'x' WHERE seq = 3`, 3, "cannot be read"},
		{"an event was deleted", `DELETE FROM audit_events WHERE seq = 3`, 4, "missing"},
		{"the first event was deleted", `DELETE FROM audit_events WHERE seq = 1`, 2, "beginning"},
		{"two events were swapped", `UPDATE audit_events a SET event = b.event, hash = b.hash, at = b.at FROM audit_events b
			WHERE a.seq IN (2, 4) AND b.seq = 6 - a.seq`, 2, "moved"},
		{"an event was put in", `INSERT INTO audit_events (server, seq, at, event, hash) SELECT server, 6, at, event, hash FROM audit_events WHERE seq = 5`, 6, "moved"},
		{"an event was put before the first", `INSERT INTO audit_events (server, seq, at, event, hash) SELECT server, -1, at, event, hash FROM audit_events WHERE seq = 5`, -1, "beginning"},
		{"a chain was given another name", `UPDATE audit_events SET server = 'other'`, 1, "moved"},
	} {
		t.Run("ASVS 16.4.2: it is found that "+c.did, func(t *testing.T) {
			s, chain := aJournal(t)
			tamper(t, s, c.sql)
			r, err := s.Verify(t.Context(), noKeys)
			if err != nil || r.Whole() {
				t.Fatalf("Verify: %+v, %v", r, err)
			}
			f := r.Findings[0]
			if f.Chain != chain && f.Chain != "other" || f.Seq != c.seq || !strings.Contains(f.Problem, c.finds) {
				t.Errorf("it found %+v, want %d: %s", f, c.seq, c.finds)
			}
		})
	}
	t.Run("own rule: one change is found once", func(t *testing.T) {
		s, _ := aJournal(t)
		tamper(t, s, `UPDATE audit_events SET event = replace(event, '"3"', '"9"') WHERE seq = 3`)
		if r, _ := s.Verify(t.Context(), noKeys); len(r.Findings) != 1 {
			t.Errorf("it found %+v", r.Findings)
		}
	})
	t.Run("own rule: no more is remembered than anybody reads", func(t *testing.T) {
		var r Report
		for n := range int64(mostFindings + 7) {
			r.found(Finding{Chain: "c", Seq: n, Problem: "p"})
		}
		if len(r.Findings) != mostFindings || r.Unnamed != 7 {
			t.Errorf("%d named, %d not", len(r.Findings), r.Unnamed)
		}
	})
	t.Run("own rule: a journal is longer than one page", func(t *testing.T) {
		url := aDatabase(t)
		s := openAt(t, url)
		s.journal.close()
		for n := range pageSize/mostAtOnce + 2 {
			var batch []*entry
			for range mostAtOnce {
				batch = append(batch, anEntry(t, fmt.Sprint(n)))
			}
			s.journal.batch(t.Context(), batch)
		}
		recordFive(t, openAt(t, url))
		want := int64((pageSize/mostAtOnce+2)*mostAtOnce + 5)
		r, err := s.Verify(t.Context(), noKeys)
		if err != nil || !r.Whole() || r.Chains != 2 || r.Events != want {
			t.Errorf("Verify: %+v, %v; want %d events", r, err, want)
		}
		if n := len(eventsOf(t, s)); int64(n) != want {
			t.Errorf("%d events are exported, want %d", n, want)
		}
	})
}

func TestExport(t *testing.T) {
	t.Run("own rule: an export is of the time that was asked for", func(t *testing.T) {
		s, chain := aJournal(t)
		got := exported(t, s, noon.Add(time.Minute), noon.Add(3*time.Minute))
		if len(got) != 2 || got[0].Server != chain || got[0].Seq != 2 || got[1].Seq != 3 || got[0].Request != "2" {
			t.Errorf("it holds %+v", got)
		}
	})
	t.Run("own rule: an exported event can be checked against its hash", func(t *testing.T) {
		s, chain := aJournal(t)
		var b bytes.Buffer
		if err := s.Export(t.Context(), &b, time.Time{}, time.Time{}); err != nil {
			t.Fatal(err)
		}
		end := beginning(chain)
		for line := range strings.Lines(b.String()) {
			at := strings.LastIndex(line, `,"hash":"`)
			end = end.next(line[:at] + "}")
			if want := `,"hash":"` + base64.RawURLEncoding.EncodeToString(end.hash[:]) + "\"}\n"; line[at:] != want {
				t.Errorf("%s: want it to end in %s", line, want)
			}
		}
		if end.seq != 5 {
			t.Errorf("it has %d events", end.seq)
		}
	})
	t.Run("own rule: a damaged event is one line of an export too", func(t *testing.T) {
		s, chain := aJournal(t)
		tamper(t, s, `UPDATE audit_events SET event = E'{\n}' WHERE seq = 3`)
		got := exported(t, s, time.Time{}, time.Time{})
		if len(got) != 5 || got[2].Server != chain || got[2].Seq != 3 {
			t.Errorf("it holds %+v", got)
		}
		var line struct{ Damaged string }
		if err := json.Unmarshal(row{event: "{\n}"}.line(), &line); err != nil || line.Damaged != "{\n}" {
			t.Errorf("the line holds %+v, %v", line, err)
		}
	})
}
