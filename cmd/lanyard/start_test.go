package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/conformance/servers"
	"github.com/lanyard-id/lanyard/store/postgres"
	"github.com/lanyard-id/lanyard/store/redis"
)

// sql runs a statement in a database.
func sql(t *testing.T, url, statement string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// ownRedis returns the address of a Redis with these settings.
func ownRedis(t *testing.T, args ...string) string {
	t.Helper()
	_, address := aRedisOfOnesOwn(t, args...)
	return address
}

// aRedisOfOnesOwn is a Redis that no other test has.
func aRedisOfOnesOwn(t *testing.T, args ...string) (*servers.Redis, string) {
	t.Helper()
	r, err := servers.StartRedis(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Thaw(); _ = r.Stop() })
	return r, r.Address()
}

// registers puts a client into the registry that registers itself as change
// makes it.
func registers(change func(*idp.Client)) func(*testing.T, map[string]string) {
	return func(t *testing.T, settings map[string]string) {
		t.Helper()
		c := idp.Client{ID: "ward-list", SecretHash: idp.HashSecret("Xk29dLqPwXk29dLqPw"), AuthMethod: idp.SecretBasic, RedirectURIs: []string{"https://ward.example/callback"}}
		change(&c)
		sql(t, settings["postgres.url"], `INSERT INTO clients (id, secret_hash, auth_method, redirect_uris, jwks, id_token_alg, acr_default) VALUES ($1, $2, $3, $4, $5, 'RS256', 'AAL3_ANY')`,
			c.ID, c.SecretHash, c.AuthMethod, c.RedirectURIs, c.JWKS)
	}
}

func keysOf(t *testing.T, key any) []byte {
	t.Helper()
	b, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key, KeyID: "k"}}})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestStart is the part of the matrix of TestRefusals that needs servers: the
// program itself is started, and has to end by itself.
func TestStart(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		rule   string
		change func(t *testing.T, settings map[string]string)
		status int
		want   string
	}{
		{"F35: a database without a schema", func(t *testing.T, s map[string]string) { s["postgres.url"] = newDatabase(t, "template1") }, exitFailed, "postgres: the database has no schema yet; run lanyard migrate up"},
		{"F35: a schema of a later time", func(t *testing.T, s map[string]string) {
			sql(t, s["postgres.url"], "INSERT INTO goose_db_version (version_id, is_applied) VALUES (1000, true)")
		}, exitFailed, "postgres: the schema is at 1000"},
		{"F35: a PostgreSQL that acknowledges what it has not written", func(t *testing.T, s map[string]string) {
			sql(t, s["postgres.url"], `DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$`)
		}, exitFailed, "postgres: synchronous_commit is off"},
		{"F35: a Redis that throws away what it has no room for", func(t *testing.T, s map[string]string) {
			s["redis.addresses"] = ownRedis(t, "--save", "", "--maxmemory-policy", "allkeys-lru")
		}, exitFailed, `redis: maxmemory-policy is "allkeys-lru"`},
		{"F35: a Redis that is a replica", func(t *testing.T, s map[string]string) {
			host, port, _ := strings.Cut(s["redis.addresses"], ":")
			s["redis.addresses"] = ownRedis(t, "--save", "", "--replicaof", host, port)
		}, exitFailed, "redis: it is a replica"},
		{"F35: a Redis that is no Cluster", func(_ *testing.T, s map[string]string) { s["redis.cluster"] = "true" }, exitFailed, "redis.cluster: "},
		{"F35: a Cluster that serves nothing", func(t *testing.T, s map[string]string) {
			s["redis.addresses"] = ownRedis(t, "--save", "", "--cluster-enabled", "yes")
		}, exitFailed, "redis.cluster: is false, and of Redis that is not true"},
		{"F35: a Cluster that nobody made yet", func(t *testing.T, s map[string]string) {
			s["redis.cluster"], s["redis.addresses"] = "true", ownRedis(t, "--save", "", "--cluster-enabled", "yes")
		}, exitFailed, "redis.cluster: this Redis Cluster serves no slot"},
		{"F18: no signing keys", func(t *testing.T, s map[string]string) { sql(t, s["postgres.url"], "DELETE FROM signing_keys") }, exitFailed, "keys: a signing key is missing"},
		{"F18: the keyset of another registry", func(t *testing.T, s map[string]string) {
			other := map[string]string{"postgres.url": aDatabase(t), "keys.keyset_file": filepath.Join(t.TempDir(), "other")}
			if made := lanyard(t, other, "keys", "init", "--new-keyset", other["keys.keyset_file"]); made.status != 0 {
				t.Fatal(made.errors)
			}
			s["keys.keyset_file"] = other["keys.keyset_file"]
		}, exitFailed, "keys: a signing key cannot be used"},
		{"F18: a keyset that was moved away", func(t *testing.T, s map[string]string) {
			if err := os.Rename(s["keys.keyset_file"], s["keys.keyset_file"]+".old"); err != nil {
				t.Fatal(err)
			}
		}, exitFailed, "keys.keyset_file: "},
		{"F18: a keyset that is none", func(t *testing.T, s map[string]string) { s["keys.keyset_file"] = written(t, "a password") }, exitFailed, "keys.keyset_file: "},
		{"F35: an application with the secret of a manual", registers(func(c *idp.Client) { c.SecretHash = idp.HashSecret("demo-secret") }), exitFailed, `client "ward-list": its secret is one that everybody tries first`},
		{"F35: an application with a redirect that is a pattern", registers(func(c *idp.Client) { c.RedirectURIs = []string{"https://*.ward.example/callback"} }), exitFailed, `client "ward-list": the redirect`},
		{"F35: an application with an http redirect elsewhere", registers(func(c *idp.Client) { c.RedirectURIs = []string{"http://ward.example/callback"} }), exitFailed, `client "ward-list": the redirect`},
		{"F35: an application with a weak key", registers(func(c *idp.Client) {
			c.AuthMethod, c.SecretHash, c.JWKS = idp.PrivateKeyJWT, "", keysOf(t, weak.Public())
		}), exitFailed, `client "ward-list": its RSA key "k" has 1024 bits`},
		{"F35: an application whose private key was registered", registers(func(c *idp.Client) {
			c.AuthMethod, c.SecretHash, c.JWKS = idp.PrivateKeyJWT, "", keysOf(t, weak)
		}), exitFailed, `client "ward-list": its key "k" is a private one`},
		{"own rule: no PostgreSQL that answers", func(_ *testing.T, s map[string]string) { s["postgres.url"] = "postgres://lanyard@127.0.0.1:1/x" }, exitUnreached, "connect to PostgreSQL"},
		{"own rule: no Redis that answers", func(_ *testing.T, s map[string]string) { s["redis.addresses"] = "127.0.0.1:1" }, exitUnreached, "ask Redis about itself"},
		{"own rule: an unknown setting is wrong usage", func(_ *testing.T, s map[string]string) { s["isuer"] = "x" }, exitUsage, "environment: unknown setting LANYARD_ISUER: did you mean LANYARD_ISSUER?"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			settings := aProduction(t)
			tt.change(t, settings)
			got := lanyard(t, settings, "serve")
			if got.status != tt.status || got.out != "" || !strings.Contains(got.errors, "\nlanyard: "+tt.want) && !strings.HasPrefix(got.errors, "lanyard: "+tt.want) {
				t.Errorf("it ended with %d and said %q, and\n%s\nwant %d and %q", got.status, got.out, got.errors, tt.status, tt.want)
			}
			for line := range strings.Lines(got.errors) {
				if !strings.HasPrefix(line, "lanyard: ") && !json.Valid([]byte(line)) {
					t.Errorf("it said %q", line)
				}
			}
		})
	}
}

