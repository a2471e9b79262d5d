package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// lease is for how long what PostgreSQL has told counts as all there is to
	// know. It is the longest that servers may differ.
	lease = time.Second

	// beat is how often the lease is renewed.
	beat = 300 * time.Millisecond

	// The pauses between two tries to connect.
	shortPause = 50 * time.Millisecond
	longPause  = time.Second

	// refillTime is how long followers may take to begin anew.
	refillTime = 30 * time.Second
)

// channel is where PostgreSQL tells what changed.
const channel = "lanyard"

// errDeaf is why a connection that answers is given up all the same.
var errDeaf = errors.New("notifications do not come through: is there a pooler in transaction mode before PostgreSQL?")

// follower keeps in memory what PostgreSQL decides.
type follower interface {
	// refill begins anew: whatever was known may be wrong. It is called on
	// every new connection, before anything can be missed on it and before the
	// feed counts as fresh. An error gives the connection up.
	refill(ctx context.Context, conn *pgx.Conn) error

	// heard is told of a change: its kind and the name of what changed. It is
	// never called during refill, and what was told during one follows it.
	heard(kind, name string)
}

// feed hears what changes in PostgreSQL, on a connection of its own.
//
// A notification that was lost leaves no trace, so silence proves nothing. Nor
// does an answer: behind a pooler another session may listen than the one that
// answers. What proves something is a notification of the feed's own, which
// comes after those of everything that was committed before it. While such a
// proof is younger than the lease, what followers have in memory is right.
//
// The feed's own go over a channel of its own, so that no other server is woken.
type feed struct {
	config    *pgx.ConnConfig
	now       func() time.Time
	log       *slog.Logger
	followers []follower

	proof atomic.Pointer[time.Time] // when the last one began; nil: none
	told  []string                  // notifications that followers have not heard yet

	// Of one connection: its own channel, how many notifications were sent
	// there, and the last that came.
	own  string
	sent int
	came string
}

// follow lets fo hear what changes. It is called before run.
func (f *feed) follow(fo follower) { f.followers = append(f.followers, fo) }

// fresh says whether followers know all that was committed more than a lease
// ago. A clock that was moved makes it say no, which is safe.
func (f *feed) fresh() bool {
	proof := f.proof.Load()
	if proof == nil {
		return false
	}
	age := f.now().Sub(*proof)
	return 0 <= age && age < lease
}

// run connects, listens and connects again, until ctx ends.
func (f *feed) run(ctx context.Context) {
	pause, said := shortPause, false
	for {
		heard, err := f.listen(ctx)
		f.proof.Store(nil)
		f.told = nil
		if ctx.Err() != nil {
			return
		}
		if heard {
			pause, said = shortPause, false
		}
		if !said {
			f.log.WarnContext(ctx, "what changes in the registry is not heard: PostgreSQL is asked each time", "error", err.Error())
			said = true // once, however long it lasts
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, longPause)
	}
}

// listen hears one connection until it fails, and says whether it was fresh.
func (f *feed) listen(ctx context.Context) (heard bool, err error) {
	conn, err := f.connect(ctx)
	if err != nil {
		return false, err
	}
	defer hangUp(ctx, conn)
	if err := f.refill(ctx, conn); err != nil {
		return false, err
	}
	for {
		if err := f.renew(ctx, conn); err != nil {
			return heard, err
		}
		if !heard {
			f.log.InfoContext(ctx, "what changes in the registry is heard")
		}
		heard = true
		if err := f.wait(ctx, conn); err != nil {
			return heard, err
		}
	}
}

// connect returns a connection that listens.
func (f *feed) connect(ctx context.Context) (*pgx.Conn, error) {
	config := f.config.Copy()
	config.RuntimeParams["application_name"] += " feed"
	config.Tracer = nil // three round trips a second tell nobody anything
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) {
		if n.Channel == f.own {
			f.came = n.Payload
			return
		}
		f.told = append(f.told, n.Payload)
	}
	f.own, f.came = channel+"_"+strings.ToLower(rand.Text()), ""
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	listening, cancel := within(ctx)
	defer cancel()
	// One transaction: who hears the one channel hears the other.
	_, err = conn.Exec(listening, "LISTEN "+channel+"; LISTEN "+f.own)
	if err == nil {
		err = f.overhear(listening, conn)
	}
	if err != nil {
		hangUp(ctx, conn)
		return nil, err
	}
	return conn, nil
}

// overhear proves that conn hears what is told while it asks nothing. A pooler
// that lends a session for each transaction may lend the same one each time:
// then conn hears itself, and what others tell in between is lost.
func (f *feed) overhear(ctx context.Context, conn *pgx.Conn) error {
	config := f.config.Copy()
	config.Tracer = nil
	other, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer hangUp(ctx, other)
	told, err := f.send(ctx, other)
	if err != nil {
		return err
	}
	for f.came != told {
		if err := conn.PgConn().WaitForNotification(ctx); err != nil {
			return fmt.Errorf("%w: %w", errDeaf, err)
		}
	}
	return nil
}

// send tells the feed something over conn, and returns what.
func (f *feed) send(ctx context.Context, conn *pgx.Conn) (string, error) {
	f.sent++
	told := strconv.Itoa(f.sent)
	_, err := conn.Exec(ctx, "SELECT pg_notify($1, $2)", f.own, told)
	return told, err
}

// hangUp closes conn, and does not wait for a server that does not answer.
func hangUp(ctx context.Context, conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beat)
	defer cancel()
	_ = conn.Close(ctx)
}

// refill lets every follower begin anew.
func (f *feed) refill(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, refillTime)
	defer cancel()
	for _, fo := range f.followers {
		if err := fo.refill(ctx, conn); err != nil {
			return err
		}
	}
	return nil
}

// renew proves again that conn hears: PostgreSQL delivers what a session tells
// itself, and all that was told before, at the end of the command. What that
// brought is heard before it counts. It ends with the lease at the latest, so
// that a clock that stands still in a test does not keep the lease for ever.
func (f *feed) renew(ctx context.Context, conn *pgx.Conn) error {
	asked := f.now()
	ctx, cancel := context.WithTimeout(ctx, lease-beat)
	defer cancel()
	told, err := f.send(ctx, conn)
	if err != nil {
		return err
	}
	if f.came != told {
		return errDeaf
	}
	f.tell()
	f.proof.Store(&asked)
	return nil
}

// wait hears what comes until the next beat.
func (f *feed) wait(ctx context.Context, conn *pgx.Conn) error {
	next, cancel := context.WithTimeout(ctx, beat)
	defer cancel()
	for {
		err := conn.PgConn().WaitForNotification(next)
		f.tell()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case next.Err() != nil:
			return nil
		case err != nil:
			return err
		}
	}
}

// tell passes on what was told, and forgets it.
func (f *feed) tell() {
	for _, payload := range f.told {
		kind, name, _ := strings.Cut(payload, " ")
		for _, fo := range f.followers {
			fo.heard(kind, name)
		}
	}
	f.told = f.told[:0]
}
