package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
	"github.com/lanyard-id/lanyard/store/conformance/servers"
	"github.com/lanyard-id/lanyard/store/postgres"
)

// How long what a registration authority asks of the registry may take, at the
// worst.
const (
	searchBudget = 500 * time.Millisecond
	personBudget = 300 * time.Millisecond
)

// registryFigures are how long a registry of many people takes to answer.
type registryFigures struct {
	People int              `json:"people"`
	Asked  []registryFigure `json:"asked"`
}

// registryFigure is one question.
type registryFigure struct {
	Question string        `json:"question"`
	Times    int           `json:"times"`
	P50      float64       `json:"p50_ms"`
	P95      float64       `json:"p95_ms"`
	Worst    float64       `json:"worst_ms"`
	Budget   time.Duration `json:"budget,omitempty"` // 0 is none
}

func (f registryFigures) write(out io.Writer) error {
	if f.People == 0 {
		return nil
	}
	_, _ = fmt.Fprintf(out, "\nThe registry, of %d people:\n", f.People)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(t, "question\ttimes\tp50 ms\tp95\tworst\tbudget\t\t")
	for _, q := range f.Asked {
		budget, said := "", ""
		if q.Budget > 0 {
			budget, said = q.Budget.String(), verdict(q.Worst <= ms(q.Budget))
		}
		_, _ = fmt.Fprintf(t, "%s\t%d\t%.1f\t%.1f\t%.1f\t%s\t%s\t\n", q.Question, q.Times, q.P50, q.P95, q.Worst, budget, said)
	}
	return t.Flush()
}

// folk fills an empty registry with $1 people, each with a position, a card and
// an address, and one in ten with two things that happened to them. Triggers are
// off, so it makes itself what they would have made.
var folk = []string{
	"SET session_replication_role = replica",
	`INSERT INTO organisations (code, name, parent) SELECT 'T' || i, 'Trust ' || i, CASE WHEN i > 20 THEN 'T' || i % 20 + 1 ELSE '' END
		FROM generate_series(1, 2000) AS i WHERE $1::int > 0`,
	`INSERT INTO people (uid, title, given, family, email, identity_assurance, profile)
		SELECT '5' || lpad(i::text, 11, '0'), (ARRAY['Dr', 'Ms', 'Mr', ''])[1 + i % 4],
			(ARRAY['Asha', 'Adam', 'Bea', 'Cole', 'Dana', 'Eve', 'Finn', 'Gwen', 'Huw', 'Ivy', 'Jo', 'Kit', 'Lena', 'Mair', 'Noor', 'Owen', 'Pia', 'Rhys', 'Sam', 'Una'])[1 + (i * 7 + i / 20) % 20],
			CASE WHEN i % 49 = 0 THEN 'Smith' ELSE
				(ARRAY['Al', 'Bar', 'Cart', 'Dav', 'Ell', 'Fair', 'Grey', 'Hart', 'Ing', 'Jack', 'Kel', 'Lang', 'Mor', 'Nor', 'Old', 'Pen', 'Rad', 'Stan', 'Thor', 'Whit'])[1 + i % 20] ||
				(ARRAY['son', 'ley', 'ton', 'well', 'ford', 'field', 'man', 'wick', 'by', 'ham', 'worth', 'er', 'stone', 'wood', 'land', 'bury', 'more', 'shaw', 'cote', 'dale'])[1 + i / 7 % 20] END,
			'p' || i || '@trust.example', 3, CASE WHEN i % 100 = 0 THEN 'unverified' ELSE 'verified' END
		FROM generate_series(1, $1::int) AS i`,
	"INSERT INTO emails (key, uid) SELECT email_key(email), uid FROM people WHERE $1::int > 0 ON CONFLICT DO NOTHING",
	"INSERT INTO used_uids (uid) SELECT uid FROM people WHERE $1::int > 0 ON CONFLICT DO NOTHING",
	`INSERT INTO positions (id, uid, place, organisation, role_code, role_name, first_day, last_day)
		SELECT 'P' || uid, uid, 0, 'T' || 1 + right(uid, 6)::int % 2000, 'S1:G1:R1', 'Nurse', '2024-01-01',
			CASE WHEN right(uid, 2) = '07' THEN date '2025-01-01' END FROM people WHERE uid < '51' AND $1::int > 0`,
	`INSERT INTO cards (issuer, serial, written, uid, place, series, state, ends_on)
		SELECT 'A', 'AA' || uid, 'AA' || uid, uid, 0, 8 + right(uid, 1)::int % 2, CASE WHEN right(uid, 3) = '123' THEN 'blocked' ELSE 'active' END,
			date '2030-01-01' + right(uid, 6)::int % 700 FROM people WHERE uid < '51' AND $1::int > 0`,
	`INSERT INTO audit_events (server, seq, at, event, hash)
		SELECT 'bench', n, timestamptz '2029-12-01' + n * interval '1 second', '{"server":"bench","seq":' || n || ',"at":"2029-12-01T00:00:00Z","kind":"sign_in_refused","request":"' ||
			lpad(n::text, 26, '0') || '","subject":"5' || lpad((n % ($1::int / 10) * 10 + 10)::text, 11, '0') || '"}', '' FROM generate_series(1, $1::int / 5) AS n`,
	`INSERT INTO audit_index (server, seq, at, reference, subject, actor)
		SELECT server, seq, at, substr(lpad(md5(seq::text), 26, '0'), 1, 8), substring(event FROM '"subject":"([0-9]{12})"'), '' FROM audit_events WHERE server = 'bench' AND $1::int > 0`,
	"SET session_replication_role = DEFAULT",
	"ANALYZE",
}

