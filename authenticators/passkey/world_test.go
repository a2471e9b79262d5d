package passkey_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/passkey"
	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
)

const (
	origin = "https://id.example"
	holder = "555000000101"
)

var (
	noon  = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	model = [16]byte{0xaa, 15: 0x01} // of the maker whom the metadata knows
	named = "aa000000-0000-0000-0000-000000000001"
)

var errOutage = errors.New("the store does not answer")

// world is a room with everything around it.
type world struct {
	t        testing.TB
	room     *passkey.Room
	setting  passkey.Config
	maker    *testkey.Maker
	alliance *testkey.Alliance
	file     string

	mu        sync.Mutex
	now       time.Time
	broken    bool
	questions map[string]kept
	held      []authenticators.Authenticator
}

type kept struct {
	question []byte
	expires  time.Time
}

// aWorld opens a room that knows one model, and takes its keys for AAL3.
func aWorld(t testing.TB, change func(*passkey.Config)) *world {
	t.Helper()
	w := &world{t: t, now: noon, questions: map[string]kept{}, file: filepath.Join(t.TempDir(), "metadata.jwt")}
	w.maker, w.alliance = must(testkey.NewMaker())(t), must(testkey.NewAlliance())(t)
	w.publish(7, noon.AddDate(0, 1, 0), w.model())
	w.setting = passkey.Config{
		RPID: "id.example", RPName: "Lanyard", Origins: []string{origin},
		Questions: w, Held: w, Metadata: w.load(), Now: w.clock,
	}
	if change != nil {
		change(&w.setting)
	}
	w.room = must(passkey.New(w.setting))(t)
	return w
}

func (w *world) model() testkey.Model {
	return testkey.Model{AAGUID: model, Name: "Test Key 5", Roots: []*x509.Certificate{w.maker.Root}, Status: []string{"FIDO_CERTIFIED_L1"}}
}

func (w *world) publish(number int, next time.Time, models ...testkey.Model) {
	w.t.Helper()
	w.write(must(w.alliance.Publish(number, next, models...))(w.t))
}

// write puts another file in the place of the metadata's.
func (w *world) write(raw []byte) {
	w.t.Helper()
	if err := os.WriteFile(w.file+".new", raw, 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(w.file+".new", w.file); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) load() *passkey.Metadata {
	w.t.Helper()
	return must(passkey.Load(passkey.Source{File: w.file, Root: w.alliance.Root, Now: w.clock}))(w.t)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) Ask(_ context.Context, name string, question []byte, expires time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return errOutage
	}
	w.questions[name] = kept{question, expires}
	return nil
}

func (w *world) Take(_ context.Context, name string, now time.Time) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q, ok := w.questions[name]
	delete(w.questions, name)
	switch {
	case w.broken:
		return nil, errOutage
	case !ok || !now.Before(q.expires):
		return nil, authenticators.ErrAnswer
	}
	return q.question, nil
}

func (w *world) ByHandle(_ context.Context, kind authenticators.Kind, handle string) (authenticators.Authenticator, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return authenticators.Authenticator{}, errOutage
	}
	for _, a := range w.held {
		if a.Kind == kind && a.Handle == handle {
			return a, nil
		}
	}
	return authenticators.Authenticator{}, authenticators.ErrNotHeld
}

func (w *world) HeldBy(_ context.Context, subject string) ([]authenticators.Authenticator, error) {
	var all []authenticators.Authenticator
	for _, a := range w.held {
		if a.Subject == subject {
			all = append(all, a)
		}
	}
	return all, nil
}

// aKey returns a device-bound key that proves nothing of itself.
func aKey(t testing.TB) *testkey.Key {
	t.Helper()
	k := must(testkey.New(testkey.ES256))(t)
	k.Model = model
	return k
}

// aTrustedKey returns a device-bound key that its maker vouches for.
func (w *world) aTrustedKey() *testkey.Key {
	w.t.Helper()
	k := aKey(w.t)
	k.Attest = w.maker.Packed
	return k
}

func aLogin() authenticators.Login { return authenticators.Login{ID: "login-a", Browser: "browser-a"} }

func (w *world) anEnrolment(subject string) authenticators.Enrolment {
	held, _ := w.HeldBy(w.t.Context(), subject)
	return authenticators.Enrolment{
		ID: "enrolment-a", Browser: "browser-a", Subject: subject, Email: "asha.smith@riverside.example", Display: "Dr Asha Smith", Held: held,
	}
}

// enrol has a person add a key.
func (w *world) enrol(subject string, k *testkey.Key) (authenticators.Authenticator, error) {
	w.t.Helper()
	e := w.anEnrolment(subject)
	return w.room.FinishEnrolment(w.t.Context(), e, must(k.Create(must(w.room.BeginEnrolment(w.t.Context(), e))(w.t), origin))(w.t))
}

// add enrols a key and has the registry keep it.
func (w *world) add(subject string, k *testkey.Key) *authenticators.Authenticator {
	w.t.Helper()
	a, err := w.enrol(subject, k)
	if err != nil {
		w.t.Fatalf("FinishEnrolment() = %v, want a key", err)
	}
	return w.keep(a)
}

func (w *world) keep(a authenticators.Authenticator) *authenticators.Authenticator {
	a.ID, a.State, a.AddedAt = "key-"+a.Handle[:8], authenticators.Active, w.clock()
	w.held = append(w.held, a)
	return &w.held[len(w.held)-1]
}

// signIn has a key answer, and the registry keep the mark that it leaves.
func (w *world) signIn(k *testkey.Key) (authenticators.Evidence, error) {
	w.t.Helper()
	e, err := w.room.Finish(w.t.Context(), aLogin(), must(k.Get(w.question(), origin))(w.t))
	if err == nil {
		for i := range w.held {
			if w.held[i].ID == e.Use.ID {
				w.held[i].Mark = e.Use.Mark
			}
		}
	}
	return e, err
}

func (w *world) question() json.RawMessage {
	w.t.Helper()
	return must(w.room.Begin(w.t.Context(), aLogin()))(w.t)
}

// must returns a value, or ends the test with its error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func wants(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("error %v, want %v", err, want)
	}
}
