package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
)

// mistake is a setting that nobody can be safe with.
type mistake struct {
	what string
	key  string            // what the refusal must name
	keys map[string]string // in place of the good ones; "" takes one out
	file string            // a file of the rig to be written first
	text string            // what it holds
}

// mistakes are what operators get wrong. Each alone must keep a server from
// starting.
func mistakes(w *world) []mistake {
	redis, sql := w.toRedis.address(), w.toSQL.address()
	far := "https://id.hospital.example"
	return []mistake{
		{what: "an http issuer for other computers", key: "issuer", keys: map[string]string{"issuer": "http://id.hospital.example"}},
		{what: "no issuer", key: "issuer", keys: map[string]string{"issuer": ""}},
		{what: "an issuer with a query", key: "issuer", keys: map[string]string{"issuer": far + "/?a=b"}},
		{what: "an issuer with a fragment", key: "issuer", keys: map[string]string{"issuer": `"` + far + `#a"`}},
		{what: "a layout that there is not", key: "layout", keys: map[string]string{"layout": "classic"}},
		{what: "health for strangers", key: "ops_listen", keys: map[string]string{"ops_listen": w.servers[0].address}},
		{what: "an address that is none", key: "listen", keys: map[string]string{"listen": "everywhere"}},
		{what: "everybody a trusted proxy", key: "trusted_proxies", keys: map[string]string{"trusted_proxies": `["0.0.0.0/0"]`}},
		{what: "no registry", key: "postgres.url", keys: map[string]string{"postgres.url": ""}},
		{what: "a password in the configuration", key: "postgres.url", keys: map[string]string{"postgres.url": "postgres://lanyard:" + random(16) + "@" + sql + "/lanyard"}},
		{what: "a registry elsewhere without TLS", key: "postgres.url", keys: map[string]string{"postgres.url": "postgres://lanyard@db.hospital.example/lanyard?sslmode=disable"}},
		{what: "a registry elsewhere that proves nothing", key: "postgres.url", keys: map[string]string{"postgres.url": "postgres://lanyard@db.hospital.example/lanyard?sslmode=require"}},
		{what: "a default password of the registry", key: "postgres.url_file", file: "url", text: "postgres://lanyard:postgres@db.hospital.example/lanyard?sslmode=verify-full",
			keys: map[string]string{"postgres.url": "", "postgres.url_file": w.file("url")}},
		{what: "no Redis", key: "redis.addresses", keys: map[string]string{"redis.addresses": "[]"}},
		{what: "a Redis elsewhere without a password", key: "redis.password_file", keys: map[string]string{"redis.addresses": "[redis.hospital.example:6379]", "redis.tls": "true"}},
		{what: "a Redis elsewhere without TLS", key: "redis.tls", file: "password", text: random(16),
			keys: map[string]string{"redis.addresses": "[redis.hospital.example:6379]", "redis.password_file": w.file("password")}},
		{what: "two Redis that are nothing to each other", key: "redis.addresses", keys: map[string]string{"redis.addresses": "[" + redis + ", localhost:1]"}},
		{what: "no keyset", key: "keys.keyset_file", keys: map[string]string{"keys.keyset_file": ""}},
		{what: "a keyset that is not there", key: "keys.keyset_file", keys: map[string]string{"keys.keyset_file": w.file("nowhere")}},
		{what: "a keyset that is none", key: "keys.keyset_file", file: "none", text: "hunter2", keys: map[string]string{"keys.keyset_file": w.file("none")}},
		{what: "no card authority", key: "smartcard.trust_files", keys: map[string]string{"smartcard.trust_files": "[]"}},
		{what: "an empty file of card authorities", key: "smartcard.trust_files", file: "empty.pem", text: "\n", keys: map[string]string{"smartcard.trust_files": "[" + w.file("empty.pem") + "]"}},
		{what: "revocation asked in no known way", key: "smartcard.revocation", keys: map[string]string{"smartcard.revocation": "never"}},
		{what: "a session longer than the rules allow", key: "policy.aal3_max", keys: map[string]string{"policy.aal3_max": "24h"}},
		{what: "an idle time longer than the rules allow", key: "policy.aal3_idle", keys: map[string]string{"policy.aal3_idle": "1h"}},
		{what: "a key that is misspelt", key: "isuer", keys: map[string]string{"isuer": far}},
	}
}

// refuseSettings is F35.
func refuseSettings(ctx context.Context, t *trial) error {
	return t.in(ctx, plan{servers: 1, direct: true, people: 1}, func(w *world) error {
		s := w.servers[0]
		if err := s.stop(); err != nil {
			return err
		}
		var broken findings
		all := mistakes(w)
		for _, m := range all {
			broken.add(w.tryMistake(ctx, s, m))
		}
		rdb := admin(w.redis)
		defer func() { _ = rdb.Close() }()
		if err := rdb.ConfigSet(ctx, "maxmemory-policy", "allkeys-lru").Err(); err != nil {
			return err
		}
		broken.add(w.tryMistake(ctx, s, mistake{what: "a Redis that throws away what it likes", key: "maxmemory-policy"}))
		if err := rdb.ConfigSet(ctx, "maxmemory-policy", "noeviction").Err(); err != nil {
			return err
		}
		if err := broken.err(); err != nil {
			return err
		}
		t.report("%d unsafe settings, each refused by its name", len(all)+1)
		if err := w.configure(s, ""); err != nil {
			return err
		}
		_, err := s.run(ctx)
		return err
	})
}

func (w *world) tryMistake(ctx context.Context, s *server, m mistake) error {
	if m.file != "" {
		if err := os.WriteFile(w.file(m.file), []byte(m.text), 0o600); err != nil {
			return err
		}
	}
	good := w.plan.policy
	w.plan.policy = maps.Clone(m.keys)
	err := w.configure(s, "127.0.0.1:1")
	w.plan.policy = good
	if err != nil {
		return err
	}
	says, err := w.mustRefuse(ctx, s)
	if err != nil {
		return fmt.Errorf("%s: %w", m.what, err)
	}
	if !strings.Contains(says, m.key) {
		return fmt.Errorf("%s: the refusal does not name %s: %q", m.what, m.key, says)
	}
	return nil
}
