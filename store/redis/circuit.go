package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/lanyard-id/lanyard/idp"
)

const (
	answerTime = time.Second            // what Redis has to answer in
	opensAfter = 3                      // commands in a row that it did not answer in time
	probeEvery = 250 * time.Millisecond // how often one is let through to see whether it answers again
	patience   = 200 * time.Millisecond // a command that was given less says nothing of Redis
	stale      = time.Minute            // an open circuit that nobody tries stands before what is gone
)

// Harden sets what holds a client to its deadlines. A request's deadline ends
// its commands, and no command is sent twice: an answer that was lost on the
// way may have been the one use of a code.
//
// It also leaves out what costs something with every command and is of no use
// here: Redis is to speak only when it is asked, so RESP2 will do, and what is
// read in one trip needs no connections of its own.
func Harden(o *goredis.UniversalOptions) {
	o.ContextTimeoutEnabled = true
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout, o.PoolTimeout = answerTime, answerTime, answerTime, answerTime
	o.DialerRetries, o.MaxRetries = 1, -1
	o.DisableIdentity = true
	o.Protocol, o.PipelinePoolSize = 2, -1
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// Watch puts a circuit before every server that rdb speaks to, and tells seen
// of every command: its name, how long it took, and why it got no answer. It
// returns a function that says whether a circuit is open. rdb must be new.
//
// While Redis is frozen every command would wait for the whole of its deadline,
// and people with it. An open circuit fails them at once, and closes by itself
// when a command that was let through is answered.
func Watch(rdb goredis.UniversalClient, now func() time.Time, seen func(operation string, took time.Duration, err error)) (open func() bool) {
	var (
		mu  sync.Mutex
		all []*circuit
	)
	add := func(server interface{ AddHook(goredis.Hook) }, node bool) {
		c := &circuit{now: now, seen: seen, node: node}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, c)
		server.AddHook(c)
	}
	if cluster, ok := rdb.(*goredis.ClusterClient); ok {
		cluster.OnNewNode(func(node *goredis.Client) { add(node, true) })
	} else {
		add(rdb, false)
	}
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return slices.ContainsFunc(all, (*circuit).isOpen)
	}
}

// circuit stands before one server.
type circuit struct {
	now  func() time.Time
	seen func(operation string, took time.Duration, err error)
	node bool // of a Cluster

	mu       sync.Mutex
	timeouts int       // in a row
	tried    time.Time // when a command was last let through an open circuit
}

var errOpen = fmt.Errorf("%w: the circuit is open", idp.ErrUnavailable)

// withinKey marks the context of a command that was let through: the greeting
// on a connection that it opens belongs to it.
type withinKey struct{}

// through runs a command if the circuit lets it.
func (c *circuit) through(ctx context.Context, operation string, run func(context.Context) error) error {
	if ctx.Value(withinKey{}) != nil {
		return run(ctx)
	}
	start := c.now()
	if !c.lets(start) {
		c.seen(operation, 0, errOpen)
		return errOpen
	}
	err := run(context.WithValue(ctx, withinKey{}, true))
	end := c.now()
	reply, answered := errors.AsType[goredis.Error](err)
	answered = answered || err == nil
	c.learn(answered, err, end.Sub(start), end)
	if reply != nil && (errors.Is(err, goredis.Nil) || goredis.HasErrorPrefix(err, "NOSCRIPT")) {
		c.seen(operation, end.Sub(start), nil)
	} else {
		c.seen(operation, end.Sub(start), err)
	}
	return err
}

func (c *circuit) lets(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timeouts < opensAfter {
		return true
	}
	if since := now.Sub(c.tried); since >= 0 && since < probeEvery { // below 0 the clock went back
		return false
	}
	c.tried = now
	return true
}

// learn draws from the outcome of a command whether Redis answers.
func (c *circuit) learn(answered bool, err error, took time.Duration, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if answered {
		c.timeouts = 0
		return
	}
	late, ok := errors.AsType[net.Error](err)
	if took < patience || (!ok || !late.Timeout()) && !errors.Is(err, goredis.ErrPoolTimeout) {
		return
	}
	if c.timeouts++; c.timeouts == opensAfter {
		c.tried = now
	}
}

func (c *circuit) isOpen() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.timeouts >= opensAfter && c.now().Sub(c.tried) < stale
}

// DialHook implements goredis.Hook.
func (c *circuit) DialHook(next goredis.DialHook) goredis.DialHook { return next }

// ProcessHook implements goredis.Hook.
func (c *circuit) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := c.through(ctx, cmd.Name(), func(ctx context.Context) error { return next(ctx, cmd) })
		if errors.Is(err, errOpen) {
			cmd.SetErr(err)
		}
		if c.node && mayBeDone(err) {
			return silence{err}
		}
		return err
	}
}

// silence is of a command that a node of a Cluster was sent and did not answer.
// It hides why: where the client of a Cluster sees that a connection broke, it
// sends the command again whatever Harden set. Pipelines are beyond this.
type silence struct{ why error }

// Error returns the reason.
func (s silence) Error() string { return s.why.Error() }

// mayBeDone says whether err leaves open that the command was done.
func mayBeDone(err error) bool {
	if _, replied := errors.AsType[goredis.Error](err); err == nil || replied {
		return false
	}
	op, ok := errors.AsType[*net.OpError](err)
	dial := ok && op.Op == "dial"
	return !dial && !errors.Is(err, goredis.ErrPoolTimeout) && !errors.Is(err, goredis.ErrClosed) && !errors.Is(err, errOpen)
}

// ProcessPipelineHook implements goredis.Hook.
func (c *circuit) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []goredis.Cmder) error {
		err := c.through(ctx, "pipeline", func(ctx context.Context) error { return next(ctx, cmds) })
		if errors.Is(err, errOpen) {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		}
		return err
	}
}
