package redis_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/conformance"
	"github.com/lanyard-id/lanyard/store/conformance/servers"
	"github.com/lanyard-id/lanyard/store/redis"
)

// TestStore holds every Redis to the same promises: the one inside `lanyard
// dev`, the real one, and a cluster, which refuses a step that touches two of
// its slots.
func TestStore(t *testing.T) {
	for name, start := range map[string]func(*testing.T) goredis.UniversalClient{"miniredis": inProcess, "redis-server": server, "cluster": cluster} {
		t.Run(name, func(t *testing.T) {
			rdb := start(t)
			open := func(t *testing.T) *redis.Store {
				if err := rdb.FlushAll(t.Context()).Err(); err != nil {
					t.Fatal(err)
				}
				return redis.New(rdb, time.Now)
			}
			t.Run("codes", func(t *testing.T) {
				conformance.Codes(t, func(t *testing.T) conformance.CodeStore { return open(t) })
			})
			t.Run("logins", func(t *testing.T) {
				conformance.Logins(t, func(t *testing.T) idp.LoginStore { return open(t) })
			})
			t.Run("sessions", func(t *testing.T) {
				conformance.Sessions(t, func(t *testing.T) idp.SessionStore { return open(t) })
			})
			t.Run("own sessions", func(t *testing.T) {
				conformance.OwnSessions(t, func(t *testing.T) conformance.OwnSessionStore { return open(t) })
			})
			t.Run("departures", func(t *testing.T) {
				conformance.Departures(t, func(t *testing.T) [2]conformance.DepartureStore {
					return [2]conformance.DepartureStore{open(t), redis.New(rdb, time.Now)}
				})
			})
			t.Run("standing", func(t *testing.T) {
				conformance.Standing(t, func(t *testing.T) conformance.StandingStore { return open(t) })
			})
			t.Run("limits", func(t *testing.T) {
				conformance.Limits(t, func(t *testing.T) [2]idp.Limits { return [2]idp.Limits{open(t), redis.New(rdb, time.Now)} })
			})
			t.Run("questions", func(t *testing.T) {
				conformance.Questions(t, func(t *testing.T) [2]authenticators.Questions {
					s := open(t)
					return [2]authenticators.Questions{s.Questions("a"), s.Questions("b")}
				})
			})
			t.Run("transactions", func(t *testing.T) {
				conformance.Transactions(t, func(t *testing.T) conformance.TransactionStore { return open(t) })
			})
			t.Run("own rule: a request that may come again is taken once, and answered for as long as it is kept", func(t *testing.T) { repeats(t, open(t)) })
			t.Run("own rule: no secret is kept, and every key ends", func(t *testing.T) { secrets(t, rdb, open(t)) })
		})
	}
}

func inProcess(t *testing.T) goredis.UniversalClient {
	rdb := goredis.NewClient(&goredis.Options{Addr: miniredis.RunT(t).Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

// server starts a redis-server of its own on a socket in a folder of its own.
func server(t *testing.T) goredis.UniversalClient {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("redis-server is not installed: `make test` installs it")
	}
	dir := t.TempDir()
	socket := filepath.Join(dir, "r.sock")
	cmd := exec.Command(path, "--port", "0", "--unixsocket", socket, "--dir", dir, "--save", "", "--appendonly", "no")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	rdb := goredis.NewClient(&goredis.Options{Network: "unix", Addr: socket,
		MaxRetries: 500, MinRetryBackoff: 10 * time.Millisecond, MaxRetryBackoff: 20 * time.Millisecond}) // until it listens
	t.Cleanup(func() { _ = rdb.Close() })
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Fatalf("redis-server did not answer: %v", err)
	}
	return rdb
}

// cluster is a Redis Cluster of one server, which has every slot.
func cluster(t *testing.T) goredis.UniversalClient {
	one, err := servers.StartRedis(t.Context(), "--save", "", "--appendonly", "no", "--cluster-enabled", "yes")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := one.Stop(); err != nil {
			t.Error(err)
		}
	})
	o := &goredis.UniversalOptions{Addrs: []string{one.Address()}, IsClusterMode: true}
	redis.Harden(o)
	node := goredis.NewClient(o.Simple())
	defer func() { _ = node.Close() }()
	if err := node.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if info := node.ClusterInfo(t.Context()).Val(); strings.Contains(info, "cluster_state:ok") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the cluster is not ready after 30 s")
		}
	}
	rdb := goredis.NewUniversalClient(o)
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}
