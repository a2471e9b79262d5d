package postgres

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
)

// Vault makes signing keys and opens them again. What is in the database is
// worth nothing without it.
type Vault interface {
	// Kinds are the kinds of keys that it can make.
	Kinds() []idp.KeyKind

	// New makes a key. What it returns beside it opens the key again, under
	// that id alone.
	New(id string, kind idp.KeyKind) (sealed []byte, key crypto.Signer, err error)

	// Open returns the key that New made.
	Open(id string, sealed []byte) (crypto.Signer, error)
}

// What a server refuses to start with. It never makes keys to mend it: whoever
// trusts the old ones would be told that all is well.
var (
	ErrKeyUnusable = errors.New("a signing key cannot be used")
	ErrKeyMissing  = errors.New("a signing key is missing")
	errNoVault     = errors.New("the registry was opened without a vault for its keys")
)

// deafPause is how often the keys are read while nobody tells that they have
// changed. A key that was revoked meanwhile signs for that much longer.
const deafPause = 3 * time.Second

// keyring holds the signing keys in memory and follows what becomes of them.
type keyring struct {
	vault  Vault // nil: no keys
	policy idp.KeyPolicy
	now    func() time.Time
	log    *slog.Logger

	held   atomic.Pointer[idp.Keys]
	again  chan struct{}       // has something while what is held may be old
	taking sync.Mutex          // is held from reading to taking, so that the last to read is the last to take
	opened map[string]heldOpen // by id; under taking
}

// heldOpen is a key with what it was opened from.
type heldOpen struct {
	row keyRow
	key idp.SigningKey
}

func newKeyring(c Config) (*keyring, error) {
	k := &keyring{vault: c.Vault, policy: c.KeyPolicy, now: c.Now, log: c.Log, again: make(chan struct{}, 1), opened: map[string]heldOpen{}}
	if k.policy == (idp.KeyPolicy{}) {
		k.policy = idp.DefaultKeyPolicy
	}
	k.held.Store(idp.NewKeys())
	return k, k.policy.Check()
}

// SigningKeys returns the keys as this server knows them, from memory: signing
// goes on while PostgreSQL does not answer.
func (s *Store) SigningKeys() *idp.Keys { return s.keys.held.Load() }

// LoadKeys reads the keys and says what a server must not start with: one that
// cannot be opened, or a kind that nobody would sign with.
func (s *Store) LoadKeys(ctx context.Context) error {
	k := s.keys
	if k.vault == nil {
		return errNoVault
	}
	problems, err := k.read(ctx, s.pool)
	if err = errors.Join(append(problems, outage(err))...); err != nil {
		return err
	}
	for _, kind := range k.vault.Kinds() {
		if _, ok := s.SigningKeys().Signer(kind, k.now()); !ok {
			return fmt.Errorf("%w: there is none of the kind %s that signs", ErrKeyMissing, kind)
		}
	}
	return nil
}

// KeyReport is a key as the database has it, and what is wrong with it.
type KeyReport struct {
	idp.SigningKey
	Problem error
}

// ListKeys returns every key, in the order in which they begin to sign.
func (s *Store) ListKeys(ctx context.Context) ([]KeyReport, error) {
	if s.keys.vault == nil {
		return nil, errNoVault
	}
	rows, err := readKeyRows(ctx, s.pool)
	if err != nil {
		return nil, outage(err)
	}
	var reports []KeyReport
	for _, r := range rows {
		key, err := r.open(s.keys.vault)
		if err != nil {
			key = idp.SigningKey{ID: r.id, KeyTimes: r.times}
		}
		reports = append(reports, KeyReport{key, err})
	}
	return reports, nil
}

// refill implements follower.
func (k *keyring) refill(ctx context.Context, conn *pgx.Conn) error {
	if k.vault == nil {
		return nil
	}
	problems, err := k.read(ctx, conn)
	k.tell(ctx, problems)
	return err
}

// heard implements follower. The feed is not kept waiting.
func (k *keyring) heard(kind, _ string) {
	if kind != "keys" || k.vault == nil {
		return
	}
	select {
	case k.again <- struct{}{}:
	default: // it will be read anyway
	}
}

// run reads the keys again whenever they have changed, and every few seconds
// while nobody would tell that they have: connections that were made before may
// work on while the feed cannot make its own, and a server that records is one
// that signs.
func (k *keyring) run(ctx context.Context, from rowsFrom, told func() bool) {
	if k.vault == nil {
		return
	}
	said := false // that they cannot be read: once, however long it lasts
	for pause := deafPause; ; {
		select {
		case <-ctx.Done():
			return
		case <-k.again:
		case <-time.After(pause):
			if pause == deafPause && told() {
				continue
			}
		}
		reading, cancel := within(ctx)
		problems, err := k.read(reading, from)
		cancel()
		if ctx.Err() != nil {
			return
		}
		pause = deafPause
		if err != nil {
			pause = beat
			if !said {
				k.log.WarnContext(ctx, "signing keys were not read again", "error", err.Error())
			}
		}
		said = err != nil
		k.tell(ctx, problems)
	}
}

