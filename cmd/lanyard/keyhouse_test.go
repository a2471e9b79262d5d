package main

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/passkey/testkey"
	"github.com/lanyard-id/lanyard/idp"
)

var wardKey = [16]byte{0xaa, 15: 0x01}

// keyWorld is a server whose metadata knows one model of keys.
type keyWorld struct {
	*production
	settings map[string]string
	alliance publisher
	maker    *testkey.Maker
	log      *bytes.Buffer
	logger   *slog.Logger // one, which locks what it writes to
}

func aKeyWorld(t *testing.T) *keyWorld {
	t.Helper()
	maker, err := testkey.NewMaker()
	if err != nil {
		t.Fatal(err)
	}
	w := &keyWorld{settings: aProduction(t), alliance: anAlliance(t), maker: maker, log: &bytes.Buffer{}}
	w.logger = slog.New(slog.NewTextHandler(w.log, nil))
	w.settings["webauthn.metadata_file"], w.settings["webauthn.metadata_root_file"] = written(t, "soon"), w.alliance.root(t)
	w.publish(t, 1, 30*24*time.Hour)
	w.production = w.open(t)
	people := productionDirectory(t)
	if err := w.registry.Load(t.Context(), people, ""); err != nil {
		t.Fatal(err)
	}
	return w
}

