package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// longList is how long a worklist may take: some look at everybody.
const longList = 20 * time.Second

// worklist is one list in SQL: from what, and what order, name and reason are.
// $1 is the day, $2 the last day that is soon, $3 since when is long. What is
// here is in registry.List.Items in words.
type worklist struct{ from, key, name, why string }

const (
	alive  = " p.profile <> 'closed'"
	works  = " EXISTS (SELECT FROM positions w WHERE w.uid = p.uid AND (w.first_day IS NULL OR w.first_day <= $1::date) AND (w.last_day IS NULL OR w.last_day >= $1::date))"
	ofCard = "cards c JOIN people p ON p.uid = c.uid WHERE c.registered AND "
)

var worklists = map[registry.List]worklist{
	registry.Expiring: {ofCard + "c.state = 'active' AND c.ends_on BETWEEN $1::date AND $2::date AND" + alive,
		dayText("c.ends_on"), "c.serial", dayText("c.ends_on") + " || ' ' || c.serial"},
	registry.Locked:    {ofCard + "c.state = 'blocked' AND" + alive, "''", "c.serial", "c.serial"},
	registry.Unreached: {"people p WHERE p.email = '' AND p.mobile = '' AND" + alive, "''", "''", "''"},
	registry.Dormant: {"people p LEFT JOIN last_sign_ins l ON l.uid = p.uid WHERE (l.at IS NULL OR l.at <= $3) AND" + alive + " AND" + works,
		"''", "''", "coalesce(to_char(l.at AT TIME ZONE 'Europe/London', 'YYYY-MM-DD'), '')"},
	registry.Unproven: {"people p WHERE p.profile = 'unverified' AND" + works, "''", "''", "''"},
	registry.Leavers: {"people p JOIN (SELECT uid, max(last_day) AS last_day FROM positions WHERE last_day IS NOT NULL GROUP BY uid) AS s ON s.uid = p.uid" +
		" WHERE" + alive + " AND NOT EXISTS (SELECT FROM positions w WHERE w.uid = p.uid AND (w.last_day IS NULL OR w.last_day >= $1::date))",
		"''", "''", dayText("s.last_day")},
	registry.RuleStops: {"cards c JOIN people p ON p.uid = c.uid JOIN (SELECT series, min(blocked_from) AS stops FROM card_series" +
		" WHERE blocked_from IS NOT NULL GROUP BY series) AS r ON r.series = c.series WHERE c.registered AND c.state = 'active' AND r.stops <= $1::date AND" + alive,
		dayText("r.stops"), "c.serial", dayText("r.stops") + " || ' ' || c.serial || ' ' || c.series"},
	registry.Temporary: {"positions s JOIN people p ON p.uid = s.uid WHERE s.reason <> '' AND (s.last_day IS NULL OR s.last_day >= $1::date) AND" + alive,
		dash("s.last_day"), "s.id", dash("s.last_day") + " || ' ' || s.id || ' ' || s.reason"},
	registry.Robots: {"people p WHERE p.robot_owner <> ''", dash("p.robot_until"), "''", dash("p.robot_until") + " || ' ' || p.robot_owner"},
	registry.Suspension: {"people p JOIN (SELECT uid, serial AS name, 'card:' || serial AS called FROM cards WHERE registered AND state = 'suspended'" +
		" UNION ALL SELECT uid, id, kind || ':' || id FROM authenticators WHERE state = 'suspended') AS h ON h.uid = p.uid WHERE true",
		"''", "h.name", "h.called"},
}

// dash is a date as text, and - where it is open.
func dash(column string) string { return "coalesce(to_char(" + column + ", 'YYYY-MM-DD'), '-')" }

