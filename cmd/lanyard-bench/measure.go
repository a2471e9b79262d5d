package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// watched is a process with its children, whose time counts.
type watched struct {
	name string
	pid  int
}

// figure is what one operation costs and how long it takes.
type figure struct {
	Operation string  `json:"operation"`
	AtOnce    int     `json:"at_once"`
	Count     int     `json:"count"`
	CPU       []share `json:"cpu"` // a process each
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P95       float64 `json:"p95_ms"`
	P99       float64 `json:"p99_ms"`
	Trips     float64 `json:"redis_trips"`        // an operation
	Writes    float64 `json:"transactions"`       // of PostgreSQL that wrote, an operation
	S         float64 `json:"s_ms"`               // beside it: a machine that is busy is slow at both
	Budget    float64 `json:"budget_s,omitempty"` // in S; 0 is none
}

// share is what one process spends on one operation, in milliseconds.
type share struct {
	Process string  `json:"process"`
	MS      float64 `json:"ms"`
}

// total is what all processes spend on one operation.
func (f figure) total() time.Duration {
	var ms float64
	for _, s := range f.CPU {
		ms += s.MS
	}
	return time.Duration(ms * float64(time.Millisecond))
}

// inS is what one operation costs in signatures.
func (f figure) inS() float64 { return ms(f.total()) / f.S }

