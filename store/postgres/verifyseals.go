package postgres

import (
	"bytes"
	"context"
	"fmt"
	"math"

	"github.com/jackc/pgx/v5"
)

// sealPage is how many seals are read at a time.
const sealPage = 50

// walkSeals checks every seal and whether the chains still hold what it says.
// It returns how far seals reach, by chain.
func (s *Store) walkSeals(ctx context.Context, keys PublicKeys, report *Report) (map[string]int64, error) {
	reach := map[string]int64{}
	said := map[string]bool{} // of a chain: its later seals say the same
	for last := (kept{n: math.MinInt64}); ; {
		page, err := s.seals(ctx, last)
		if noTable(err) {
			return reach, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the seals: %w", err)
		}
		for _, k := range page {
			report.Seals++
			l, err := openSeal(k.text, keys)
			problem := k.wrong(l, last)
			last = k
			if err != nil {
				problem, l = err.Error(), seal{}
			}
			if problem != "" {
				report.found(Finding{Chain: k.server, Seal: k.n, Problem: problem})
			}
			problems, err := s.contradictions(ctx, l.Heads, "sealed")
			if err != nil {
				return nil, err
			}
			for i, h := range l.Heads {
				reach[h.Server] = max(reach[h.Server], h.Seq)
				if problems[i] != "" && !said[h.Server] {
					said[h.Server] = true
					report.found(Finding{Chain: h.Server, Seq: h.Seq, Problem: problems[i]})
				}
			}
		}
		if len(page) < sealPage {
			return reach, nil
		}
	}
}

// seals reads the seals after last.
func (s *Store) seals(ctx context.Context, last kept) ([]kept, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTime)
	defer cancel()
	rows, err := s.pool.Query(ctx, `SELECT server, n, at, seal FROM audit_seals
		WHERE (server, n) > ($1, $2) ORDER BY server, n LIMIT $3`, last.server, last.n, sealPage)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(r pgx.CollectableRow) (kept, error) {
		var k kept
		err := r.Scan(&k.server, &k.n, &k.at, &k.text)
		return k, err
	})
}

// contradictions says of each head, which was as did says, what the journal
// holds instead, or "".
func (s *Store) contradictions(ctx context.Context, heads []head, did string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTime)
	defer cancel()
	servers, seqs := make([]string, len(heads)), make([]int64, len(heads))
	for i, h := range heads {
		servers[i], seqs[i] = h.Server, h.Seq
	}
	rows, err := s.pool.Query(ctx, `SELECT e.hash FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS h (server, seq, place)
		LEFT JOIN audit_events AS e ON e.server = h.server AND e.seq = h.seq ORDER BY h.place`, servers, seqs)
	if err != nil {
		return nil, fmt.Errorf("read what was %s: %w", did, err)
	}
	hashes, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return nil, fmt.Errorf("read what was %s: %w", did, err)
	}
	if len(hashes) != len(heads) {
		return nil, fmt.Errorf("read what was %s: too few rows", did)
	}
	problems := make([]string, len(heads))
	for i, h := range heads {
		switch {
		case hashes[i] == nil:
			problems[i] = "the event was " + did + " and is missing"
		case !bytes.Equal(hashes[i], h.Hash):
			problems[i] = "the event is not the one that was " + did
		}
	}
	return problems, nil
}
