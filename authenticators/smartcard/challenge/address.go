package challenge

import "strings"

// SameGateway compares two addresses of gateways, each a scheme and a host, as RFC
// 3986 §6.2.2 and §6.2.3 do.
func SameGateway(a, b string) bool {
	plain := func(address string) string {
		scheme, host, _ := strings.Cut(strings.ToLower(address), "://")
		return scheme + "://" + strings.TrimSuffix(host, map[string]string{"https": ":443", "http": ":80"}[scheme])
	}
	return plain(a) == plain(b)
}
