package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	goredis "github.com/redis/go-redis/v9"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/cardca"
)

// bare is what the parts cost that no provider can do without, on this machine
// and in this run.
type bare struct {
	RS256    time.Duration `json:"rs256"`    // S: one RSA-2048 signature
	ES256    time.Duration `json:"es256"`    // one P-256 signature
	Card     time.Duration `json:"card"`     // check a card's answer on an RSA-2048 path
	HTTP     time.Duration `json:"http"`     // answer one request
	Redis    time.Duration `json:"redis"`    // one round trip, both ends
	Postgres time.Duration `json:"postgres"` // one row of its own transaction, both ends

	sign func() error // what S is the cost of
}

// trying is how long each is timed.
const trying = 400 * time.Millisecond

// signatures times what this program can time by itself.
func (b *bare) signatures() error {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte("what is signed"))
	b.sign = func() error {
		_, err := rsa.SignPKCS1v15(nil, rsaKey, crypto.SHA256, digest[:])
		return err
	}
	if b.RS256, err = costOf(trying, b.sign); err != nil {
		return err
	}
	if b.ES256, err = costOf(trying, func() error {
		_, err := ecdsa.SignASN1(rand.Reader, ecKey, digest[:])
		return err
	}); err != nil {
		return err
	}
	b.Card, err = cardCost(rsaKey, digest[:])
	return err
}

// cardCost is what checking one card's answer costs: its certificate up to the
// root, and the signature.
func cardCost(key *rsa.PrivateKey, digest []byte) (time.Duration, error) {
	ca, err := cardca.New(cardca.Config{Now: time.Now, RSA: true})
	if err != nil {
		return 0, err
	}
	now := time.Now()
	leaf, err := ca.Issue(cardca.Request{Key: key.Public(), Serial: "01", UID: "555000000001", NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour)})
	if err != nil {
		return 0, err
	}
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
	signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest, pss)
	if err != nil {
		return 0, err
	}
	options := x509.VerifyOptions{Roots: ca.Pool(), Intermediates: ca.Intermediates(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	return costOf(trying, func() error {
		c, err := x509.ParseCertificate(leaf.Raw)
		if err != nil {
			return err
		}
		if _, err := c.Verify(options); err != nil {
			return err
		}
		return rsa.VerifyPSS(&key.PublicKey, crypto.SHA256, digest, signature, pss)
	})
}

// The environment of the program that runBare is: where it listens and what it
// asks.
const (
	bareListen   = "LANYARD_BENCH_LISTEN"
	bareRedis    = "LANYARD_BENCH_REDIS"
	barePostgres = "LANYARD_BENCH_SQL"
)

// runBare is a server that does nothing but what every provider must: answer a
// request, ask Redis once, write one row.
func runBare(ctx context.Context) error {
	rdb := goredis.NewClient(&goredis.Options{Addr: os.Getenv(bareRedis)})
	defer func() { _ = rdb.Close() }()
	pool, err := pgxpool.New(ctx, os.Getenv(barePostgres))
	if err != nil {
		return err
	}
	defer pool.Close()
	mux := http.NewServeMux()
	say := func(w http.ResponseWriter, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write([]byte("hello\n"))
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { say(w, nil) })
	mux.HandleFunc("GET /redis", func(w http.ResponseWriter, r *http.Request) {
		say(w, rdb.Set(r.Context(), "bare", "value", time.Minute).Err())
	})
	mux.HandleFunc("GET /postgres", func(w http.ResponseWriter, r *http.Request) {
		_, err := pool.Exec(r.Context(), `INSERT INTO bare (event) VALUES ($1)`, rand.Text()+rand.Text()+rand.Text())
		say(w, err)
	})
	srv := &http.Server{Addr: os.Getenv(bareListen), Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return srv.ListenAndServe()
}

// stores times the rest against a program of its own, as the server is one.
func (b *bare) stores(ctx context.Context, w *world) error {
	conn, err := w.connect(ctx)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `CREATE TABLE bare (id bigserial PRIMARY KEY, event text NOT NULL)`)
	_ = conn.Close(ctx)
	if err != nil {
		return err
	}
	l, err := listen()
	if err != nil {
		return err
	}
	at := l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, "bare")
	cmd.Env = append(os.Environ(), bareListen+"="+at, bareRedis+"="+w.redis.Address(), barePostgres+"="+w.postgres.URL(w.database))
	cmd.Stderr, cmd.SysProcAttr = os.Stderr, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	s := w.siteAt(at)
	get := func(path string) func(context.Context, int) error {
		return func(ctx context.Context, _ int) error {
			a, err := s.ask(ctx, http.MethodGet, path, nil, "")
			if err == nil && a.status != http.StatusOK {
				err = problem("ask the bare server", a)
			}
			return err
		}
	}
	if err := until(ctx, func() error { return get("/")(ctx, 0) }); err != nil {
		return err
	}
	watched := []watched{{"bare server", cmd.Process.Pid}, {"PostgreSQL", w.postgres.PID()}, {"Redis", w.redis.PID()}}
	costs := map[string]time.Duration{}
	for _, path := range []string{"/", "/redis", "/postgres"} {
		f, err := measureOne(ctx, watched, 16, 2*time.Second, get(path))
		if err != nil {
			return fmt.Errorf("measure %s: %w", path, err)
		}
		costs[path] = f.total()
	}
	b.HTTP, b.Redis, b.Postgres = costs["/"], costs["/redis"]-costs["/"], costs["/postgres"]-costs["/"]
	return nil
}

// floor is what a whole sign-in by card cannot cost less than: its requests,
// its trips, one check of a card and one signature.
func (b bare) floor(signature time.Duration) time.Duration {
	const requests, trips = 6, 7
	return requests*b.HTTP + trips*b.Redis + b.Card + signature
}
