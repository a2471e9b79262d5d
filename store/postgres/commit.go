package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lanyard-id/lanyard/idp"
)

// stood is the SQLSTATE of fence_stood, which is in the schema.
const stood = "LY001"

// more is what a batch needs beside fences and events.
type more struct{ uses, watches, finds bool }

// commit records entries, of which no two want the same fence or use the same
// authenticator; one that changes something comes alone. It is ErrUsed if a
// fence stands or a use does not count, and undone if a change was refused, and
// then nothing is recorded. After any other error nobody knows, and the end of
// the chain is asked for before the next.
func (j *journal) commit(ctx context.Context, entries []*entry) error {
	if err := j.find(ctx); err != nil {
		return err
	}
	with := entries[0].change
	entries, err := j.confess(entries)
	if err != nil {
		return err
	}
	var end link
	if with == nil {
		end, err = j.append(ctx, j.pool, entries)
	} else {
		end, err = j.changing(ctx, with, entries)
	}
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && refusal.Code == stood {
		return idp.ErrUsed
	}
	if errors.As(err, new(undone)) {
		return err
	}
	if err != nil {
		j.lost = true
		return fmt.Errorf("record %d events: %w", len(entries), err)
	}
	j.end = end
	for _, n := range entries {
		for _, f := range n.fences {
			if f.Ends() {
				j.ended.add(f)
			}
		}
	}
	return nil
}

// undone is a change that was refused, and why. Nothing of it was written.
type undone struct{ reason error }

// Error returns the reason.
func (u undone) Error() string { return u.reason.Error() }

// changing makes a change and appends entries in one transaction.
func (j *journal) changing(ctx context.Context, with change, entries []*entry) (end link, err error) {
	err = pgx.BeginFunc(ctx, j.pool, func(tx pgx.Tx) error {
		if err := with(ctx, tx); err != nil {
			return undone{err}
		}
		if beside := entries[len(entries)-1].beside; len(beside) > 0 {
			entries = append(slices.Clone(entries), beside...)
		}
		end, err = j.append(ctx, tx, entries)
		return err
	})
	return end, err
}

// append writes entries behind the end of the chain, and returns where it ends
// then.
func (j *journal) append(ctx context.Context, db execer, entries []*entry) (link, error) {
	var (
		end          = j.end
		kinds, names []string
		untils       []time.Time
		once         int
		told         = []string{}
		uses         uses
		watches      watches
		finds        finds

		seqs   = make([]int64, 0, len(entries))
		ats    = make([]time.Time, 0, len(entries))
		events = make([]string, 0, len(entries))
		hashes = make([][]byte, 0, len(entries))
	)
	for _, n := range entries {
		for _, f := range n.fences {
			kinds, names, untils = append(kinds, f.Kind), append(names, f.Hash), append(untils, n.at.Add(idp.FenceLife))
			if f.Ends() {
				told = append(told, f.Kind+" "+f.Hash)
			}
		}
		if n.use != nil {
			uses.add(n)
		}
		if n.tell != nil {
			watches.add(n)
		}
		if n.find != nil {
			finds.add(n, end.seq+1)
		}
		once += len(n.once)
		event := place(j.server, end.seq+1, n.event)
		end = end.next(event)
		seqs, ats, events, hashes = append(seqs, end.seq), append(ats, n.at), append(events, event), append(hashes, bytes.Clone(end.hash[:]))
	}
	if len(watches.sids) > 0 {
		if there, err := j.tellable.ask(ctx, db); err != nil || !there {
			watches.sids = nil
			if err != nil {
				return end, err
			}
		}
	}
	if len(finds.seqs) > 0 {
		if there, err := j.findable.ask(ctx, db); err != nil || !there {
			finds.seqs = nil
			if err != nil {
				return end, err
			}
		}
	}
	args := []any{kinds, names, untils, j.server, seqs, ats, events, hashes, ending, once, told}
	if len(uses.ids) > 0 {
		args = append(args, uses.ids, uses.ats, uses.marks, uses.were)
	}
	if len(watches.sids) > 0 {
		args = append(args, watches.sids, watches.clients, watches.uids, watches.dues)
	}
	if len(finds.seqs) > 0 {
		args = append(args, finds.seqs, finds.ats, finds.references, finds.subjects, finds.actors)
	}
	_, err := db.Exec(ctx, record[more{len(uses.ids) > 0, len(watches.sids) > 0, len(finds.seqs) > 0}], args...)
	return end, err
}

// watches are who is told of sessions' ends, column by column.
type watches struct {
	sids, clients, uids []string
	dues                []time.Time
}

func (w *watches) add(n *entry) {
	w.sids, w.clients, w.uids = append(w.sids, n.tell.SID), append(w.clients, n.tell.Client), append(w.uids, n.tell.Subject)
	w.dues = append(w.dues, n.at.Add(idp.FirstLook))
}

// uses are what sign-ins leave at authenticators, column by column.
type uses struct {
	ids         []string
	ats         []time.Time
	marks, were []*string // JSON
}

func (u *uses) add(n *entry) {
	u.ids, u.ats = append(u.ids, n.use.ID), append(u.ats, n.at)
	u.marks, u.were = append(u.marks, jsonText(n.use.Mark)), append(u.were, jsonText(n.use.Was))
}

