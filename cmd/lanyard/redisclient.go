package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"

	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/store/redis"
)

// quiet takes what the client library says of its own accord. Every command
// that fails says so to who asked.
type quiet struct{}

// Printf implements the library's interface.
func (quiet) Printf(context.Context, string, ...any) {}

// newRedis returns a client of the Redis that c describes. It connects when it
// is first asked.
func newRedis(c RedisConfig, s secrets, no *refusals) goredis.UniversalClient {
	goredis.SetLogger(quiet{})
	o := &goredis.UniversalOptions{
		Addrs: c.Addresses, MasterName: c.SentinelMaster, IsClusterMode: c.Cluster,
		Username: c.Username, Password: s.redisPassword, SentinelPassword: s.sentinelPassword,
		ReadBufferSize: 8 << 10, WriteBufferSize: 8 << 10, DisableIdentity: true,
	}
	redis.Harden(o)
	if c.TLS {
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: redisAuthorities(c.CAFile, no)}
	}
	return goredis.NewUniversalClient(o)
}

// redisAuthorities is nil, the machine's own, without a file.
func redisAuthorities(path string, no *refusals) *x509.CertPool {
	if path == "" {
		return nil
	}
	pool := x509.NewCertPool()
	found, err := readAuthorities(path)
	if err != nil {
		no.add("redis.ca_file", err.Error(), "name a PEM file with the authorities of Redis's certificates")
	}
	for _, c := range found {
		pool.AddCert(c)
	}
	return pool
}
