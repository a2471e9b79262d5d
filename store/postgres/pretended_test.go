package postgres

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
)

// statements notes every statement that a store sends, alone or among others.
type statements struct {
	mu   sync.Mutex
	sent []string
}

func (s *statements) note(ctx context.Context, sql string) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, sql)
	return ctx
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return s.note(ctx, data.SQL)
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	for _, q := range data.Batch.QueuedQueries {
		s.note(ctx, q.SQL)
	}
	return s.note(ctx, "end of a batch")
}

func (*statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}
func (*statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData)     {}

// taken returns what was sent since it was last asked.
func (s *statements) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}

// tables counts the rows of every table.
func tables(t *testing.T, s *Store) map[string]int {
	t.Helper()
	names, err := s.pool.Query(t.Context(), "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace")
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(names, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	n := map[string]int{}
	for _, table := range all {
		var rows int
		if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM "+pgx.Identifier{table}.Sanitize()).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		n[table] = rows
	}
	return n
}

// roomy keeps what people are half-way through, and counts nothing.
type roomy struct{ kept map[string][]byte }

func (r roomy) Ask(_ context.Context, name string, question []byte, _ time.Time) error {
	r.kept[name] = question
	return nil
}

func (r roomy) Take(_ context.Context, name string, _ time.Time) ([]byte, error) {
	b, ok := r.kept[name]
	if !ok {
		return nil, authenticators.ErrAnswer
	}
	delete(r.kept, name)
	return b, nil
}

func (r roomy) Look(_ context.Context, name string, _ time.Time) ([]byte, error) {
	return r.kept[name], nil
}

func (roomy) Attempt(context.Context, idp.LimitKey, idp.Limit, time.Time) error { return nil }
func (roomy) Clear(context.Context, idp.LimitKey) error                         { return nil }

// solved is a puzzle with its answer.
func solved(t *testing.T, c *registry.Claims) (text, answer string) {
	t.Helper()
	p, err := c.Puzzles.New()
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s:%d", p.Text, n))
		if bits.LeadingZeros16(uint16(sum[0])<<8|uint16(sum[1])) >= p.Bits {
			return p.Text, fmt.Sprint(n)
		}
	}
}

func TestPretending(t *testing.T) {
	asked := &statements{}
	s := openAt(t, aDatabase(t), func(c *Config) { c.Tracer = asked })
	number, err := s.sealNI(asha, "QQ123456C")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.pool.Exec(t.Context(), "INSERT INTO people (uid, email, profile, ni_number) VALUES ($1, 'asha@ward.example', 'verified', $2)", asha, number); err != nil {
		t.Fatal(err)
	}
	exec(t, s, "INSERT INTO people (uid, email, profile) VALUES ('555000000102', 'ben@ward.example', 'restricted')")
	live := roomy{map[string][]byte{}}
	claims := &registry.Claims{Contacts: s, Insured: s, Keeper: s, Half: live, Limits: live, Now: time.Now,
		Mailed: &idp.MailCodes{Questions: live, Teller: s, Limits: live, Now: time.Now}, Puzzles: &idp.Puzzles{Sealer: s.Sealer(), Limits: live, Now: time.Now}}
	said := func(email, number string) registry.Claimed {
		puzzle, answer := solved(t, claims)
		return registry.Claimed{Email: email, Number: number, Puzzle: puzzle, Answer: answer, Network: netip.MustParsePrefix("192.0.2.0/24"), Browser: idp.Hash(puzzle), Lang: "cy"}
	}
	begin := func(c registry.Claimed) error { return claims.Begin(t.Context(), c) }
	register := func(c registry.Claimed) error {
		return claims.Register(t.Context(), registry.Registered{Name: registry.PersonName{Given: "Olwen", Family: "Parry"}, Claimed: c})
	}
	for _, tt := range []struct {
		what string
		try  func(registry.Claimed) error
		who  [][2]string // who may have a code first
	}{
		{"a claim", begin, [][2]string{{"asha@ward.example", "QQ123456C"}, {"asha@ward.example", "QQ123456D"}, {"ben@ward.example", "QQ123456C"},
			{"nobody@ward.example", "QQ123456C"}, {"x", ""}, {strings.Repeat("x", 5000), ""}}}, // of no address nobody asks: who enters none knows
		{"a profile of one's own", register, [][2]string{{"olwen@home.example"}, {"asha@ward.example"}, {"BEN@ward.example"}}},
	} {
		t.Run("A11: "+tt.what+" asks PostgreSQL the same and writes the same rows, whether there is somebody to send a code to or not", func(t *testing.T) {
			if err := tt.try(said(tt.who[0][0], tt.who[0][1])); err != nil { // what is asked once only
				t.Fatal(err)
			}
			var first []string
			var rows map[string]int
			for i, who := range tt.who {
				c, before, mails := said(who[0], who[1]), tables(t, s), len(mailsOf(t, s))
				asked.taken()
				if err := tt.try(c); err != nil {
					t.Fatalf("%.20v: %v", who, err)
				}
				sent := asked.taken()
				wrote := tables(t, s)
				maps.DeleteFunc(wrote, func(table string, n int) bool { wrote[table] -= before[table]; return n == before[table] })
				m := mailsOf(t, s)
				if len(m) != mails+1 || m[mails].ForNobody() != (i > 0) || m[mails].ForNobody() && strings.Contains(m[mails].To, "@") {
					t.Errorf("%.20v: the mail is %+v", who, m[len(m)-1])
				}
				if i == 0 {
					first, rows = sent, wrote
				}
				if !slices.Equal(sent, first) || !maps.Equal(wrote, rows) {
					t.Errorf("%.20v: it is asked\n%q\nand writes %v; for who gets a code\n%q\nand %v", who, sent, wrote, first, rows)
				}
			}
			if rows["outbox"] != 1 || rows["audit_events"] != 1 || rows["audit_index"] != 1 {
				t.Errorf("what is written: %v", rows)
			}
		})
	}
}
