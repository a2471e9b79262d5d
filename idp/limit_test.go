package idp

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestLimit(t *testing.T) {
	for _, tt := range []struct {
		rule     string
		limit    Limit
		failures int
		wait     time.Duration
		locked   bool
	}{
		{"A1: the first five failures cost nothing", GuessLimit, 5, 0, false},
		{"A1: the sixth costs a second", GuessLimit, 6, time.Second, false},
		{"A1: and each after it twice as much", GuessLimit, 9, 8 * time.Second, false},
		{"A1: up to a quarter of an hour", GuessLimit, 15, 512 * time.Second, false},
		{"A1: and no more", GuessLimit, 16, 15 * time.Minute, false},
		{"A1: after 99 there is one more", GuessLimit, 99, 15 * time.Minute, false},
		{"A1: after 100 there is none", GuessLimit, 100, 0, true},
		{"A1: a client's secret is never locked", SecretLimit, 100_000, 15 * time.Minute, false},
		{"A1: who has not failed does not wait", GuessLimit, 0, 0, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if wait, locked := tt.limit.After(tt.failures); wait != tt.wait || locked != tt.locked {
				t.Errorf("After(%d) = %v, %v; want %v, %v", tt.failures, wait, locked, tt.wait, tt.locked)
			}
		})
	}
}

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7":               "192.0.2.7/32",
		"::ffff:192.0.2.7":        "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6":    "2001:db8:1:2::/64",
		"2001:db8:1:2::%eth0":     "2001:db8:1:2::/64",
		"2001:0DB8:1:2:ffff::":    "2001:db8:1:2::/64",
		"::ffff:192.0.2.7%anyone": "192.0.2.7/32",
	} {
		t.Run("F27: another spelling or address of one network is no other network: "+addr, func(t *testing.T) {
			if got := Network(netip.MustParseAddr(addr)).String(); got != want {
				t.Errorf("Network(%s) = %s, want %s", addr, got, want)
			}
		})
	}
	t.Run("own rule: who comes from nowhere has one network too", func(t *testing.T) {
		if got := Network(netip.Addr{}); got != (netip.Prefix{}) {
			t.Errorf("Network of nowhere = %s", got)
		}
	})
}

func TestPause(t *testing.T) {
	t.Run("P21: after an outage they come back between five and ten seconds, not all at once", func(t *testing.T) {
		seen := map[time.Duration]bool{}
		for range 200 {
			pause := Pause(fmt.Errorf("read: %w", ErrUnavailable))
			if pause < 5*time.Second || pause > 10*time.Second {
				t.Fatalf("Pause = %v", pause)
			}
			seen[pause] = true
		}
		if len(seen) < 3 {
			t.Errorf("only %d different pauses", len(seen))
		}
	})
	t.Run("P21: a limit says how long, in whole seconds and never too short", func(t *testing.T) {
		for wait, want := range map[time.Duration]time.Duration{time.Millisecond: time.Second, 1001 * time.Millisecond: 2 * time.Second, time.Minute: time.Minute} {
			if got := Pause(Limited{Wait: wait}); got != want {
				t.Errorf("Pause of %v = %v, want %v", wait, got, want)
			}
		}
	})
	t.Run("own rule: waiting helps against lateness, not against a refusal", func(t *testing.T) {
		if Pause(context.DeadlineExceeded) == 0 || Pause(ErrCode) != 0 {
			t.Error("not so")
		}
	})
}
