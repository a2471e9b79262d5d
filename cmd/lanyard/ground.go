package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/lanyard-id/lanyard/store/postgres"
	"github.com/lanyard-id/lanyard/store/redis"
)

// clockLimit is how far the clocks of two servers may differ before an operator
// should know: what lives for a minute has little room.
const clockLimit = 10 * time.Second

// apart says whether two clocks differ by more than clockLimit.
func apart(d time.Duration) bool { return d.Abs() > clockLimit }

// oldestPostgres is the oldest PostgreSQL that this is tested on.
const oldestPostgres = 150000

// oldestRedis is the same for Redis.
const oldestRedis = 7

// judgePostgres says why we cannot stand on that PostgreSQL.
func judgePostgres(s postgres.Server, no *refusals) {
	const key = "postgres"
	if s.Version < oldestPostgres {
		no.add(key, fmt.Sprintf("PostgreSQL %d is too old", s.Version/10000), "use 15 or newer")
	}
	if s.SynchronousCommit == "off" {
		no.add(key, "synchronous_commit is off, so what is acknowledged can be lost", "set it to on, for this database at least: ALTER DATABASE ... SET synchronous_commit = on")
	}
	if s.InRecovery {
		no.add(key, "it is a replica, which takes no writes", "name the primary, or add target_session_attrs=read-write to a URL of several hosts")
	}
}

// judgeSchema says why this release cannot work on that schema: it needs its
// own, that of the release before or that of the release after.
func judgeSchema(have, want int64, no *refusals) {
	const key = "postgres"
	switch {
	case have == 0:
		no.add(key, "the database has no schema yet", "run lanyard migrate up")
	case have < want-1:
		no.add(key, fmt.Sprintf("the schema is at %d, and this release needs %d or %d", have, want-1, want), "run lanyard migrate up")
	case have > want+1:
		no.add(key, fmt.Sprintf("the schema is at %d, and this release knows none after %d", have, want+1), "run a newer release")
	}
}

// judgeRedis says why we cannot stand on that Redis.
func judgeRedis(c RedisConfig, s redis.Server, no *refusals) {
	const key = "redis"
	at := ""
	if s.Address != "" {
		at = " at " + s.Address
	}
	if s.Major() < oldestRedis {
		no.add(key, fmt.Sprintf("Redis %.20s%s is too old", s.Version, at), "use 7 or newer")
	}
	if s.Policy != "noeviction" {
		no.add(key, fmt.Sprintf("maxmemory-policy%s is %.30q: when memory is short it throws away sessions and counters of failures", at, s.Policy), "set maxmemory-policy noeviction")
	}
	if s.Role != "master" {
		no.add(key, "it is a replica"+at+", which takes no writes", "name the primary, or let Sentinels find it (redis.sentinel_master)")
	}
	if s.Cluster != c.Cluster {
		no.add("redis.cluster", fmt.Sprintf("is %v, and of Redis%s that is not true", c.Cluster, at), "set redis.cluster to %v", s.Cluster)
	}
	if s.Cluster && s.SlotsServed != redis.Slots {
		no.add(key, fmt.Sprintf("the Cluster serves %d of %d slots", s.SlotsServed, redis.Slots), "mend it: redis-cli --cluster fix")
	}
}

// judgeCluster says why a Cluster could not be asked, if that is its own
// fault, and whether it was.
func judgeCluster(err error, no *refusals) bool {
	switch {
	case errors.Is(err, redis.ErrNoCluster):
		no.add("redis.cluster", err.Error(), "set redis.cluster to false")
	case errors.Is(err, redis.ErrEmptyCluster):
		no.add("redis.cluster", err.Error(), "make it: redis-cli --cluster create")
	default:
		return false
	}
	return true
}

// checkServers asks PostgreSQL and Redis about themselves, and says why we
// cannot stand on them. Its connections are its own: what watches those of the
// service counts from their first command.
func checkServers(ctx context.Context, s settled, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var no refusals
	rdb := newRedis(s.Redis, s.secrets, &no)
	defer func() { _ = rdb.Close() }()

	pg, err := postgres.Inspect(ctx, s.secrets.postgresURL, time.Now)
	if err != nil {
		return exit{exitUnreached, err}
	}
	judgePostgres(pg, &no)
	if !pg.FSync || !pg.FullPageWrites {
		log.ErrorContext(ctx, "PostgreSQL runs with fsync or full_page_writes off: what it acknowledges is lost, or its files with it, when its machine fails")
	}
	noteClock(ctx, log, "postgres", pg.Ahead)

	nodes, err := redis.Inspect(ctx, rdb, time.Now)
	if judgeCluster(err, &no) {
		return no.err()
	}
	if err != nil {
		return exit{exitUnreached, err}
	}
	for _, node := range nodes {
		judgeRedis(s.Redis, node, &no)
		noteClock(ctx, log, "redis", node.Ahead)
	}
	return no.err()
}

// noteClock tells operators of a clock that is too far from ours. It stops
// nothing: which of the two is wrong, nobody here can say, and no decision is
// made by another's clock.
func noteClock(ctx context.Context, log *slog.Logger, of string, ahead time.Duration) {
	if apart(ahead) {
		log.WarnContext(ctx, "clocks differ", "of", of, "ahead_seconds", ahead.Seconds())
	}
}

// patience bounds what a command asks before it gives up.
const patience = 5 * time.Second
