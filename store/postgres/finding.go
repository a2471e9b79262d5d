package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

var _ registry.Finder = (*Store)(nil)

// The names by which people are found, as the indexes of the schema have them.
const (
	familySQL  = `(lower(p.family) COLLATE "C")`
	givenSQL   = `(lower(p.given) COLLATE "C")`
	displaySQL = `(lower(p.display) COLLATE "C")`
)

// asking is a statement with its arguments as it grows.
type asking struct{ args []any }

func (a *asking) arg(v any) string {
	a.args = append(a.args, v)
	return fmt.Sprintf("$%d", len(a.args))
}

// query asks. It is planned for what is asked for each time: a plan for any name
// is the wrong one for a name that many have.
func (a *asking) query(ctx context.Context, s *Store, sql string) (pgx.Rows, error) {
	return s.pool.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, a.args...)...)
}

// crew are who work at some organisations: their uids if they are few, and
// otherwise nobody.
type crew struct {
	codes []string // nil is everywhere
	uids  []string
	few   bool
}

// mostFew is how many work where few do. Of more, a page is soon full.
const mostFew = 5000

// crewAt finds who works at organisations. Where few do it would be asked of
// everybody with a common name whether they are one of them, and of most in vain.
func (s *Store) crewAt(ctx context.Context, codes []string) (crew, error) {
	c := crew{codes: codes}
	if codes == nil {
		return c, nil
	}
	rows, err := s.pool.Query(ctx, `SELECT uid FROM positions WHERE organisation = ANY ($1) LIMIT $2`, codes, mostFew+1)
	if err != nil {
		return c, behind(fmt.Errorf("people at organisations: %w", err))
	}
	if c.uids, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		return c, behind(fmt.Errorf("people at organisations: %w", err))
	}
	if c.few = len(c.uids) <= mostFew; !c.few {
		c.uids = nil
	}
	return c, nil
}

// isOf says that p is one of a crew.
func (a *asking) isOf(c crew) string {
	switch {
	case c.codes == nil:
		return ""
	case c.few:
		return " AND p.uid = ANY (" + a.arg(c.uids) + ")"
	}
	return a.worksAt(c.codes)
}

// worksAt says that p has a position at one of codes. It is asked of one person
// after the other, and of no more than fill the page.
func (a *asking) worksAt(codes []string) string {
	return " AND (SELECT true FROM positions b WHERE b.uid = p.uid AND b.organisation = ANY (" + a.arg(codes) + ") LIMIT 1)"
}

// begins says that column begins with text, as a range that an index has.
func (a *asking) begins(column, text string) string {
	return "(" + column + " >= " + a.arg(text) + " AND " + column + " < " + a.arg(text+"\U0010FFFF") + ")"
}

// foundColumns are what is told of a person p who was found. The argument is
// the day.
func foundColumns(day string) string {
	return `p.uid, p.title, p.given, p.family, p.display, p.email, p.profile,
	(SELECT array_agg(DISTINCT s.organisation) FROM positions s WHERE s.uid = p.uid
		AND (s.first_day IS NULL OR s.first_day <= ` + day + `::date) AND (s.last_day IS NULL OR s.last_day >= ` + day + `::date))`
}

// hit is a person who was found, and where.
type hit struct {
	registry.Found
	at registry.Place
}

// readFound reads foundColumns, why and as many keys as there are.
func readFound(row pgx.CollectableRow) (hit, error) {
	var (
		f hit
		n directory.Name
	)
	into := []any{&f.UID, &n.Title, &n.Given, &n.Family, &n.Display, &f.Email, &f.Profile, &f.At, &f.Why}
	for i := range len(row.FieldDescriptions()) - len(into) {
		into = append(into, &f.at.Keys[i])
	}
	err := row.Scan(into...)
	f.Display = directory.Person{Name: n}.IDP(nil).Name.Display
	return f, err
}

// FindPeople implements registry.Finder. One rank is asked for after the other:
// most often the first that finds anybody fills the page.
func (s *Store) FindPeople(ctx context.Context, q registry.Query) ([]registry.Found, string, error) {
	ctx, cancel := context.WithTimeout(ctx, slowness)
	defer cancel()
	search := q.Search()
	if len(search.Words) == 0 {
		return nil, "", nil
	}
	below, err := s.belowOrAll(ctx, q.At)
	if err != nil {
		return nil, "", err
	}
	of, err := s.crewAt(ctx, below)
	if err != nil {
		return nil, "", err
	}
	after, goesOn := q.Place()
	var all []hit
	for _, rank := range registry.Ranks() {
		if len(all) > q.Size() || goesOn && rank < after.Rank {
			continue
		}
		a := &asking{}
		sql := a.findingRank(search, rank, of, after, goesOn && rank == after.Rank, q.Size()+1-len(all), idp.DateOf(s.now()))
		if sql == "" {
			continue
		}
		rows, err := a.query(ctx, s, sql)
		if err != nil {
			return nil, "", behind(fmt.Errorf("find people: %w", err))
		}
		more, err := pgx.CollectRows(rows, readFound)
		if err != nil {
			return nil, "", behind(fmt.Errorf("find people: %w", err))
		}
		for _, f := range more {
			f.at.Rank = rank
			all = append(all, f)
		}
	}
	people, cursor := page(all, q.Size())
	return people, cursor, nil
}

