package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
)

const (
	// mostWaiting is how many may wait to be recorded. PostgreSQL is in trouble
	// by then, and who comes later is better told at once.
	mostWaiting = 1024

	// mostAtOnce is how many are recorded in one transaction.
	mostAtOnce = 64
)

var (
	errClosed = errors.New("the journal is closed")
	errFull   = errors.New("too much waits to be recorded")
)

// journal writes what happened on this server into one chain.
//
// A chain has one end, so one goroutine writes it. While a transaction is under
// way more comes in, and all of that goes into the next: how long a commit takes
// does not bound how much can be recorded.
type journal struct {
	pool  *pgxpool.Pool
	ended *ended
	log   *slog.Logger

	tellable tellable
	findable tellable

	waiting chan *entry
	closing chan struct{} // no more comes in
	closed  chan struct{} // nothing more is written
	once    sync.Once     // of closing

	// Of the writer alone: the name of the chain, its last link that is known
	// to stand, whether more may stand, after a commit whose outcome nobody
	// knows, and where the chain before it ended, if that was cut off.
	server string
	end    link
	lost   bool
	cut    *head
}

// entry is an event on its way into the journal.
type entry struct {
	at     time.Time
	event  []byte // JSON
	fences []idp.Fence
	once   []idp.Fence // those of them that may not stand already
	use    *authenticators.Use
	tell   *idp.Watch
	find   *finding
	change change   // made with it; nil for most
	beside []*entry // events of the same change
	ctx    context.Context
	limit  time.Duration // how long it may take to be written
	begun  atomic.Bool   // by the writer, or given up by who waits
	done   chan error
}

// change is what goes with an event, in one transaction. It is made by the
// writer, so it asks no more than it must.
type change = func(ctx context.Context, tx pgx.Tx) error

func newJournal(ctx context.Context, pool *pgxpool.Pool, e *ended, log *slog.Logger) *journal {
	j := &journal{
		pool: pool, ended: e, log: log,
		waiting: make(chan *entry, mostWaiting), closing: make(chan struct{}), closed: make(chan struct{}),
	}
	j.tellable.table, j.findable.table = "session_clients", "audit_index"
	j.begin()
	go j.write(context.WithoutCancel(ctx)) // close ends it
	return j
}

// begin begins a new chain.
func (j *journal) begin() {
	j.server = newChain()
	j.end, j.lost = beginning(j.server), false
}

// Record implements idp.Journal. It answers within a second: where PostgreSQL
// does not, with ErrUnavailable, and then the event may have been recorded.
func (s *Store) Record(ctx context.Context, e idp.Event, fences ...idp.Fence) error {
	return s.journal.record(ctx, e, fences, nil)
}

// record records e and makes a change with it, if one is given: all of it or
// nothing. The change's own error comes back as it is.
func (j *journal) record(ctx context.Context, e idp.Event, fences []idp.Fence, with change) error {
	n := &entry{change: with, limit: patience}
	if err := n.fill(e, fences); err != nil {
		return err
	}
	return j.enter(ctx, n)
}

// fill puts into n what is to be recorded.
func (n *entry) fill(e idp.Event, fences []idp.Fence) error {
	n.at, n.fences, n.use, n.tell, n.find, n.once = e.At, fences, e.Use, e.Tell, findingOf(e), nil
	for i, f := range fences {
		if f.Ends() {
			continue
		}
		if slices.Contains(fences[:i], f) {
			return idp.Used{Fence: f}
		}
		n.once = append(n.once, f)
	}
	if u := e.Use; u != nil && (!isJSON(u.Mark) || !isJSON(u.Was)) {
		return fmt.Errorf("the mark of authenticator %s is no JSON", u.ID)
	}
	var err error
	if n.event, err = json.Marshal(e); err != nil {
		return fmt.Errorf("write an event of kind %s: %w", e.Kind, err)
	}
	return nil
}

