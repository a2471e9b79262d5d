package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
)

// mostFindings is how many findings a Report names. Who finds more has stopped
// counting.
const mostFindings = 1000

// pageSize is how many rows are read at a time, so that a journal of any size
// can be walked while servers write it.
const (
	pageSize = 1000
	pageTime = 30 * time.Second
)

// Report is what a walk through the journal found.
type Report struct {
	Chains   int64     `json:"chains"`
	Events   int64     `json:"events"`
	Seals    int64     `json:"seals"`
	Unsealed int64     `json:"unsealed"` // events after the last that was sealed in their chain
	Findings []Finding `json:"findings"` // at most 1000; none: the journal is whole
	Unnamed  int64     `json:"unnamed"`  // findings beyond those
}

// Finding is a place where the journal is not what was written: an event, or a
// seal.
type Finding struct {
	Chain   string `json:"chain"`
	Seq     int64  `json:"seq,omitempty"`
	Seal    int64  `json:"seal,omitempty"`
	Problem string `json:"problem"`
}

// Whole says whether nothing was found.
func (r *Report) Whole() bool { return len(r.Findings) == 0 }

func (r *Report) found(f Finding) {
	if len(r.Findings) == mostFindings {
		r.Unnamed++
		return
	}
	r.Findings = append(r.Findings, f)
}

// Verify walks every chain of the journal and computes each hash again, and
// compares the chains with what the seals say. keys are those that may have
// signed them.
func (s *Store) Verify(ctx context.Context, keys PublicKeys) (Report, error) {
	report := Report{Findings: []Finding{}}
	sealed, err := s.walkSeals(ctx, keys, &report)
	if err == nil {
		err = s.walkChains(ctx, sealed, &report)
	}
	return report, outage(err)
}

// walkChains compares every event with the one before it.
func (s *Store) walkChains(ctx context.Context, sealed map[string]int64, report *Report) error {
	last := row{seq: math.MinInt64}
	var end link
	for {
		page, err := s.page(ctx, `SELECT server, seq, at, event, hash FROM audit_events
			WHERE (server, seq) > ($1, $2) ORDER BY server, seq LIMIT $3`, last.server, last.seq, pageSize)
		if err != nil {
			return fmt.Errorf("read the journal: %w", err)
		}
		if err := s.losses(ctx, page, report); err != nil {
			return err
		}
		for _, r := range page {
			if report.Events == 0 || r.server != last.server {
				report.Chains++
				end = beginning(r.server)
			}
			if problem := r.wrong(end); problem != "" {
				report.found(Finding{Chain: r.server, Seq: r.seq, Problem: problem})
			}
			report.Events++
			if r.seq > sealed[r.server] {
				report.Unsealed++
			}
			last, end = r, r.link()
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// losses finds the chains that those who begin in page say were cut off.
func (s *Store) losses(ctx context.Context, page []row, report *Report) error {
	var heads []head
	for _, r := range page {
		var l loss
		if r.seq == 1 && json.Unmarshal([]byte(r.event), &l) == nil && l.Kind == idp.JournalLost {
			heads = append(heads, l.Lost)
		}
	}
	if len(heads) == 0 {
		return nil
	}
	problems, err := s.contradictions(ctx, heads, "acknowledged")
	if err != nil {
		return err
	}
	for i, h := range heads {
		if problems[i] != "" {
			report.found(Finding{Chain: h.Server, Seq: h.Seq, Problem: problems[i]})
		}
	}
	return nil
}

// page reads rows of the journal.
func (s *Store) page(ctx context.Context, sql string, args ...any) ([]row, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTime)
	defer cancel()
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (row, error) {
		var e row
		err := r.Scan(&e.server, &e.seq, &e.at, &e.event, &e.hash)
		return e, err
	})
}