// measureRegistry asks a registry of so many people what registration
// authorities ask.
func measureRegistry(ctx context.Context, program string, people int, say func(string)) (registryFigures, error) {
	f := registryFigures{People: people}
	if people == 0 {
		return f, nil
	}
	for _, measure := range []func() ([]registryFigure, error){
		func() ([]registryFigure, error) { return askStore(ctx, people, say) },
		func() ([]registryFigure, error) { return measureFaces(ctx, program, people, say) },
	} {
		asked, err := measure() // one after the other: they would be in each other's way
		f.Asked = append(f.Asked, asked...)
		if err != nil {
			return f, err
		}
	}
	return f, nil
}

// askStore asks the store itself.
func askStore(ctx context.Context, people int, say func(string)) (asked []registryFigure, err error) {
	say(fmt.Sprintf("making a registry of %d people", people))
	p, err := servers.StartPostgres(ctx, false)
	if err != nil {
		return asked, err
	}
	defer func() { _ = p.Stop() }()
	url, err := p.Create(ctx, "registry", "")
	if err != nil {
		return asked, err
	}
	if err := postgres.Migrate(ctx, url, slog.New(slog.DiscardHandler)); err != nil {
		return asked, err
	}
	if err := fillRegistry(ctx, url, people); err != nil {
		return asked, fmt.Errorf("fill the registry: %w", err)
	}
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	s, err := postgres.Open(ctx, postgres.Config{URL: url, Now: func() time.Time { return now }})
	if err != nil {
		return asked, err
	}
	defer s.Close()
	for _, q := range questions(s, now, people) {
		say(q.Question)
		if err := q.take(ctx); err != nil {
			return asked, fmt.Errorf("%s: %w", q.Question, err)
		}
		asked = append(asked, q.registryFigure)
	}
	return asked, nil
}

func fillRegistry(ctx context.Context, url string, people int) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	for _, sql := range folk {
		args := []any{people}
		if sql[0] == 'S' || sql[0] == 'A' {
			args = nil
		}
		if _, err := conn.Exec(ctx, sql, args...); err != nil {
			return err
		}
	}
	return nil
}

// asked is a question that is asked several times, of somebody else each time.
type asked struct {
	registryFigure
	ask func(ctx context.Context, n int) error
}