// enter gives n to the writer, and waits until it is written.
func (j *journal) enter(ctx context.Context, n *entry) error {
	ctx, cancel := context.WithTimeout(ctx, n.limit)
	defer cancel()
	n.ctx, n.done = ctx, make(chan error, 1)

	select {
	case <-j.closing:
		return unrecorded(errClosed)
	default:
	}
	select {
	case j.waiting <- n:
	default:
		return unrecorded(errFull)
	}

	select {
	case err := <-n.done:
		return err
	case <-ctx.Done():
		n.begun.Store(true) // the writer passes over what it has not begun
		return unrecorded(ctx.Err())
	case <-j.closed:
	}
	select {
	case err := <-n.done: // it was the last to be written
		return err
	default:
		return unrecorded(errClosed)
	}
}

// unrecorded returns err as idp.ErrUnavailable, whatever it is: who asked does
// not know that the event is recorded, and must not go on.
func unrecorded(err error) error {
	return fmt.Errorf("%w: the journal: %w", idp.ErrUnavailable, err)
}

// close writes what waits and ends.
func (j *journal) close() {
	j.once.Do(func() { close(j.closing) })
	<-j.closed
}

// write is the writer.
func (j *journal) write(ctx context.Context) {
	defer close(j.closed)
	for {
		select {
		case n := <-j.waiting:
			j.batch(ctx, j.gather(n))
			continue
		case <-j.closing:
		}
		select {
		case n := <-j.waiting:
			j.batch(ctx, j.gather(n))
		default:
			return
		}
	}
}

// gather returns first and what waits behind it, but for those whose callers
// went away.
func (j *journal) gather(first *entry) []*entry {
	var batch []*entry
	begin := func(n *entry) {
		if n.ctx.Err() == nil && n.begun.CompareAndSwap(false, true) {
			batch = append(batch, n)
		}
	}
	begin(first)
	for len(batch) < mostAtOnce {
		select {
		case n := <-j.waiting:
			begin(n)
		default:
			return batch
		}
	}
	return batch
}

// batch records entries, each of them wholly or not at all, and answers those
// who wait for them.
func (j *journal) batch(ctx context.Context, entries []*entry) {
	limit := patience
	for _, n := range entries {
		limit = max(limit, n.limit)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var not undone
	for len(entries) > 0 {
		try, rest := apart(entries)
		switch err := j.commit(ctx, try); {
		case err == nil:
			answer(try, nil)
			entries = rest
		case errors.As(err, &not):
			answer(try, not.reason)
			entries = rest
		case errors.Is(err, idp.ErrUsed):
			// One of them at least. The others try again without it.
		default:
			answer(entries, unrecorded(err))
			return
		}
		if len(entries) == 0 {
			return
		}
		no, err := j.standing(ctx, entries)
		if err != nil {
			answer(entries, unrecorded(err))
			return
		}
		entries = slices.DeleteFunc(entries, func(n *entry) bool {
			err := no(n)
			if err != nil {
				n.done <- err
			}
			return err != nil
		})
	}
}

// answer ends the wait for entries.
func answer(entries []*entry, err error) {
	for _, n := range entries {
		n.done <- err
	}
}

// apart divides entries into those that want no fence and use no authenticator
// of one another, and the rest, of which some come too late if the first are
// recorded. One that changes something is first alone.
func apart(entries []*entry) (first, rest []*entry) {
	if entries[0].change != nil {
		return entries[:1:1], entries[1:]
	}
	wanted, used := map[idp.Fence]struct{}{}, map[string]struct{}{}
	for _, n := range entries {
		late := n.change != nil || slices.ContainsFunc(n.once, func(f idp.Fence) bool { _, ok := wanted[f]; return ok })
		if n.use != nil && !late {
			_, late = used[n.use.ID]
			used[n.use.ID] = struct{}{}
		}
		if late {
			rest = append(rest, n)
			continue
		}
		for _, f := range n.once {
			wanted[f] = struct{}{}
		}
		first = append(first, n)
	}
	return first, rest
}
