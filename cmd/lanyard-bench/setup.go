package main

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
)

// configure writes the configuration of a server. traces is where its traces
// go.
func (w *world) configure(s *server, traces string) error {
	sql, err := url.Parse(w.postgres.URL(w.database))
	if err != nil {
		return err
	}
	sql.Host = w.toSQL.address()
	keys := map[string]string{
		"issuer": w.issuer.String(), "listen": s.address, "ops_listen": s.ops, "trusted_proxies": "[127.0.0.0/8]",
		"postgres.url": sql.String(), "redis.addresses": "[" + w.toRedis.address() + "]",
		"keys.keyset_file": w.file("keyset.json"), "smartcard.trust_files": "[" + w.file("trust.pem") + "]",
		"smartcard.ocsp_networks": "[127.0.0.0/8]",
		"shutdown.drain_delay":    "2s", // ten times as long as the balancer takes to notice
	}
	if traces != "" {
		keys["tracing.endpoint"] = "http://" + traces
	}
	maps.Copy(keys, w.plan.policy)
	return os.WriteFile(s.config, []byte(asYAML(keys)), 0o600)
}

// asYAML writes settings, by their paths, as the file of a server. An empty
// one is left out.
func asYAML(keys map[string]string) string {
	var b strings.Builder
	var above []string
	for _, path := range slices.Sorted(maps.Keys(keys)) {
		if keys[path] == "" {
			continue
		}
		parts := strings.Split(path, ".")
		for i, part := range parts[:len(parts)-1] {
			if i < len(above) && above[i] == part {
				continue
			}
			above = append(above[:min(i, len(above))], part)
			fmt.Fprintf(&b, "%s%s:\n", strings.Repeat("  ", i), part)
		}
		above = above[:min(len(parts)-1, len(above))]
		fmt.Fprintf(&b, "%s%s: %s\n", strings.Repeat("  ", len(parts)-1), parts[len(parts)-1], keys[path])
	}
	return b.String()
}

// preparations are the commands that make an empty database into a service
// with people.
func (w *world) preparations() [][]string {
	return [][]string{
		{"migrate", "up"},
		{"keys", "init", "--new-keyset", w.file("keyset.json")},
		{"bootstrap", w.crowd.busy.uid, "--directory", w.file("directory.yaml"), "--organisation", "RX9"},
	}
}