func (k *keyring) tell(ctx context.Context, problems []error) {
	for _, p := range problems {
		k.log.ErrorContext(ctx, "a signing key is not as it should be", "error", p.Error())
	}
}

// read takes the keys that are in the database, and says what is wrong with
// them. Damage there takes nothing from a server that has a key already: it
// goes on with it, and the log says so. What was revoked need not open: that is
// how an operator puts away a row that somebody else wrote.
func (k *keyring) read(ctx context.Context, from rowsFrom) (problems []error, err error) {
	k.taking.Lock()
	defer k.taking.Unlock()
	rows, err := readKeyRows(ctx, from)
	if err != nil {
		return nil, err
	}
	var all []idp.SigningKey
	seen := map[string]bool{}
	for _, r := range rows {
		seen[r.id] = true
		key, err := k.open(r)
		if err != nil && !r.times.RevokedAt.IsZero() {
			k.log.WarnContext(ctx, "a revoked signing key cannot be used", "error", err.Error())
			delete(k.opened, r.id)
			continue
		}
		if err != nil {
			problems = append(problems, err)
			known, ok := k.opened[r.id]
			if !ok {
				continue
			}
			key = known.key
			key.KeyTimes = r.times
		}
		all = append(all, key)
	}
	for id, known := range k.opened {
		if !seen[id] {
			problems = append(problems, fmt.Errorf("%w: %s is in the database no more", ErrKeyMissing, id))
			all = append(all, known.key)
		}
	}
	k.held.Store(idp.NewKeys(all...))
	return problems, nil
}

// open opens the key of a row, unless it was opened before. What will never
// sign again is not kept: a key that nobody has cannot be taken.
func (k *keyring) open(r keyRow) (idp.SigningKey, error) {
	over := func(key idp.SigningKey) bool {
		state := key.State(k.now())
		return state == idp.KeyGone || state == idp.KeyRevoked
	}
	known, ok := k.opened[r.id]
	key := known.key
	key.KeyTimes = r.times
	if !ok || !known.row.same(r) || key.Signer == nil && !over(key) {
		var err error
		if key, err = r.open(k.vault); err != nil {
			return key, err
		}
	}
	if over(key) {
		key.Signer = nil
	}
	k.opened[r.id] = heldOpen{r, key}
	return key, nil
}

// keyRow is a row of signing_keys.
type keyRow struct {
	id             string
	algs           []string
	public, sealed []byte
	times          idp.KeyTimes
}

func (r keyRow) same(o keyRow) bool {
	return bytes.Equal(r.sealed, o.sealed) && bytes.Equal(r.public, o.public) && slices.Equal(r.algs, o.algs)
}

// open opens the key. Whoever can write to the database can write a public key
// of their own beside it, so it counts only if it is the private key's.
func (r keyRow) open(v Vault) (idp.SigningKey, error) {
	no := func(why error) (idp.SigningKey, error) {
		return idp.SigningKey{}, fmt.Errorf("%w: %s: %w", ErrKeyUnusable, r.id, why)
	}
	signer, err := v.Open(r.id, r.sealed)
	if err != nil {
		return no(err)
	}
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil || !bytes.Equal(public, r.public) {
		return no(errors.New("its public part is another key's"))
	}
	kind := idp.KindOf(signer.Public())
	if kind == "" || !slices.Equal(kind.Algs(), r.algs) {
		return no(errors.New("it is for other algorithms than the database says"))
	}
	return idp.SigningKey{ID: r.id, Kind: kind, Public: signer.Public(), Signer: signer, KeyTimes: r.times}, nil
}

// rowsFrom is a connection, a pool or a transaction.
type rowsFrom interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func readKeyRows(ctx context.Context, from rowsFrom) ([]keyRow, error) {
	rows, err := from.Query(ctx, `SELECT kid, algs, public, sealed, published_from, signs_from, signs_until, published_until, revoked_at
		FROM signing_keys ORDER BY signs_from, kid`)
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (keyRow, error) {
		var r keyRow
		var until, published, revoked *time.Time
		err := row.Scan(&r.id, &r.algs, &r.public, &r.sealed, &r.times.PublishedFrom, &r.times.SignsFrom, &until, &published, &revoked)
		r.times.SignsUntil, r.times.PublishedUntil, r.times.RevokedAt = decided(until), decided(published), decided(revoked)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	return all, nil
}

// decided is the time of a column; the zero time where nothing is decided.
func decided(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// undecided is the column for a time; null where nothing is decided.
func undecided(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
