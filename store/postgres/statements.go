package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lanyard-id/lanyard/idp"
)

// recordAll raises fences and appends events, in one statement, which is a
// transaction: all of it or nothing. Should one of the fences that may be
// raised once stand, it raises an error.
//
// Fences are raised in their order, so that of two servers that raise the same
// ones neither waits for the other in a circle.
const recordAll = `
WITH` + raising + raised + `
	WHERE CASE WHEN (SELECT count(*) FROM raised WHERE kind <> ALL ($9::text[])) = $10 THEN true ELSE fence_stood() END
)`

// recordUses is recordAll with what sign-ins leave at authenticators. Should
// one of these not count any more, it raises the same error. What it writes
// down is of authenticators that nobody changes or removes meanwhile; who
// changes one has to wait for it, or it finds what they changed. The fences come
// after the authenticators, as they do where one is changed: otherwise two
// servers could wait for each other.
const recordUses = `
WITH use AS (
	SELECT * FROM unnest($12::text[], $13::timestamptz[], $14::text[]::jsonb[], $15::text[]::jsonb[]) AS u (id, used_at, mark, was)
), held AS (
	SELECT a.id FROM authenticators a WHERE a.id = ANY ($12::text[]) AND a.state = 'active' ORDER BY a.id FOR SHARE
), used AS (
	INSERT INTO authenticator_uses AS t (id, used_at, mark)
	SELECT id, use.used_at, use.mark FROM use JOIN held USING (id)
	WHERE use.mark IS NULL OR use.was IS NULL OR EXISTS (SELECT FROM authenticator_uses o WHERE o.id = use.id)
	ORDER BY id
	ON CONFLICT (id) DO UPDATE SET used_at = greatest(t.used_at, excluded.used_at), mark = coalesce(excluded.mark, t.mark)
	WHERE excluded.mark IS NULL OR t.mark IS NOT DISTINCT FROM (SELECT was FROM use WHERE use.id = t.id)
	RETURNING 1
),` + raising + `
	WHERE (SELECT count(*) FROM used) >= 0` + raised + `
	WHERE CASE WHEN (SELECT count(*) FROM raised WHERE kind <> ALL ($9::text[])) = $10
		AND (SELECT count(*) FROM used) = cardinality($12::text[]) THEN true ELSE fence_stood() END
)`

// What both have.
const (
	raising = ` raised AS (
	INSERT INTO fences (kind, hash, until)
	SELECT kind, hash, until FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS f (kind, hash, until)`
	raised = `
	ORDER BY kind, hash
	ON CONFLICT DO NOTHING
	RETURNING kind
), kept AS (
	INSERT INTO audit_events (server, seq, at, event, hash)
	SELECT $4, seq, at, event, hash FROM unnest($5::bigint[], $6::timestamptz[], $7::text[], $8::bytea[]) AS e (seq, at, event, hash)`
	tellFences = `
SELECT pg_notify('lanyard', 'fence ' || told) FROM unnest($11::text[]) AS t (told)`
)

// More that a statement may write down, each with the arguments that come after
// number others.
const (
	// watching is the clients that are told of a session's end.
	watching = `, watched AS (
	INSERT INTO session_clients (sid, client, uid, due)
	SELECT sid, client, uid, due FROM unnest($%d::text[], $%d::text[], $%d::text[], $%d::timestamptz[]) AS w (sid, client, uid, due)
	ORDER BY sid, client
	ON CONFLICT DO NOTHING
)`
	// finding is where people's questions find an event.
	findings = `, found AS (
	INSERT INTO audit_index (server, seq, at, reference, subject, actor)
	SELECT $4, seq, at, reference, subject, actor
	FROM unnest($%d::bigint[], $%d::timestamptz[], $%d::text[], $%d::text[], $%d::text[]) AS f (seq, at, reference, subject, actor)
)`
)

// record is the statement for each: what a batch does not need costs nothing.
var record = func() map[more]string {
	all, yesNo := map[more]string{}, []bool{false, true}
	for _, uses := range yesNo {
		for _, watches := range yesNo {
			for _, finds := range yesNo {
				sql, n := recordAll, 11
				if uses {
					sql, n = recordUses, 15
				}
				if watches {
					sql, n = sql+fmt.Sprintf(watching, n+1, n+2, n+3, n+4), n+4
				}
				if finds {
					sql += fmt.Sprintf(findings, n+1, n+2, n+3, n+4, n+5)
				}
				all[more{uses, watches, finds}] = sql + tellFences
			}
		}
	}
	return all
}()

// ending are the kinds of fences that tell of an end.
var ending = []string{idp.SessionFence, idp.FamilyFence, idp.SIDFence}

// execer is a pool or a transaction.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}