// TestJudge are rules about servers that nobody can start here.
func TestJudge(t *testing.T) {
	good := postgres.Server{Version: oldestPostgres, SynchronousCommit: "on"}
	sound := redis.Server{Version: "7.0.0", Policy: "noeviction", Role: "master"}
	whole := redis.Server{Version: "7.0.0", Policy: "noeviction", Role: "master", Cluster: true, SlotsServed: redis.Slots}
	pg := func(change func(*postgres.Server)) (no refusals) {
		s := good
		change(&s)
		judgePostgres(s, &no)
		return no
	}
	rdb := func(s redis.Server, change func(*redis.Server)) (no refusals) {
		c := RedisConfig{Cluster: s.Cluster}
		change(&s)
		judgeRedis(c, s, &no)
		return no
	}
	schema := func(have, want int64) (no refusals) { judgeSchema(have, want, &no); return no }
	for _, tt := range []struct {
		rule string
		got  refusals
		want string // empty: it is taken
	}{
		{"F35: PostgreSQL 15", pg(func(*postgres.Server) {}), ""},
		{"F35: PostgreSQL 14", pg(func(s *postgres.Server) { s.Version = 140012 }), "PostgreSQL 14 is too old"},
		{"F35: a standby", pg(func(s *postgres.Server) { s.InRecovery = true }), "it is a replica"},
		{"F35: a commit that waits for its own disk alone", pg(func(s *postgres.Server) { s.SynchronousCommit = "local" }), ""},
		{"F35: Redis 7", rdb(sound, func(*redis.Server) {}), ""},
		{"F35: Redis 6", rdb(sound, func(s *redis.Server) { s.Version = "6.2.14" }), "is too old"},
		{"F35: Redis that does not say its version", rdb(sound, func(s *redis.Server) { s.Version = "" }), "is too old"},
		{"F35: Redis that does not say what it throws away", rdb(sound, func(s *redis.Server) { s.Policy = "" }), "maxmemory-policy"},
		{"F35: a whole Cluster", rdb(whole, func(*redis.Server) {}), ""},
		{"F35: a Cluster with a hole", rdb(whole, func(s *redis.Server) { s.SlotsServed-- }), "serves 16383 of 16384 slots"},
		{"F35: the schema of this release", schema(7, 7), ""},
		{"F35: that of the release before", schema(6, 7), ""},
		{"F35: that of the release after", schema(8, 7), ""},
		{"F35: an older one", schema(5, 7), "the schema is at 5"},
		{"F35: a newer one", schema(9, 7), "the schema is at 9"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if tt.want == "" && len(tt.got) > 0 || tt.want != "" && (len(tt.got) != 1 || !strings.Contains(tt.got[0].what, tt.want)) {
				t.Errorf("%v, want %q", tt.got.err(), tt.want)
			}
		})
	}
}

