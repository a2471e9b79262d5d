package main

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestOrigin(t *testing.T) {
	from := originOf([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/64")})
	for _, tt := range []struct {
		rule, remote string
		forwarded    []string
		want         string
	}{
		{"own rule: who comes without a proxy is who they are", "203.0.113.9:1234", nil, "203.0.113.9"},
		{"own rule: a stranger's X-Forwarded-For is not believed", "203.0.113.9:1234", []string{"198.51.100.1"}, "203.0.113.9"},
		{"own rule: that of a trusted proxy is", "10.1.2.3:80", []string{"198.51.100.1"}, "198.51.100.1"},
		{"own rule: what a stranger wrote before a proxy wrote does not count", "10.1.2.3:80", []string{"1.2.3.4, 198.51.100.1"}, "198.51.100.1"},
		{"own rule: two proxies of ours are walked past", "10.1.2.3:80", []string{"1.2.3.4", "198.51.100.1, 10.1.9.9"}, "198.51.100.1"},
		{"own rule: a request of a proxy itself is the proxy's", "10.1.2.3:80", nil, "10.1.2.3"},
		{"own rule: what nobody can read ends the walk", "10.1.2.3:80", []string{"198.51.100.1, x, 10.1.9.9"}, "10.1.9.9"},
		{"own rule: ports and IPv6 are read", "[fd00::1]:80", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		{"own rule: an IPv4 address in disguise is that address", "[::ffff:10.1.2.3]:80", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{"X-Forwarded-For": tt.forwarded}}
			if got := from(r); got.String() != tt.want {
				t.Errorf("it comes from %v, want %s", got, tt.want)
			}
		})
	}
}

func FuzzOrigin(f *testing.F) {
	f.Add("10.1.2.3:80", "1.2.3.4, 198.51.100.1, 10.1.9.9")
	f.Add("[fd00::1%eth0]:80", "[2001:db8::7]:4711,,")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	from := originOf(trusted)
	f.Fuzz(func(t *testing.T, remote, forwarded string) {
		got := from(&http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {forwarded}}})
		if near, ok := hop(remote); ok && !trusted[0].Contains(near) && got != near {
			t.Errorf("%v, whom nobody trusts, passes as %v", near, got)
		}
		if got.Zone() != "" || got.Is4In6() {
			t.Errorf("one address has another spelling: %v", got)
		}
	})
}
