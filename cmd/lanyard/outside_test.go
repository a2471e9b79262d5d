package main

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"
)

func TestGuard(t *testing.T) {
	t.Run("own rule: no address inside our own network is dialled", func(t *testing.T) {
		for _, address := range []string{
			"127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "10.0.0.1:443", "172.16.0.1:443", "192.168.1.1:443", "169.254.169.254:80", "0.0.0.0:80",
			"[::]:80", "[fe80::1]:80", "[fe80::1%eth0]:80", "[fd00::1]:80", "[::ffff:127.0.0.1]:80", "[::ffff:10.0.0.1]:80", "100.64.0.1:80",
			"224.0.0.1:80", "[ff02::1]:80", "255.255.255.255:80", "[64:ff9b::7f00:1]:80", "[2002:7f00:1::]:80", "[fec0::1]:80", "[::ffff:0:7f00:1]:80", "192.88.99.1:80", "168.63.129.16:80", "[100::1]:80", "[::10.0.0.1]:80", "localhost:80", "",
		} {
			if guard(address, false) == nil {
				t.Errorf("%s is let through", address)
			}
		}
		for _, address := range []string{"93.184.216.34:443", "[2606:2800:220:1::1]:443"} {
			if err := guard(address, false); err != nil {
				t.Errorf("%s: %v", address, err)
			}
		}
	})
	t.Run("own rule: a network of one's own is reached where it is named, and no other", func(t *testing.T) {
		named := netip.MustParsePrefix("10.20.0.0/16")
		if guard("10.20.1.1:80", false, named) != nil || guard("[::ffff:10.20.1.1]:80", false, named) != nil || guard("10.21.1.1:80", false, named) == nil || guard("127.0.0.1:80", false, named) == nil {
			t.Error("the guard is wrong")
		}
	})
	t.Run("own rule: development reaches its own computer, and nothing else inside", func(t *testing.T) {
		if guard("127.0.0.1:80", true) != nil || guard("[::1]:80", true) != nil || guard("10.0.0.1:80", true) == nil {
			t.Error("the guard is wrong")
		}
	})
	t.Run("own rule: no proxy dials in our place, whatever the environment says: nobody guards what it dials", func(t *testing.T) {
		var asked atomic.Int32
		proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
		t.Cleanup(proxy.Close)
		t.Setenv("HTTP_PROXY", proxy.URL)
		for _, client := range []*http.Client{newOutside(true), newApplications(true)} {
			resp, err := client.Get("http://nobody.invalid/")
			if err == nil {
				_ = resp.Body.Close()
			}
			if err == nil || asked.Load() != 0 {
				t.Errorf("%v, and the proxy was asked %d times", err, asked.Load())
			}
		}
	})
}