// isJSON says whether v is nothing, or JSON: one that is not would keep what
// others record with it from being recorded.
func isJSON(v json.RawMessage) bool { return len(v) == 0 || json.Valid(v) }

// jsonText returns what a room keeps as JSON, and nil for nothing.
func jsonText(v json.RawMessage) *string {
	if len(v) == 0 || string(v) == "null" {
		return nil
	}
	text := string(v)
	return &text
}

// confess puts before entries the event that begins a chain if the one before
// it was cut off. Without that event nothing in the database would tell: a chain
// that is too short looks whole.
func (j *journal) confess(entries []*entry) ([]*entry, error) {
	if j.cut == nil || j.end.seq > 0 {
		return entries, nil
	}
	at := entries[0].at // the journal has no clock
	event, err := json.Marshal(loss{Event: idp.Event{At: at, Kind: idp.JournalLost}, Lost: *j.cut})
	if err != nil {
		return nil, fmt.Errorf("write an event of kind %s: %w", idp.JournalLost, err)
	}
	return append([]*entry{{at: at, event: event}}, entries...), nil
}

// find asks where the chain ends, if nobody knows. Should a commit that was lost from sight
// arrive after that, either it or what is written next finds its place taken:
// both cannot stand.
//
// A chain that ends before what was acknowledged was cut off: PostgreSQL lost
// it, or was restored from an old copy. To go on there would hide that, so a
// new chain begins, with an event that names where the old one ended.
func (j *journal) find(ctx context.Context) error {
	if !j.lost {
		return nil
	}
	rows, err := j.pool.Query(ctx, `SELECT seq, hash FROM audit_events
		WHERE server = $1 AND seq >= $2 ORDER BY seq`, j.server, j.end.seq)
	if err != nil {
		return fmt.Errorf("find the end of the chain: %w", err)
	}
	links, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (link, error) {
		var e row
		err := r.Scan(&e.seq, &e.hash)
		return e.link(), err
	})
	if err != nil {
		return fmt.Errorf("find the end of the chain: %w", err)
	}
	if j.end.seq > 0 && (len(links) == 0 || links[0] != j.end) {
		j.log.ErrorContext(ctx, "PostgreSQL has lost events of the journal that it had acknowledged: a new chain begins",
			"chain", j.server, "acknowledged", j.end.seq)
		j.cut = &head{Server: j.server, Seq: j.end.seq, Hash: bytes.Clone(j.end.hash[:])}
		j.begin()
		return nil
	}
	if len(links) > 0 {
		j.end = links[len(links)-1]
	}
	j.lost = false
	return nil
}

// standing returns why each of entries cannot be recorded, as far as that is so:
// a fence that it wants stands already, or its use does not count.
func (j *journal) standing(ctx context.Context, entries []*entry) (func(*entry) error, error) {
	var kinds, hashes []string
	for _, n := range entries {
		for _, f := range n.once {
			kinds, hashes = append(kinds, f.Kind), append(hashes, f.Hash)
		}
	}
	rows, err := j.pool.Query(ctx, `SELECT kind, hash FROM fences
		WHERE (kind, hash) IN (SELECT * FROM unnest($1::text[], $2::text[]))`, kinds, hashes)
	if err != nil {
		return nil, fmt.Errorf("ask which fences stand: %w", err)
	}
	var (
		stand = map[idp.Fence]struct{}{}
		f     idp.Fence
	)
	_, err = pgx.ForEachRow(rows, []any{&f.Kind, &f.Hash}, func() error {
		stand[f] = struct{}{}
		return nil
	})
	if err != nil {
		return nil, err
	}
	counts, err := j.counting(ctx, entries)
	return func(n *entry) error {
		for _, f := range n.once {
			if _, ok := stand[f]; ok {
				return idp.Used{Fence: f}
			}
		}
		if n.use != nil && !counts[n] {
			return fmt.Errorf("authenticator %s: %w", n.use.ID, idp.ErrUsed)
		}
		return nil
	}, err
}

// counting returns the entries whose use would count now.
func (j *journal) counting(ctx context.Context, entries []*entry) (map[*entry]bool, error) {
	var (
		using []*entry
		u     uses
		leave []bool // a mark
	)
	for _, n := range entries {
		if n.use != nil {
			using = append(using, n)
			u.add(n)
			leave = append(leave, u.marks[len(u.marks)-1] != nil)
		}
	}
	if len(using) == 0 {
		return nil, nil //nolint:nilnil // none use anything
	}
	rows, err := j.pool.Query(ctx, `SELECT u.n FROM unnest($1::text[], $2::boolean[], $3::text[]::jsonb[]) WITH ORDINALITY AS u (id, leaves, was, n)
		JOIN authenticators a ON a.id = u.id LEFT JOIN authenticator_uses t ON t.id = u.id
		WHERE a.state = 'active' AND (NOT u.leaves OR t.mark IS NOT DISTINCT FROM u.was)`, u.ids, leave, u.were)
	if err != nil {
		return nil, fmt.Errorf("ask which uses count: %w", err)
	}
	counts, place := map[*entry]bool{}, 0
	_, err = pgx.ForEachRow(rows, []any{&place}, func() error {
		counts[using[place-1]] = true
		return nil
	})
	return counts, err
}