// FindUIDs implements registry.Finder.
func (s *Store) FindUIDs(ctx context.Context, uids []string, at string, most int) ([]registry.Found, error) {
	ctx, cancel := context.WithTimeout(ctx, slowness)
	defer cancel()
	below, err := s.belowOrAll(ctx, at)
	if err != nil {
		return nil, err
	}
	a := &asking{}
	today := a.arg(string(idp.DateOf(s.now())))
	sql := "SELECT " + foundColumns(today+"::text") + ", '' FROM people p WHERE p.uid = ANY (" + a.arg(uids) + ") AND p.profile <> 'closed'"
	if below != nil {
		sql += a.worksAt(below)
	}
	rows, err := s.pool.Query(ctx, sql+" ORDER BY p.uid LIMIT "+a.arg(most), a.args...)
	if err != nil {
		return nil, behind(fmt.Errorf("find people by uid: %w", err))
	}
	hits, err := pgx.CollectRows(rows, readFound)
	if err != nil {
		return nil, behind(fmt.Errorf("find people by uid: %w", err))
	}
	people, _ := page(hits, most)
	return people, nil
}

// page returns the first so many, and where more begins.
func page(all []hit, size int) ([]registry.Found, string) {
	cursor := ""
	if len(all) > size {
		all = all[:size]
		cursor = all[size-1].at.Cursor()
	}
	people := make([]registry.Found, 0, len(all))
	for _, f := range all {
		people = append(people, f.Found)
	}
	return people, cursor
}

// findingRank returns the statement that finds who is of a rank; "" if nobody
// can be.
func (a *asking) findingRank(search registry.Search, rank int, of crew, after registry.Place, goesOn bool, most int, today idp.Date) string {
	where := a.rank(search, rank)
	if where == "" {
		return ""
	}
	for better := range rank { // ranks are numbers from 0
		if is := a.rank(search, better); is != "" {
			where += " AND NOT " + is
		}
	}
	where += a.isOf(of)
	from, keys := "people p", []string{familySQL, givenSQL, "p.uid"}
	switch rank {
	case registry.ByGiven:
		keys = []string{givenSQL, familySQL, "p.uid"}
	case registry.ByDisplay:
		keys = []string{displaySQL, "p.uid"}
	case registry.ByAddress:
		from, keys = "emails e JOIN people p ON p.uid = e.uid", []string{"e.key", "p.uid"}
	}
	return a.page(foundColumns(a.arg(string(today)))+", ''", from+" WHERE "+where, keys, after, goesOn, most)
}

// page is the statement for one page in the order of keys.
func (a *asking) page(columns, from string, keys []string, after registry.Place, goesOn bool, most int) string {
	if goesOn {
		var last []string
		for i := range keys {
			last = append(last, a.arg(after.Keys[i])+"::text")
		}
		from += " AND (" + strings.Join(keys, ", ") + ") > (" + strings.Join(last, ", ") + ")"
	}
	return "SELECT " + columns + ", " + strings.Join(keys, ", ") + " FROM " + from +
		" ORDER BY " + strings.Join(keys, ", ") + " LIMIT " + a.arg(most)
}

// rank says in SQL who is of that rank or better: registry.Search.Find has the
// same in words.
func (a *asking) rank(s registry.Search, rank int) string {
	first, last := s.Words[0], s.Words[len(s.Words)-1]
	several := len(s.Words) > 1
	switch rank {
	case registry.Exactly:
		return a.exactly(s)
	case registry.ByWhole:
		if !several {
			return "(" + familySQL + " = " + a.arg(first) + ")"
		}
	case registry.ByFamily:
		if !several {
			return a.begins(familySQL, first)
		}
		return "(" + a.begins(givenSQL, first) + " AND " + a.begins(familySQL, last) + a.between(s.Between(1)) + ")"
	case registry.ByGiven:
		if !several {
			return a.begins(givenSQL, first)
		}
		return "(" + a.begins(familySQL, first) + " AND " + a.begins(givenSQL, last) + a.between(s.Between(1)) + ")"
	case registry.ByTitle:
		switch {
		case len(s.Words) == 2:
			return "(lower(p.title) = " + a.arg(strings.TrimSuffix(first, ".")) + " AND " + a.begins(familySQL, last) + ")"
		case several:
			return "(" + a.begins(`(lower(p.title) COLLATE "C")`, first) + " AND " + a.begins(givenSQL, s.Words[1]) + " AND " +
				a.begins(familySQL, last) + a.between(s.Between(2)) + ")"
		}
	case registry.ByDisplay:
		return a.begins(displaySQL, s.Whole)
	case registry.ByAddress:
		if len(s.Whole) >= 3 {
			return a.begins("e.key", s.Whole)
		}
	}
	return ""
}

