// Package postgres is the registry of a service in production: people,
// organisations, cards and clients, the keys that sign, the journal, and the
// fences that keep what happened once from happening twice.
//
// PostgreSQL decides. What is read at every request is kept in memory too, and
// PostgreSQL tells every server what changed (feed.go). A server that may have
// missed something asks PostgreSQL each time, and answers idp.ErrUnavailable
// when it gets no answer: never what it remembers. SQL here names its columns,
// so that it works on the schema before and after its own, and never reads the
// database's clock.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
)

// patience is how long a call waits for PostgreSQL, and for a connection to
// it, unless its context ends sooner.
const patience = time.Second

// Config is what a Store needs.
type Config struct {
	URL      string           // postgres://, or keywords and values
	Now      func() time.Time // the service's clock
	Sealer   Sealer           // nil: no NI numbers can be kept
	Log      *slog.Logger     // nil: nobody is told
	MaxConns int32            // beside the one that listens; 0: 10
	Tracer   pgx.QueryTracer  // may be nil

	// CardIssuer is the upper-case hex SHA-256 of the public key of the authority
	// of cards that are added without naming another.
	CardIssuer string

	Vault     Vault         // nil: no signing keys can be used
	KeyPolicy idp.KeyPolicy // zero: idp.DefaultKeyPolicy
}

// Sealer encrypts what no reader of the database may read. What was sealed can
// be unsealed with the same associated data alone.
type Sealer interface {
	Seal(plain, associated []byte) ([]byte, error)
	Unseal(sealed, associated []byte) ([]byte, error)
}

// Store is the registry in PostgreSQL. It is safe for concurrent use, and what
// it returns is the caller's own.
type Store struct {
	pool *pgxpool.Pool
	now  func() time.Time
	feed *feed
	seal Sealer
	log  *slog.Logger
	keys *keyring

	people  *cache[idp.Person]
	clients *cache[idp.Client]
	cards   *cache[smartcard.Card]
	policy  *cache[policy]
	roles   *cache[map[string]string]
	notices *cache[time.Time]

	ended   *ended
	journal *journal
	changes *journal // of the registry: they wait for one another, and no sign-in for them
	sealer  *sealer
	decoy   decoy // the NI number of nobody

	cardIssuer string
	ni         niKey
	countable  tellable // uses of the old service

	stop func() // ends the feed
}

var (
	_ idp.People      = (*Store)(nil)
	_ idp.Clients     = (*Store)(nil)
	_ idp.LastRoles   = (*Store)(nil)
	_ idp.Notices     = (*Store)(nil)
	_ smartcard.Cards = (*Store)(nil)
	_ smartcard.Rules = (*Store)(nil)
)

// How many people, with all that is theirs, and clients are kept in memory. A
// person is about two KiB.
const (
	mostPeople  = 20_000
	mostClients = 1_000
)

// onlyPolicy is the name of the policy, of which there is one.
const onlyPolicy = "policy"

// Open returns the registry at c.URL. It does not wait for PostgreSQL, which
// may come later: until then every call is idp.ErrUnavailable. It migrates
// nothing.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	keys, err := newKeyring(c)
	if err != nil {
		return nil, err
	}
	pool, err := c.pool(ctx)
	if err != nil {
		return nil, err
	}
	s := &Store{pool: pool, now: c.Now, seal: c.Sealer, log: c.Log, keys: keys, cardIssuer: c.CardIssuer}
	s.countable.table = "bridge_uses"
	s.feed = &feed{config: pool.Config().ConnConfig, now: c.Now, log: c.Log}
	s.feed.follow(s.caches())
	s.feed.follow(s.keys)

	s.ended = newEnded(c.Now)
	s.feed.follow(s.ended)
	s.journal = newJournal(ctx, pool, s.ended, c.Log)
	s.changes = newJournal(ctx, pool, s.ended, c.Log)
	s.sealer = &sealer{server: s.journal.server, log: c.Log}

	// The feed outlives the call that began it; Close ends it.
	feeding, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	running.Go(func() { s.feed.run(feeding) })
	running.Go(func() { s.keys.run(feeding, pool, s.feed.fresh) })
	s.stop = func() { stop(); running.Wait() }
	return s, nil
}

// caches makes the caches of s and returns them by the kinds of the schema's
// notifications.
func (s *Store) caches() caches {
	s.people = newCache(s.feed.fresh, mostPeople, s.loadPerson)
	s.clients = newCache(s.feed.fresh, mostClients, s.loadClient)
	s.cards = newCache(s.feed.fresh, mostPeople, s.loadCard)
	s.policy = newCache(s.feed.fresh, 1, s.loadPolicy)
	s.roles = newCache(s.feed.fresh, mostPeople, s.loadRoles)
	s.notices = newCache(s.feed.fresh, mostPeople, s.loadNotice)
	return caches{"person": s.people, "client": s.clients, "card": s.cards, "policy": s.policy,
		"last_role": s.roles, "notice": s.notices}
}

// pool returns a pool as c wants it. It connects when it is first asked.
func (c Config) pool(ctx context.Context) (*pgxpool.Pool, error) {
	conf, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, fmt.Errorf("the URL of PostgreSQL: %w", err)
	}
	conf.MaxConns = 10
	if c.MaxConns > 0 {
		conf.MaxConns = c.MaxConns
	}
	conf.ConnConfig.ConnectTimeout = patience
	conf.ConnConfig.Tracer = c.Tracer
	// Whatever the URL says: values never become part of the text of SQL.
	conf.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheStatement
	if conf.ConnConfig.RuntimeParams["application_name"] == "" {
		conf.ConnConfig.RuntimeParams["application_name"] = "lanyard"
	}
	return pgxpool.NewWithConfig(ctx, conf)
}

// Close writes what the journal still holds, and then ends the feed and every
// connection, once those in use are free.
func (s *Store) Close() {
	s.changes.close()
	s.journal.close()
	s.stop()
	s.pool.Close()
}

// Ping says whether PostgreSQL answers.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := within(ctx)
	defer cancel()
	return outage(s.pool.Ping(ctx))
}

// within bounds a call by patience.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, patience)
}

// outage returns err as idp.ErrUnavailable if it says that PostgreSQL could not
// be asked or could not answer. What is wrong with the question, and a caller
// who went away, stay as they are.
func outage(err error) error {
	var (
		connecting *pgconn.ConnectError
		answer     *pgconn.PgError
		network    net.Error // a deadline that has passed is one too
	)
	switch {
	case err == nil, errors.Is(err, idp.ErrUnavailable), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &connecting):
	case errors.As(err, &answer):
		if !unable(answer.Code) {
			return err
		}
	case errors.As(err, &network), errors.Is(err, pgconn.ErrConnClosed),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
	default:
		return err
	}
	return fmt.Errorf("%w: postgres: %w", idp.ErrUnavailable, err)
}

// unable says whether the SQLSTATE code means that PostgreSQL cannot answer
// just now: connections, resources, an operator's hand, a server that has
// become a standby, its disk.
func unable(code string) bool {
	for _, class := range []string{"08", "53", "57P", "25006", "58"} {
		if strings.HasPrefix(code, class) {
			return true
		}
	}
	return false
}

// Sealer returns what seals the secrets of the registry. Rooms seal with it
// what the registry is to keep for them.
func (s *Store) Sealer() authenticators.Sealer { return s.seal }
