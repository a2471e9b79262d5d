package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lanyard-id/lanyard/idp"
)

// stood is the SQLSTATE of fence_stood, which is in the schema.
const stood = "LY001"

// recordAll raises fences and appends events, in one statement, which is a
// transaction: all of it or nothing. Should one of the fences that may be
// raised once stand, it raises an error.
//
// Fences are raised in their order, so that of two servers that raise the same
// ones neither waits for the other in a circle.
const recordAll = `
WITH raised AS (
	INSERT INTO fences (kind, hash, until)
	SELECT kind, hash, until FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS f (kind, hash, until)
	ORDER BY kind, hash
	ON CONFLICT DO NOTHING
	RETURNING kind
), kept AS (
	INSERT INTO audit_events (server, seq, at, event, hash)
	SELECT $4, seq, at, event, hash FROM unnest($5::bigint[], $6::timestamptz[], $7::text[], $8::bytea[]) AS e (seq, at, event, hash)
	WHERE CASE WHEN (SELECT count(*) FROM raised WHERE kind <> ALL ($9::text[])) = $10 THEN true ELSE fence_stood() END
)
SELECT pg_notify('lanyard', 'fence ' || told) FROM unnest($11::text[]) AS t (told)`

// ending are the kinds of fences that tell of an end.
var ending = []string{idp.SessionFence, idp.FamilyFence}

// commit records entries, of which no two want the same fence. It is ErrUsed
// if one of these stands, and then nothing is recorded. After any other error
// nobody knows, and the end of the chain is asked for before the next.
func (j *journal) commit(ctx context.Context, entries []*entry) error {
	if j.lost {
		if err := j.find(ctx); err != nil {
			return err
		}
	}
	entries, err := j.confess(entries)
	if err != nil {
		return err
	}
	var (
		end          = j.end
		kinds, names []string
		untils       []time.Time
		once         int
		told         = []string{}

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
		once += len(n.once)
		event := place(j.server, end.seq+1, n.event)
		end = end.next(event)
		seqs, ats, events, hashes = append(seqs, end.seq), append(ats, n.at), append(events, event), append(hashes, bytes.Clone(end.hash[:]))
	}

	_, err = j.pool.Exec(ctx, recordAll, kinds, names, untils, j.server, seqs, ats, events, hashes, ending, once, told)
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && refusal.Code == stood {
		return idp.ErrUsed
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

// find asks where the chain ends. Should a commit that was lost from sight
// arrive after that, either it or what is written next finds its place taken:
// both cannot stand.
//
// A chain that ends before what was acknowledged was cut off: PostgreSQL lost
// it, or was restored from an old copy. To go on there would hide that, so a
// new chain begins, with an event that names where the old one ended.
func (j *journal) find(ctx context.Context) error {
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

// standing returns which of the fences that entries want stand already.
func (j *journal) standing(ctx context.Context, entries []*entry) (map[idp.Fence]struct{}, error) {
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
	return stand, err
}
