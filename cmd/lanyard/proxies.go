package main

import (
	"net/http"
	"net/netip"
	"strings"
)

// originOf returns what says where a request comes from. X-Forwarded-For is a
// stranger's word unless a proxy of ours wrote it, so it is read from its end,
// where the nearest wrote, and only as far as those who wrote are trusted: the
// first that is not is who asked.
func originOf(trusted []netip.Prefix) func(*http.Request) netip.Addr {
	ours := func(a netip.Addr) bool {
		for _, p := range trusted {
			if p.Contains(a) {
				return true
			}
		}
		return false
	}
	return func(r *http.Request) netip.Addr {
		at, ok := hop(r.RemoteAddr)
		if !ok || !ours(at) {
			return at
		}
		written := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
		for written != "" {
			var last string
			if i := strings.LastIndexByte(written, ','); i >= 0 {
				written, last = written[:i], written[i+1:]
			} else {
				written, last = "", written
			}
			a, ok := hop(strings.TrimSpace(last))
			if !ok {
				return at // whoever wrote this is who we know
			}
			if at = a; !ours(at) {
				return at
			}
		}
		return at
	}
}

// hop reads an address, with or without its port.
func hop(text string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	return a.Unmap().WithZone(""), err == nil
}
