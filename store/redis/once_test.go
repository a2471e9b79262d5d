package redis_test

import (
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	wire "github.com/alicebob/miniredis/v2/server"
	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/store/redis"
)

// TestOnce cuts the connection where the answer would come: the command was
// done, and nobody knows.
func TestOnce(t *testing.T) {
	for name, cluster := range map[string]bool{"one Redis": false, "a Cluster": true} {
		t.Run("own rule: no command is sent twice: "+name, func(t *testing.T) {
			m := miniredis.RunT(t)
			var sent atomic.Int32
			m.Server().SetPreHook(func(p *wire.Peer, command string, _ ...string) bool {
				if command != "GETDEL" {
					return false
				}
				sent.Add(1)
				p.Close()
				return true
			})
			o := &goredis.UniversalOptions{Addrs: []string{m.Addr()}, IsClusterMode: cluster}
			redis.Harden(o)
			rdb := goredis.NewUniversalClient(o)
			t.Cleanup(func() { _ = rdb.Close() })
			redis.Watch(rdb, time.Now, func(string, time.Duration, error) {})
			if err := rdb.GetDel(t.Context(), "code").Err(); err == nil || sent.Load() != 1 {
				t.Errorf("it was sent %d times: %v", sent.Load(), err)
			}
		})
	}
}

// TestPatience lets a clock run that the test moves, before a Redis that takes
// connections and says nothing.
func TestPatience(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	const patience = 200 * time.Millisecond
	for _, tt := range []struct {
		rule  string
		given time.Duration
		opens bool
	}{
		{"own rule: a command that was given too little time says nothing of Redis", patience - time.Millisecond, false},
		{"own rule: one that was given enough does", patience, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			o := &goredis.UniversalOptions{Addrs: []string{silent.Addr().String()}}
			redis.Harden(o)
			o.ReadTimeout = 10 * time.Millisecond
			rdb := goredis.NewUniversalClient(o)
			t.Cleanup(func() { _ = rdb.Close() })
			at := time.Now()
			open := redis.Watch(rdb, func() time.Time { at = at.Add(tt.given); return at }, func(string, time.Duration, error) {})
			for range 3 {
				if err := rdb.Ping(t.Context()).Err(); err == nil {
					t.Fatal("it answered")
				}
			}
			if open() != tt.opens {
				t.Errorf("the circuit is open: %v, want %v", !tt.opens, tt.opens)
			}
		})
	}
}