func (a *asking) exactly(s registry.Search) string {
	var any []string
	if s.UID != "" {
		any = append(any, "SELECT "+a.arg(s.UID)+"::text")
	}
	if s.Email != "" {
		any = append(any, "SELECT uid FROM emails WHERE key = "+a.arg(s.Email))
	}
	if s.Serial != "" {
		any = append(any, "SELECT uid FROM cards WHERE serial = "+a.arg(s.Serial))
	}
	if len(any) == 0 {
		return ""
	}
	return "(p.uid IN (" + strings.Join(any, " UNION ALL ") + "))"
}

// between says that each of words begins one of p's names.
func (a *asking) between(words []string) string {
	var and strings.Builder
	for _, w := range words {
		and.WriteString(` AND strpos(' ' || lower(p.given || ' ' || p.middle || ' ' || p.family || ' ' || p.display), ' ' || ` + a.arg(w) + `) > 0`)
	}
	return and.String()
}

// FindOrganisations implements registry.Finder.
func (s *Store) FindOrganisations(ctx context.Context, q registry.Query) ([]directory.Organisation, string, error) {
	ctx, cancel := within(ctx)
	defer cancel()
	text := strings.ToLower(strings.TrimSpace(q.Text))
	if !isText(text) && text != "" {
		return nil, "", nil
	}
	after, goesOn := q.Place()
	a := &asking{}
	name, code := `(lower(name) COLLATE "C")`, `(code COLLATE "C")`
	where := "(" + a.begins(name, text) + " OR lower(code) = " + a.arg(text) + ")"
	if goesOn {
		where += " AND (" + name + ", " + code + ") > (" + a.arg(after.Keys[0]) + "::text, " + a.arg(after.Keys[1]) + "::text)"
	}
	rows, err := s.pool.Query(ctx, organisationSQL+" WHERE "+where+" ORDER BY "+name+", "+code+" LIMIT "+a.arg(q.Size()+1), a.args...)
	if err != nil {
		return nil, "", outage(fmt.Errorf("find organisations: %w", err))
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (directory.Organisation, error) { return readOrganisation(row) })
	if err != nil {
		return nil, "", outage(fmt.Errorf("find organisations: %w", err))
	}
	cursor := ""
	if len(all) > q.Size() {
		all = all[:q.Size()]
		end := all[len(all)-1]
		cursor = registry.Place{Keys: [3]string{strings.ToLower(end.Name), end.Code}}.Cursor()
	}
	return all, cursor, nil
}

// Below implements registry.Finder.
func (s *Store) Below(ctx context.Context, code string) ([]string, error) {
	if !isText(code) {
		return nil, nil
	}
	ctx, cancel := within(ctx)
	defer cancel()
	rows, err := s.pool.Query(ctx, `WITH RECURSIVE below AS (
			SELECT code FROM organisations WHERE code = $1
			UNION
			SELECT o.code FROM organisations o JOIN below b ON o.parent = b.code
		) SELECT code FROM below ORDER BY code COLLATE "C"`, code)
	if err != nil {
		return nil, outage(fmt.Errorf("organisations below %s: %w", code, err))
	}
	codes, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, outage(fmt.Errorf("organisations below %s: %w", code, err))
	}
	return codes, nil
}

// belowOrAll returns the codes of an organisation and those below it, and nil
// for everywhere. An organisation that there is not has nobody.
func (s *Store) belowOrAll(ctx context.Context, code string) ([]string, error) {
	if code == "" {
		return nil, nil
	}
	codes, err := s.Below(ctx, code)
	if codes == nil {
		codes = []string{}
	}
	return codes, err
}

// Waiting implements registry.Finder.
func (s *Store) Waiting(ctx context.Context, q registry.Query, now time.Time) ([]registry.Request, string, error) {
	ctx, cancel := context.WithTimeout(ctx, slowness)
	defer cancel()
	below, err := s.belowOrAll(ctx, q.At)
	if err != nil {
		return nil, "", err
	}
	a := &asking{}
	from := "SELECT " + requestColumns + " FROM requests WHERE state = 'waiting' AND until > " + a.arg(now)
	if below != nil {
		from += " AND organisation = ANY (" + a.arg(below) + ")"
	}
	if after, goesOn := q.Place(); goesOn {
		at, err := time.Parse(time.RFC3339Nano, after.Keys[0])
		if err != nil {
			return nil, "", idp.ErrRequest
		}
		from += " AND (asked_at, id) > (" + a.arg(at) + ", " + a.arg(after.Keys[1]) + ")"
	}
	rows, err := s.pool.Query(ctx, from+" ORDER BY asked_at, id LIMIT "+a.arg(q.Size()+1), a.args...)
	if err != nil {
		return nil, "", behind(fmt.Errorf("requests that wait: %w", err))
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (registry.Request, error) { return s.readRequest(row) })
	if err != nil {
		return nil, "", behind(fmt.Errorf("requests that wait: %w", err))
	}
	cursor := ""
	if len(all) > q.Size() {
		all = all[:q.Size()]
		end := all[len(all)-1]
		cursor = registry.Place{Keys: [3]string{end.AskedAt.Format(time.RFC3339Nano), end.ID}}.Cursor()
	}
	return all, cursor, nil
}