func TestServe(t *testing.T) {
	t.Parallel()
	settings := aProduction(t)
	t.Run("own rule: a server is found under its address, and tells operators that it is ready", func(t *testing.T) {
		s := serveOn(t, settings)
		for _, address := range []string{s.people + "/.well-known/openid-configuration", s.people + "/jwks", s.ops + "/healthz", s.ops + "/readyz", s.ops + "/metrics"} {
			if got := status(t, address); got != http.StatusOK {
				t.Errorf("%s: %d", address, got)
			}
		}
		if got := status(t, s.people+"/dev"); got != http.StatusNotFound {
			t.Errorf("/dev: %d", got)
		}
		s.signal(t, syscall.SIGTERM)
		if got := s.end(t); got != 0 {
			t.Errorf("it ended with %d", got)
		}
	})
	t.Run("F2: readiness flips first, and the server serves on until it is left alone", func(t *testing.T) {
		settings := withSetting(settings, "shutdown.drain_delay", "3s")
		s := serveOn(t, settings)
		s.signal(t, syscall.SIGTERM)
		until(t, "/readyz says no", func() bool { return status(t, s.ops+"/readyz") == http.StatusServiceUnavailable })
		resp, err := http.Get(s.people + "/jwks")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !resp.Close {
			t.Errorf("%d, and the connection closes: %v", resp.StatusCode, resp.Close)
		}
		if got := status(t, s.ops+"/healthz"); got != http.StatusOK {
			t.Errorf("/healthz: %d", got)
		}
		if got := s.end(t); got != 0 {
			t.Errorf("it ended with %d", got)
		}
	})
	t.Run("own rule: a server that leaves seals what came last", func(t *testing.T) {
		settings := aProduction(t)
		s := serveOn(t, settings)
		another, err := postgres.Open(t.Context(), postgres.Config{URL: settings["postgres.url"], Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		defer another.Close()
		if err := another.Record(t.Context(), idp.Event{At: time.Now(), Kind: idp.SignedIn, Request: "last"}); err != nil {
			t.Fatal(err)
		}
		s.signal(t, syscall.SIGTERM)
		if got := s.end(t); got != 0 {
			t.Errorf("it ended with %d", got)
		}
		var report postgres.Report
		seen := lanyard(t, settings, "audit", "verify", "--json")
		if err := json.Unmarshal([]byte(seen.out), &report); err != nil || seen.status != 0 || report.Events != 1 || report.Seals != 1 || report.Unsealed != 0 {
			t.Errorf("%d, %v\n%s%s", seen.status, err, seen.out, seen.errors)
		}
	})
	t.Run("own rule: a second signal ends it at once", func(t *testing.T) {
		s := serveOn(t, withSetting(settings, "shutdown.drain_delay", "1m"))
		s.signal(t, syscall.SIGTERM)
		until(t, "/readyz says no", func() bool { return status(t, s.ops+"/readyz") == http.StatusServiceUnavailable })
		s.signal(t, syscall.SIGTERM)
		if s.end(t); s.cmd.ProcessState.Success() {
			t.Error("it ended as if nothing were")
		}
	})
	t.Run("own rule: killed, it starts again and is ready", func(t *testing.T) {
		s := serveOn(t, settings)
		began := time.Now()
		s.signal(t, syscall.SIGKILL)
		s.end(t)
		serveOn(t, settings)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("that took %v", took)
		}
	})
	t.Run("own rule: what it does not know it refuses to do for a person, and its log is JSON", func(t *testing.T) {
		s := serveOn(t, settings)
		status(t, s.people+"/authorize?client_id=nobody")
		for line := range strings.Lines(s.logged(t)) {
			if !json.Valid([]byte(line)) {
				t.Errorf("the log has %q", line)
			}
		}
	})
}

func withSetting(settings map[string]string, key, value string) map[string]string {
	changed := map[string]string{key: value}
	for k, v := range settings {
		if k != key {
			changed[k] = v
		}
	}
	return changed
}

// count is the number that a statement returns.
func count(t *testing.T, url, statement string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(t.Context(), statement).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}
