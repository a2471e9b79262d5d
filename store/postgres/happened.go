package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// EventsOf implements registry.Finder.
func (s *Store) EventsOf(ctx context.Context, uid string, q registry.Query) ([]idp.Event, string, error) {
	if !idp.IsUID(uid) {
		return nil, "", nil
	}
	a := &asking{}
	person, before := a.arg(uid), ""
	if after, goesOn := q.Place(); goesOn {
		at, err := time.Parse(time.RFC3339Nano, after.Keys[0])
		if err != nil {
			return nil, "", idp.ErrRequest
		}
		seq, err := strconv.ParseInt(after.Keys[2], 10, 64)
		if err != nil {
			return nil, "", idp.ErrRequest
		}
		before = " AND (at, server, seq) < (" + a.arg(at) + ", " + a.arg(after.Keys[1]) + ", " + a.arg(seq) + ")"
	}
	most := a.arg(q.Size() + 1)
	branch := func(column string) string {
		return "(SELECT server, seq, at FROM audit_index WHERE " + column + " = " + person + " AND " + column + " <> ''" + before +
			" ORDER BY at DESC, server DESC, seq DESC LIMIT " + most + ")"
	}
	events, places, err := s.happened(ctx, "("+branch("subject")+" UNION "+branch("actor")+")", most, a.args)
	cursor := ""
	if len(events) > q.Size() {
		events, cursor = events[:q.Size()], places[q.Size()-1].Cursor()
	}
	return events, cursor, err
}

// ByReference implements registry.Finder.
func (s *Store) ByReference(ctx context.Context, reference string) ([]idp.Event, error) {
	reference = idp.Reference(reference)
	if !isText(reference) {
		return nil, nil
	}
	events, _, err := s.happened(ctx, "(SELECT server, seq, at FROM audit_index WHERE reference = $1 AND reference <> '')", "1000", []any{reference})
	return events, err
}

// happened returns the events at the places that from finds, the newest first.
func (s *Store) happened(ctx context.Context, from, most string, args []any) ([]idp.Event, []registry.Place, error) {
	ctx, cancel := context.WithTimeout(ctx, slowness)
	defer cancel()
	rows, err := s.pool.Query(ctx, "SELECT e.event, f.at, f.server, f.seq::text FROM "+from+` AS f JOIN audit_events e ON e.server = f.server AND e.seq = f.seq
		ORDER BY f.at DESC, f.server DESC, f.seq DESC LIMIT `+most, args...)
	if err != nil {
		return nil, nil, behind(fmt.Errorf("find events: %w", err))
	}
	var (
		events []idp.Event
		places []registry.Place
		text   string
		at     time.Time
		p      registry.Place
	)
	_, err = pgx.ForEachRow(rows, []any{&text, &at, &p.Keys[1], &p.Keys[2]}, func() error {
		var e idp.Event
		if json.Unmarshal([]byte(text), &e) != nil {
			e = idp.Event{At: at.UTC(), Kind: idp.JournalLost, Reason: "the event cannot be read"} // somebody changed it
		}
		p.Keys[0] = at.UTC().Format(time.RFC3339Nano)
		events, places = append(events, e), append(places, p)
		return nil
	})
	if err != nil {
		return nil, nil, behind(fmt.Errorf("find events: %w", err))
	}
	return events, places, nil
}