// open opens one more server.
func (w *keyWorld) open(t *testing.T) *production {
	t.Helper()
	p, err := wireProduction(t.Context(), settledOf(t, w.settings), w.logger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	return p
}

// publish puts an edition in place, in one step.
func (w *keyWorld) publish(t *testing.T, number int, in time.Duration, status ...string) {
	t.Helper()
	raw, err := w.alliance.Publish(number, time.Now().Add(in), testkey.Model{AAGUID: wardKey, Name: "Ward Key", Roots: []*x509.Certificate{w.maker.Root},
		Status: append([]string{"FIDO_CERTIFIED_L1"}, status...)})
	if err != nil {
		t.Fatal(err)
	}
	file := w.settings["webauthn.metadata_file"]
	if err := errors.Join(os.WriteFile(file+".new", raw, 0o600), os.Rename(file+".new", file)); err != nil {
		t.Fatal(err)
	}
}

const keyOrigin = "http://localhost:1"

// enrol adds a key that its maker vouches for, and returns it with what is held.
func (w *keyWorld) enrol(t *testing.T, uid string) (*testkey.Key, authenticators.Authenticator) {
	t.Helper()
	k, err := testkey.New(testkey.ES256)
	if err != nil {
		t.Fatal(err)
	}
	k.Model, k.Attest = wardKey, w.maker.Packed
	e := authenticators.Enrolment{ID: "e", Browser: "b", Subject: uid, Email: "asha.smith@riverside.example", Display: "Dr Asha Smith"}
	question, err1 := w.keys.BeginEnrolment(t.Context(), e)
	answer, err2 := k.Create(question, keyOrigin)
	a, err3 := w.keys.FinishEnrolment(t.Context(), e, answer)
	a.ID, a.Name, a.State, a.AddedAt = "key"+uid, "My ward key", authenticators.Active, time.Now()
	err4 := w.registry.AddAuthenticator(t.Context(), a, idp.Act{Event: idp.Event{At: time.Now(), Kind: idp.AuthenticatorAdded, Subject: uid}})
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	return k, a
}

// signInLevel is what a key is worth at a sign-in.
func (w *keyWorld) signInLevel(t *testing.T, k *testkey.Key) authenticators.Level {
	t.Helper()
	l := authenticators.Login{ID: "l", Browser: "b"}
	question, err1 := w.keys.Begin(t.Context(), l)
	answer, err2 := k.Get(question, keyOrigin)
	e, err3 := w.keys.Finish(t.Context(), l, answer)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	return e.Level
}

// held is what the registry has of somebody's only key.
func (w *keyWorld) held(t *testing.T, uid string) authenticators.Authenticator {
	t.Helper()
	held, err := w.registry.HeldBy(t.Context(), uid)
	if err != nil || len(held) != 1 {
		t.Fatalf("%d keys, %v", len(held), err)
	}
	return held[0]
}

func atNight() time.Time {
	d := time.Now().UTC()
	return time.Date(d.Year(), d.Month(), d.Day(), 3, 0, 0, 0, time.UTC)
}

func TestKeysAreJudgedAgain(t *testing.T) {
	w := aKeyWorld(t)
	k, a := w.enrol(t, oneRole)
	if a.Level != authenticators.AAL3 || w.signInLevel(t, k) != authenticators.AAL3 {
		t.Fatalf("the key is worth %d", a.Level)
	}
	w.publish(t, 2, 30*24*time.Hour, "REVOKED")
	if err := w.readMetadata(t.Context()); err != nil {
		t.Fatal(err)
	}

	t.Run("own rule: a revoked model loses AAL3 at the next sign-in, before anything is written down", func(t *testing.T) {
		if got := w.signInLevel(t, k); got != authenticators.AAL2 {
			t.Errorf("it is worth %d", got)
		}
		if got := w.held(t, oneRole); got.Level != authenticators.AAL3 {
			t.Errorf("the registry says %d already", got.Level)
		}
	})
	t.Run("own rule: by day nothing is judged again", func(t *testing.T) {
		w.house.rechecks.Now = func() time.Time { return atNight().Add(9 * time.Hour) }
		if err := w.recheckKeys(t.Context()); err != nil || w.held(t, oneRole).Level != authenticators.AAL3 {
			t.Errorf("%v, level %d", err, w.held(t, oneRole).Level)
		}
	})
	t.Run("own rule: at night one of many servers lowers it, and tells its person once", func(t *testing.T) {
		servers := []*production{w.production, w.open(t), w.open(t)}
		var all sync.WaitGroup
		for _, p := range servers {
			p.house.rechecks.Now = atNight
			all.Go(func() {
				for range 3 { // as the minutes pass
					if err := p.recheckKeys(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		got := w.held(t, oneRole)
		if got.Level != authenticators.AAL2 || got.Method != authenticators.Passkey || got.Name != "My ward key" || got.State != authenticators.Active {
			t.Errorf("it is %+v", got)
		}
		kinds := w.journalled(t)
		if kinds[idp.KeysRechecked] != 1 || kinds[idp.AuthenticatorLowered] != 1 {
			t.Errorf("the journal has %v", kinds)
		}
		if n := w.mails(t); n != 1 {
			t.Errorf("%d mails", n)
		}
	})
	t.Run("own rule: what was lowered is not raised again", func(t *testing.T) {
		w.publish(t, 3, 30*24*time.Hour)
		if err := w.readMetadata(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.signInLevel(t, k); got != authenticators.AAL2 {
			t.Errorf("it is worth %d", got)
		}
	})
}

func TestLowerLeavesTheRest(t *testing.T) {
	t.Run("own rule: a key that is reported as lost while it is judged stays stopped", func(t *testing.T) {
		w := aKeyWorld(t)
		_, a := w.enrol(t, oneRole)
		act := func(kind idp.Kind) idp.Act {
			return idp.Act{Event: idp.Event{At: time.Now(), Kind: kind, Subject: oneRole}}
		}
		err1 := w.registry.StopAuthenticator(t.Context(), a.Subject, a.ID, act(idp.AuthenticatorSuspended))
		err2 := w.registry.LowerAuthenticator(t.Context(), a, authenticators.Passkey, authenticators.AAL2, act(idp.AuthenticatorLowered))
		if got := w.held(t, oneRole); err1 != nil || err2 != nil || got.State != authenticators.Suspended || got.Level != authenticators.AAL2 {
			t.Errorf("%v, %v: %+v", err1, err2, got)
		}
		if err := w.registry.LowerAuthenticator(t.Context(), a, authenticators.Passkey, authenticators.AAL2, act(idp.AuthenticatorLowered)); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("again: %v, want %v", err, idp.ErrNotFound)
		}
	})
}

func TestMetadataChores(t *testing.T) {
	w := aKeyWorld(t)
	w.enrol(t, oneRole)
	metrics := func() string {
		r := httptest.NewRecorder()
		w.ops.ServeHTTP(r, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
		b, _ := io.ReadAll(r.Body)
		return string(b)
	}
	read := func(times int) string {
		t.Helper()
		w.log.Reset()
		for range times {
			_ = w.readMetadata(t.Context())
		}
		return w.log.String()
	}
	t.Run("own rule: metadata in time is no news", func(t *testing.T) {
		if got := read(3); got != "" || !strings.Contains(metrics(), "lanyard_webauthn_metadata_stale 0") {
			t.Errorf("%s", got)
		}
	})
	t.Run("own rule: from seven days before operators are told, each hour and not each minute", func(t *testing.T) {
		w.publish(t, 2, 6*24*time.Hour)
		if got := read(3); strings.Count(got, "about to be too old") != 1 || strings.Count(got, "was read") != 1 {
			t.Errorf("%s", got)
		}
		w.now = func() time.Time { return time.Now().Add(time.Hour) }
		if got := read(3); strings.Count(got, "about to be too old") != 1 {
			t.Errorf("an hour later: %s", got)
		}
	})
	t.Run("own rule: what cannot be believed, and an edition that was put back, change nothing", func(t *testing.T) {
		w.publish(t, 1, 30*24*time.Hour)
		if err := w.readMetadata(t.Context()); err == nil || !strings.Contains(err.Error(), "old one back") || w.house.metadata.Number() != 2 {
			t.Errorf("%v, number %d", err, w.house.metadata.Number())
		}
	})
	t.Run("own rule: metadata past its day is an error, and lowers no key for good", func(t *testing.T) {
		w.publish(t, 3, -24*time.Hour)
		w.now = time.Now
		if got := read(1); !strings.Contains(got, "level=ERROR") || !strings.Contains(metrics(), "lanyard_webauthn_metadata_stale 1") {
			t.Errorf("%s", got)
		}
		w.house.rechecks.Now = atNight
		if err := w.recheckKeys(t.Context()); err != nil || w.journalled(t)[idp.KeysRechecked] != 0 {
			t.Errorf("%v, %v", err, w.journalled(t))
		}
	})
}

// journalled counts what the journal has.
func (w *keyWorld) journalled(t *testing.T) map[idp.Kind]int {
	t.Helper()
	kinds := map[idp.Kind]int{}
	for line := range strings.Lines(lanyard(t, w.settings, "audit", "export").out) {
		var e idp.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		kinds[e.Kind]++
	}
	return kinds
}

// mails counts those that wait.
func (w *keyWorld) mails(t *testing.T) int {
	t.Helper()
	return count(t, w.settings["postgres.url"], "SELECT count(*) FROM outbox")
}