// take asks. The first time counts too: nobody may have asked that day.
func (q *asked) take(ctx context.Context) error {
	const times = 21
	var took []time.Duration
	for n := range times {
		began := time.Now()
		if err := q.ask(ctx, n); err != nil {
			return err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	q.Times, q.P50, q.P95, q.Worst = times, ms(took[times/2]), ms(took[times*95/100]), ms(took[times-1])
	return nil
}

func questions(s *postgres.Store, now time.Time, people int) []*asked {
	uid := func(n int) string {
		return fmt.Sprintf("5%011d", 1+n*7919%people)
	}
	var all []*asked
	add := func(what string, budget time.Duration, ask func(ctx context.Context, n int) error) {
		all = append(all, &asked{registryFigure{Question: what, Budget: budget}, ask})
	}
	search := func(what string, text func(n int) string) {
		add("search by "+what, searchBudget, func(ctx context.Context, n int) error {
			q := registry.Query{Text: text(n)}
			found, cursor, err := s.FindPeople(ctx, q)
			if err == nil && len(found) == 0 {
				err = errors.New("nobody was found")
			}
			if cursor != "" && err == nil { // and the next page
				q.After = cursor
				_, _, err = s.FindPeople(ctx, q)
			}
			return err
		})
	}
	word := func(text string) func(int) string { return func(int) string { return text } }
	search("uid", uid)
	search("e-mail", func(n int) string { return fmt.Sprintf("P%d@trust.example", 1+n*7919%people) })
	search("card", func(n int) string { return "aa" + uid(n) })
	search("family name", word("smith"))
	search("given name", word("asha"))
	search("two names", word("gwen smith"))
	search("two names, turned", word("hart as"))
	for _, text := range []string{"s", "ha", "a s", "dr smith", "mr gwen smith", "p12"} {
		search(fmt.Sprintf("%q", text), word(text))
	}
	add("search for nobody", searchBudget, func(ctx context.Context, n int) error {
		_, _, err := s.FindPeople(ctx, registry.Query{Text: fmt.Sprintf("nobody here %d", n)})
		return err
	})
	add("search at a trust and below", searchBudget, func(ctx context.Context, n int) error {
		_, _, err := s.FindPeople(ctx, registry.Query{Text: "smith", At: fmt.Sprint("T", 1+n%20)})
		return err
	})
	add("search at one hospital", searchBudget, func(ctx context.Context, n int) error {
		_, _, err := s.FindPeople(ctx, registry.Query{Text: "smith", At: fmt.Sprint("T", 100+n*37)})
		return err
	})
	add("a person's page", personBudget, func(ctx context.Context, n int) error {
		of := uid(n)
		r, err := s.Records(ctx, registry.Touch{People: []string{of}})
		if err != nil || r.People[of] == nil {
			return errors.Join(err, errors.New("nobody is there"))
		}
		_, _, err = s.EventsOf(ctx, of, registry.Query{})
		_, err2 := s.HeldBy(ctx, of)
		return errors.Join(err, err2)
	})
	add("a reference", searchBudget, func(ctx context.Context, n int) error {
		_, err := s.ByReference(ctx, fmt.Sprintf("%08d", n))
		return err
	})
	add("a position is assigned", personBudget, func(ctx context.Context, n int) error {
		of := uid(n)
		return s.Change(ctx, registry.Touch{People: []string{of}, Organisations: []string{"T7"}}, func(r *registry.Records) (idp.Act, error) {
			p := r.People[of]
			p.Positions = append(p.Positions, directory.Position{ID: fmt.Sprint("B", n), Organisation: "T7", RoleCode: "R1"})
			return idp.Act{Event: idp.Event{At: now, Kind: "position_assigned", Subject: of}}, nil
		})
	})
	for _, l := range registry.Lists {
		add("worklist "+string(l), 0, func(ctx context.Context, n int) error {
			_, _, err := s.Worklist(ctx, l, registry.Query{At: fmt.Sprint("T", 1+n%20)}, now)
			return err
		})
	}
	return all
}
