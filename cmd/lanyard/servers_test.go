package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/store/conformance/servers"
	"github.com/lanyard-id/lanyard/store/postgres"
)

// shared are the servers that the tests of this package have between them.
// They start with the first test that asks, and stop with the last.
var shared struct {
	postgres, keys     sync.Once
	noPostgres, noKeys error // why there is none
	pg                 *servers.Postgres
	keyset             []byte // which sealed the keys in the template with keys
	databases          atomic.Int64

	mu        sync.Mutex // of what follows
	all, idle []*servers.Redis
}

// asLanyard is in the environment of a process of this test that is the
// program itself.
const asLanyard = "RUN_AS_LANYARD"

func TestMain(m *testing.M) {
	if os.Getenv(asLanyard) != "" {
		main()
		return
	}
	status := m.Run()
	if shared.pg != nil {
		_ = shared.pg.Stop()
	}
	for _, one := range shared.all {
		_ = one.Stop()
	}
	os.Exit(status)
}

// The databases that tests get copies of: migrated and empty, and the same with
// signing keys.
const (
	template = "template_lanyard"
	withKeys = "template_keys"
)

// aDatabase returns the URL of an empty registry.
func aDatabase(t *testing.T) string {
	t.Helper()
	return newDatabase(t, template)
}

// newDatabase returns the URL of a new database, a copy of from.
func newDatabase(t *testing.T, from string) string {
	t.Helper()
	shared.postgres.Do(func() { shared.pg, shared.noPostgres = startPostgres(context.Background()) })
	if shared.noPostgres != nil {
		t.Fatal(shared.noPostgres)
	}
	url, err := shared.pg.Create(t.Context(), fmt.Sprintf("test_%d", shared.databases.Add(1)), from)
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func startPostgres(ctx context.Context) (*servers.Postgres, error) {
	p, err := servers.StartPostgres(ctx, true)
	if err != nil {
		return p, err
	}
	url, err := p.Create(ctx, template, "")
	if err != nil {
		return p, err
	}
	return p, postgres.Migrate(ctx, url, discard())
}

// aRedis returns the address of a Redis that is this test's own until it ends.
// One that came before may have left something in it, under random names and
// about the same people: two at once would end each other's sessions.
func aRedis(t *testing.T) string {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if len(shared.idle) == 0 {
		one, err := servers.StartRedis(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		shared.all, shared.idle = append(shared.all, one), append(shared.idle, one)
	}
	last := len(shared.idle) - 1
	one := shared.idle[last]
	shared.idle = shared.idle[:last]
	t.Cleanup(func() {
		shared.mu.Lock()
		defer shared.mu.Unlock()
		shared.idle = append(shared.idle, one)
	})
	return one.Address()
}

// aProduction writes what a production server needs to files, with signing
// keys in a registry of its own, and returns the settings.
func aProduction(t *testing.T) map[string]string {
	t.Helper()
	aDatabase(t)
	shared.keys.Do(func() { shared.noKeys = makeKeys(t) })
	if shared.noKeys != nil {
		t.Fatal(shared.noKeys)
	}
	return map[string]string{
		"issuer": "http://localhost:1", "listen": "localhost:0", "ops_listen": "localhost:0",
		"postgres.url": newDatabase(t, withKeys), "redis.addresses": aRedis(t),
		"keys.keyset_file":      written(t, string(shared.keyset)),
		"smartcard.trust_files": authorityFile(t, now),
		"shutdown.drain_delay":  "0s",
	}
}

// makeKeys makes the template with keys.
func makeKeys(t *testing.T) error {
	t.Helper()
	url, err := shared.pg.Create(t.Context(), withKeys, template)
	if err != nil {
		return err
	}
	keyset := filepath.Join(t.TempDir(), "keyset.json")
	settings := map[string]string{"postgres.url": url, "keys.keyset_file": keyset}
	if made := lanyard(t, settings, "keys", "init", "--new-keyset", keyset); made.status != 0 {
		return fmt.Errorf("keys init: %d\n%s", made.status, made.errors)
	}
	shared.keyset, err = os.ReadFile(keyset)
	return err
}

// now makes a certificate good today, whenever that is.
func now(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
}

// program is the program itself with these settings in its environment.
func program(t *testing.T, settings map[string]string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Env = []string{asLanyard + "=1", "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
	for key, value := range settings {
		cmd.Env = append(cmd.Env, setting{key: key}.env()+"="+value)
	}
	return cmd
}

// ran is what came of a run of the program.
type ran struct {
	status      int
	out, errors string
}

// lanyard runs the program to its end.
func lanyard(t *testing.T, settings map[string]string, args ...string) ran {
	t.Helper()
	cmd := program(t, settings, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	return ran{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// serving is a production server that runs as a program.
type serving struct {
	cmd    *exec.Cmd
	people string // the URL that leads to it
	ops    string
	log    string // the file
	ended  chan error
}

// serveOn starts a production server and waits until it is ready.
func serveOn(t *testing.T, settings map[string]string) *serving {
	t.Helper()
	cmd := program(t, settings, "serve")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &serving{cmd: cmd, log: log.Name(), ended: make(chan error, 1)}
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() { s.ended <- cmd.Wait(); close(s.ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-s.ended
		_ = log.Close()
	})
	m := regexp.MustCompile(`^ready issuer=(\S+) ops=(\S+)\n$`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("it said %q, %v\n%s", line, err, s.logged(t))
	}
	s.ops = m[2]
	s.people = "http://" + regexp.MustCompile(`"msg":"ready".*"listen":"([^"]+)"`).FindStringSubmatch(s.logged(t))[1]
	return s
}

func (s *serving) logged(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// signal sends the server a signal.
func (s *serving) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// end waits for the server to end, and returns its status.
func (s *serving) end(t *testing.T) int {
	t.Helper()
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		t.Fatal("it did not end")
	}
	return s.cmd.ProcessState.ExitCode()
}

// status is what a GET of that address is answered with; 0 is nothing.
func status(t *testing.T, address string) int {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// until waits for what must become true soon.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); !so(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("after 20 s still not: %s", what)
		}
	}
}

// settledOf reads settings as the program does.
func settledOf(t *testing.T, settings map[string]string) settled {
	t.Helper()
	c, _, err := readConfig(configSource{environ: environOf(settings)})
	if err != nil {
		t.Fatal(err)
	}
	s, no := settleConfig(c, time.Now)
	if err := no.err(); err != nil {
		t.Fatal(err)
	}
	return s
}

func environOf(settings map[string]string) []string {
	var environ []string
	for key, value := range settings {
		environ = append(environ, setting{key: key}.env()+"="+value)
	}
	return environ
}
