package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// logbook is something that was written and can be read again.
type logbook struct {
	mu    sync.Mutex
	bytes []byte
}

func (l *logbook) add(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes = append(append(l.bytes, b...), '\n')
}

func (l *logbook) read() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.bytes)
}

// window is how many bytes of a secret are compared first. Shorter secrets are
// looked for one by one.
const window = 16

// needles are secrets, ready to be looked for in much text at once.
type needles struct {
	byStart map[string][]string
	short   []string
	kinds   map[string]string
}

func newNeedles(secrets map[string]string) needles {
	n := needles{byStart: map[string][]string{}, kinds: secrets}
	for s := range secrets {
		if len(s) < window {
			n.short = append(n.short, s)
			continue
		}
		n.byStart[s[:window]] = append(n.byStart[s[:window]], s)
	}
	return n
}

// find returns the kinds of secrets that are in text, without the secrets.
func (n needles) find(text []byte) []string {
	var found []string
	for _, s := range n.short {
		if bytes.Contains(text, []byte(s)) {
			found = append(found, n.kinds[s])
		}
	}
	for i := range max(0, len(text)-window+1) {
		for _, s := range n.byStart[string(text[i:i+window])] {
			if bytes.HasPrefix(text[i:], []byte(s)) {
				found = append(found, n.kinds[s])
			}
		}
	}
	return found
}

// searchLeaks looks for every secret that anybody of the rig ever held in
// everything that the service wrote: logs, metrics, traces, what commands
// printed to errors, the state of all goroutines at a crash, and what the
// stores keep on disk. It ends the servers.
func (w *world) searchLeaks(ctx context.Context) error {
	secrets := w.ledger.heard()
	if err := w.addKeyset(secrets); err != nil {
		return err
	}
	n := newNeedles(secrets)
	var leaks []string
	look := func(where string, text []byte) {
		for _, kind := range n.find(text) {
			leaks = append(leaks, kind+" in "+where)
		}
	}
	for _, s := range w.servers {
		if alive(s) {
			text, err := w.metrics(ctx, s)
			if err != nil {
				return err
			}
			look("the metrics of "+s.name, text)
			if err := s.dump(); err != nil {
				return err
			}
		}
		text, err := os.ReadFile(s.log)
		if err != nil {
			return err
		}
		if !bytes.Contains(text, []byte("goroutine ")) {
			return fmt.Errorf("the log of %s has no dump of its goroutines", s.name)
		}
		look("the log of "+s.name, text)
	}
	if text, err := os.ReadFile(w.file("commands.log")); err == nil {
		look("what commands printed", text)
	}
	look("the traces", w.traces.heap.read())
	stored, err := w.searchStores(n)
	if err != nil {
		return err
	}
	if leaks = append(leaks, stored...); len(leaks) > 0 {
		return fmt.Errorf("%d secrets are where they must not be: %s", len(leaks), strings.Join(leaks[:min(len(leaks), 10)], "; "))
	}
	return nil
}

func alive(s *server) bool {
	return s.gone() != nil && s.signal(syscall.Signal(0)) == nil && func() bool {
		select {
		case <-s.gone():
			return false
		default:
			return true
		}
	}()
}

// addKeyset adds the key material of the file that seals the signing keys.
func (w *world) addKeyset(secrets map[string]string) error {
	text, err := os.ReadFile(w.file("keyset.json"))
	if err != nil {
		return fmt.Errorf("read keyset: %w", err)
	}
	for _, found := range keyMaterial.FindAllSubmatch(text, -1) {
		secrets[string(found[1])] = "keyset"
	}
	return nil
}

func (w *world) metrics(ctx context.Context, s *server) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.ops+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := w.trip.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("read the metrics of %s: %w", s.name, err)
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}

// searchStores looks into the files and the log of PostgreSQL and of Redis,
// which hold hashes and nothing that opens anything. Cards answer to the
// question's public name, so what is stored is searched for the rest.
func (w *world) searchStores(n needles) ([]string, error) {
	var leaks []string
	for store, dir := range map[string]string{"PostgreSQL": w.postgres.Dir(), "Redis": w.redis.Dir()} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil //nolint:nilerr // files come and go under a running store
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return nil //nolint:nilerr // likewise
			}
			for _, kind := range n.find(text) {
				leaks = append(leaks, fmt.Sprintf("%s in the files of %s (%s)", kind, store, d.Name()))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return leaks, nil
}