// measureOne lets atOnce people do the same again and again for a while.
func measureOne(ctx context.Context, procs []watched, atOnce int, long time.Duration, do func(ctx context.Context, n int) error) (figure, error) {
	before, err := times(procs)
	if err != nil {
		return figure{}, err
	}
	began := time.Now()
	end := began.Add(long)
	took := make([][]time.Duration, atOnce)
	var number atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, atOnce)
	for i := range atOnce {
		wg.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				start := time.Now()
				if err := do(ctx, int(number.Add(1))); err != nil {
					errs <- err
					return
				}
				took[i] = append(took[i], time.Since(start))
			}
		})
	}
	wg.Wait()
	lasted := time.Since(began)
	after, err := times(procs)
	if err != nil {
		return figure{}, err
	}
	select {
	case err := <-errs:
		return figure{}, err
	default:
	}
	all := slices.Concat(took...)
	if len(all) == 0 {
		return figure{}, errors.New("nothing was done")
	}
	slices.Sort(all)
	f := figure{AtOnce: atOnce, Count: len(all), PerSecond: float64(len(all)) / lasted.Seconds(),
		P50: ms(all[len(all)/2]), P95: ms(all[len(all)*95/100]), P99: ms(all[len(all)*99/100])}
	for i, p := range procs {
		f.CPU = append(f.CPU, share{p.name, ms(after[i]-before[i]) / float64(len(all))})
	}
	return f, nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func times(procs []watched) ([]time.Duration, error) {
	var all []time.Duration
	for _, p := range procs {
		t, err := cpuOf(p.pid)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// figures are all of a run.
type figures struct {
	Bare      bare          `json:"bare"`
	Figures   []figure      `json:"figures"`
	Start     time.Duration `json:"start"`        // to the first answer
	IdleBytes int64         `json:"idle_bytes"`   // of the server's memory
	LoadBytes int64         `json:"loaded_bytes"` // at 16 at once, the most
	HashBytes int64         `json:"hash_bytes"`   // while passwords are hashed, the most
	Desk      deskFigures   `json:"desk"`

	Registry registryFigures `json:"registry"`
}

// bench is a run of measurements.
type bench struct {
	world *world
	procs []watched
	round time.Duration // how long one measurement lasts
	again int           // of how many the middle one counts
	say   func(string)
}

// measure takes the figures of the server's program and the agent's: all, or
// those of the operations whose names begin with a word of only.
func measure(ctx context.Context, program, agent, only string, round time.Duration, again int, say func(string)) (figures, error) {
	var all figures
	say("timing the bare costs")
	if err := all.Bare.signatures(); err != nil {
		return all, err
	}
	w, err := newWorld(ctx, plan{program: program, servers: 1, direct: true, people: 64, card: virtualcard.RSA2048,
		policy: map[string]string{"log.level": "warn", "tracing.endpoint": "", "postgres.max_conns": "20", "bridge.exchange": "true"}})
	if err != nil {
		return all, err
	}
	defer func() { _ = w.close() }()
	if err := all.Bare.stores(ctx, w); err != nil {
		return all, err
	}
	b := &bench{world: w, round: round, again: again, say: say}
	if err := b.startAndRest(ctx, &all); err != nil {
		return all, err
	}
	b.procs = []watched{{"lanyard", w.servers[0].pid()}, {"PostgreSQL", w.postgres.PID()}, {"Redis", w.redis.PID()}}
	operations, err := b.operations(ctx)
	if err != nil {
		return all, err
	}
	for _, o := range operations {
		if !o.named(only) {
			continue
		}
		if o.before != nil {
			if err := o.before(ctx); err != nil {
				return all, fmt.Errorf("make %s ready: %w", o.name, err)
			}
		}
		for _, atOnce := range []int{1, 16} {
			f, err := b.middle(ctx, o, atOnce, &all)
			if err != nil {
				return all, fmt.Errorf("%s, %d at once: %w", o.name, atOnce, err)
			}
			all.Figures = append(all.Figures, f)
		}
	}
	if only != "" {
		return all, nil
	}
	all.Desk, err = b.desk(ctx, agent)
	return all, err
}

// middle measures one operation several times and returns the middle one by
// cost.
func (b *bench) middle(ctx context.Context, o operation, atOnce int, all *figures) (figure, error) {
	b.say(fmt.Sprintf("%s, %d at once", o.name, atOnce))
	long := b.round
	if o.hashes {
		long /= 8
	}
	if _, err := measureOne(ctx, b.procs, atOnce, long/4, o.do); err != nil { // so that nothing is new
		return figure{}, err
	}
	var rounds []figure
	for range b.again {
		trips, writes, err := b.asked(ctx)
		if err != nil {
			return figure{}, err
		}
		sign := costBeside(all.Bare.sign)
		f, err := measureOne(ctx, b.procs, atOnce, long, o.do)
		beside, failed := sign()
		if err := errors.Join(err, failed); err != nil {
			return f, err
		}
		f.S = ms(beside)
		if used, err := memoryOf(b.procs[0].pid); err == nil && atOnce > 1 {
			most := &all.LoadBytes
			if o.hashes {
				most = &all.HashBytes
			}
			*most = max(*most, used)
		}
		moreTrips, moreWrites, err := b.asked(ctx)
		if err != nil {
			return f, err
		}
		f.Trips, f.Writes = float64(moreTrips-trips)/float64(f.Count), float64(moreWrites-writes)/float64(f.Count)
		rounds = append(rounds, f)
	}
	slices.SortFunc(rounds, func(a, b figure) int { return cmp.Compare(a.inS(), b.inS()) })
	f := rounds[len(rounds)/2]
	f.Operation, f.Budget = o.name, o.budget
	return f, nil
}

// asked returns how much the stores were asked so far.
func (b *bench) asked(ctx context.Context) (trips, writes int64, err error) {
	rdb := goredis.NewClient(&goredis.Options{Addr: b.world.redis.Address()})
	defer func() { _ = rdb.Close() }()
	info, err := rdb.InfoMap(ctx, "stats").Result()
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscan(info["Stats"]["total_reads_processed"], &trips); err != nil {
		return 0, 0, err
	}
	conn, err := b.world.connect(ctx)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = conn.Close(ctx) }()
	// Only a transaction that writes gets a number.
	err = conn.QueryRow(ctx, `SELECT txid_snapshot_xmax(txid_current_snapshot())`).Scan(&writes)
	return trips, writes, err
}

// startAndRest times the start of the server, and takes its memory when nobody
// asks it anything.
func (b *bench) startAndRest(ctx context.Context, all *figures) error {
	b.say("starting the server")
	s := b.world.servers[0]
	var took []time.Duration
	for range 5 {
		if err := s.stop(); err != nil {
			return err
		}
		began := time.Now()
		if err := s.start(); err != nil {
			return err
		}
		err := until(ctx, func() error {
			a, err := b.world.site().ask(ctx, http.MethodGet, "/.well-known/openid-configuration", nil, "")
			if err == nil && a.status != http.StatusOK {
				err = problem("ask for discovery", a)
			}
			return err
		})
		if err != nil {
			return err
		}
		took = append(took, time.Since(began))
		if err := s.ready(ctx); err != nil {
			return err
		}
	}
	slices.Sort(took)
	all.Start = took[len(took)/2]
	// One sign-in, so that what is made at first use is there.
	if _, err := b.world.flow(0, b.world.client("ES256", nil)).run(ctx); err != nil {
		return err
	}
	wait(ctx, 2*time.Second)
	var err error
	all.IdleBytes, err = memoryOf(s.pid())
	return err
}
