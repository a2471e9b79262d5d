package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// aCluster returns the address of a Cluster of one node, which serves every
// slot.
func aCluster(t *testing.T) string {
	t.Helper()
	at := ownRedis(t, "--save", "", "--cluster-enabled", "yes")
	rdb := goredis.NewClient(&goredis.Options{Addr: at})
	t.Cleanup(func() { _ = rdb.Close() })
	if err := rdb.ClusterAddSlotsRange(t.Context(), 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	until(t, "the Cluster works", func() bool { return rdb.Set(t.Context(), "x", "y", time.Second).Err() == nil })
	return at
}

// aSentinel returns the address of a Sentinel that watches the Redis at
// address as "clinic".
func aSentinel(t *testing.T, address string) string {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().String()
	_, own, _ := net.SplitHostPort(at)
	_ = l.Close()
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	if err := os.WriteFile(conf, fmt.Appendf(nil, "bind 127.0.0.1\nport %s\nsentinel monitor clinic %s %s 1\n", own, host, port), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "redis-server", conf, "--sentinel")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	s := goredis.NewSentinelClient(&goredis.Options{Addr: at})
	t.Cleanup(func() { _ = s.Close() })
	until(t, "the Sentinel knows the primary", func() bool { return s.GetMasterAddrByName(t.Context(), "clinic").Err() == nil })
	return at
}

func TestKindsOfRedis(t *testing.T) {
	t.Parallel()
	settings := aProduction(t)
	t.Run("own rule: a server stands on a Cluster", func(t *testing.T) {
		s := serveOn(t, withSetting(withSetting(settings, "redis.cluster", "true"), "redis.addresses", aCluster(t)))
		if got := status(t, s.ops+"/readyz"); got != http.StatusOK {
			t.Errorf("/readyz: %d", got)
		}
	})
	t.Run("own rule: a server asks Sentinels where the primary is", func(t *testing.T) {
		s := serveOn(t, withSetting(withSetting(settings, "redis.sentinel_master", "clinic"), "redis.addresses", aSentinel(t, aRedis(t))))
		if got := status(t, s.ops+"/readyz"); got != http.StatusOK {
			t.Errorf("/readyz: %d", got)
		}
	})
	t.Run("own rule: without PostgreSQL or Redis a server is not ready, and is again when they are back", func(t *testing.T) {
		r, address := aRedisOfOnesOwn(t)
		s := serveOn(t, withSetting(settings, "redis.addresses", address))
		if err := r.Freeze(); err != nil {
			t.Fatal(err)
		}
		until(t, "/readyz says no", func() bool { return status(t, s.ops+"/readyz") == http.StatusServiceUnavailable })
		if got := status(t, s.ops+"/healthz"); got != http.StatusOK {
			t.Errorf("/healthz: %d", got)
		}
		if err := r.Thaw(); err != nil {
			t.Fatal(err)
		}
		until(t, "/readyz says yes", func() bool { return status(t, s.ops+"/readyz") == http.StatusOK })
	})
}
