package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// newOutside returns the client for addresses that somebody else wrote down:
// the keys of relying parties, where these are told of sign-outs, the status of certificates. Whoever may write
// one must not be able to reach what stands inside our own network, so the
// guard looks at the address that is really dialled, after every look-up of
// its name; it follows no redirect and asks no proxy. A development service
// reaches its own computer as well, and a hospital may name networks of its own
// in which the authorities of its cards stand.
func newOutside(thisComputerToo bool, named ...netip.Prefix) *http.Client {
	return outsideFor(2*time.Second, thisComputerToo, named...)
}

// newApplications is newOutside for what applications are told, who may take
// their time.
func newApplications(thisComputerToo bool, named ...netip.Prefix) *http.Client {
	return outsideFor(5*time.Second, thisComputerToo, named...)
}

// outsideFor is it for an answer within that time.
func outsideFor(answer time.Duration, thisComputerToo bool, named ...netip.Prefix) *http.Client {
	dialer := &net.Dialer{Timeout: answer / 2, Control: func(_, address string, _ syscall.RawConn) error {
		return guard(address, thisComputerToo, named...)
	}}
	return &http.Client{
		Timeout:       answer,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: answer / 2, ResponseHeaderTimeout: answer,
			MaxResponseHeaderBytes: 16 << 10, MaxIdleConnsPerHost: 2, MaxConnsPerHost: 16, IdleConnTimeout: time.Minute,
		},
	}
}

// ownNetworks are networks that net/netip does not know as ours.
var ownNetworks = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),    // RFC 6598: carriers
	netip.MustParsePrefix("192.0.0.0/24"),     // RFC 6890
	netip.MustParsePrefix("198.18.0.0/15"),    // RFC 2544
	netip.MustParsePrefix("240.0.0.0/4"),      // RFC 1112
	netip.MustParsePrefix("::/96"),            // RFC 4291 §2.5.5.1: an IPv4 address in disguise
	netip.MustParsePrefix("64:ff9b::/96"),     // RFC 6052: likewise
	netip.MustParsePrefix("64:ff9b:1::/48"),   // RFC 8215
	netip.MustParsePrefix("2002::/16"),        // RFC 3056: likewise
	netip.MustParsePrefix("2001::/32"),        // RFC 4380: likewise
	netip.MustParsePrefix("::ffff:0:0:0/96"),  // RFC 2765: likewise
	netip.MustParsePrefix("192.88.99.0/24"),   // RFC 7526: likewise
	netip.MustParsePrefix("fec0::/10"),        // RFC 3879: sites
	netip.MustParsePrefix("100::/64"),         // RFC 6666: nobody
	netip.MustParsePrefix("168.63.129.16/32"), // the host of some clouds, for its guests alone
}

// guard refuses an address inside our own network that is not named.
func guard(address string, thisComputerToo bool, named ...netip.Prefix) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %q: %w", address, err)
	}
	ip := at.Addr().Unmap()
	if ip.IsLoopback() && thisComputerToo {
		return nil
	}
	for _, network := range named {
		if network.Contains(ip) {
			return nil
		}
	}
	within := ip.IsLoopback() || ip.IsPrivate() || !ip.IsGlobalUnicast() || ip.Zone() != ""
	for _, network := range ownNetworks {
		within = within || network.Contains(ip)
	}
	if within {
		return fmt.Errorf("dial %s: an address inside our own network", ip)
	}
	return nil
}