// Worklist implements registry.Finder.
func (s *Store) Worklist(ctx context.Context, l registry.List, q registry.Query, now time.Time) ([]registry.Found, string, error) {
	list, ok := worklists[l]
	if !ok {
		return nil, "", idp.ErrNotFound
	}
	ctx, cancel := context.WithTimeout(ctx, longList)
	defer cancel()
	if l == registry.Dormant {
		if err := s.GatherSignIns(ctx); err != nil {
			return nil, "", err
		}
	}
	below, err := s.belowOrAll(ctx, q.At)
	if err != nil {
		return nil, "", err
	}
	a := &asking{}
	today := a.arg(string(idp.DateOf(now)))
	a.arg(string(idp.DateOf(now.AddDate(0, 0, registry.Soon))))
	a.arg(now.AddDate(0, 0, -registry.Long))
	// Every argument has a type, whether this list asks for it or not.
	from := list.from + " AND ($2::date, $3::timestamptz) IS NOT NULL"
	if below != nil {
		from += a.worksAt(below)
	}
	collated := func(expression string) string { return "((" + expression + ")::text COLLATE \"C\")" }
	after, goesOn := q.Place()
	keys := []string{collated(list.key), "p.uid", collated(list.name)}
	rows, err := a.query(ctx, s, a.page(foundColumns(today)+", "+list.why, from, keys, after, goesOn, q.Size()+1))
	if err != nil {
		return nil, "", behind(fmt.Errorf("worklist %s: %w", l, err))
	}
	all, err := pgx.CollectRows(rows, readFound)
	if err != nil {
		return nil, "", behind(fmt.Errorf("worklist %s: %w", l, err))
	}
	people, cursor := page(all, q.Size())
	return people, cursor, nil
}

// late is how long an event may take to arrive in the journal.
const late = 2 * time.Minute

// GatherSignIns notes when people last signed in, and with what, from what the
// journal has got since the last time. It is called now and then, so that it
// never has much to do and no sign-in anything. On a schema that has no place
// for them yet it does what it can.
func (s *Store) GatherSignIns(ctx context.Context) error {
	now := s.now()
	err := s.gather(ctx, now, `, used AS (
			INSERT INTO last_uses AS l (uid, authenticator, at) SELECT uid, authenticator, at FROM seen
			WHERE uid IS NOT NULL AND authenticator IS NOT NULL ORDER BY uid, authenticator
			ON CONFLICT (uid, authenticator) DO UPDATE SET at = greatest(l.at, excluded.at)
		)`)
	if noTable(err) {
		err = s.gather(ctx, now, "")
	}
	if noTable(err) {
		return nil
	}
	return outage(err)
}

// gather gathers sign-ins, and writes down more of them.
func (s *Store) gather(ctx context.Context, now time.Time, more string) error {
	_, err := s.pool.Exec(ctx, `WITH since AS (
			SELECT coalesce((SELECT at FROM last_sign_ins_until), $1) AS at
		), seen AS (
			SELECT substring(event FROM '"subject":"([0-9]{12})"') AS uid,
				CASE WHEN event NOT LIKE '%"flag":"`+idp.NotShown+`"%' THEN substring(event FROM '"authenticator":"(card:[0-9A-F]{2,40})"') END AS authenticator, max(at) AS at
			FROM audit_events WHERE at >= (SELECT at FROM since) AND event LIKE '%"kind":"signed_in",%' GROUP BY 1, 2
		), kept AS (
			INSERT INTO last_sign_ins AS l (uid, at) SELECT uid, max(at) FROM seen WHERE uid IS NOT NULL GROUP BY uid ORDER BY uid
			ON CONFLICT (uid) DO UPDATE SET at = greatest(l.at, excluded.at)
		)`+more+`
		INSERT INTO last_sign_ins_until AS u (at) VALUES ($2) ON CONFLICT (one) DO UPDATE SET at = greatest(u.at, excluded.at)`,
		now.AddDate(0, 0, -registry.Long), now.Add(-late))
	return err
}

var _ registry.Uses = (*Store)(nil)

// LastUses implements registry.Uses. What people hold beside cards says so
// itself; of cards it is gathered.
func (s *Store) LastUses(ctx context.Context, uid string) (map[string]time.Time, error) {
	if !idp.IsUID(uid) {
		return nil, nil //nolint:nilnil // nobody has used anything
	}
	ctx, cancel := within(ctx)
	defer cancel()
	rows, err := s.pool.Query(ctx, "SELECT authenticator, at FROM last_uses WHERE uid = $1", uid)
	if err != nil {
		return nil, outage(fmt.Errorf("last uses of %s: %w", uid, err))
	}
	uses := map[string]time.Time{}
	var (
		called string
		at     time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&called, &at}, func() error {
		uses[called] = at.UTC()
		return nil
	})
	if noTable(err) {
		return uses, nil // the schema is that of the release before
	}
	if err != nil {
		return nil, outage(fmt.Errorf("last uses of %s: %w", uid, err))
	}
	return uses, nil
}
