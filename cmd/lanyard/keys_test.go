package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/postgres"
)

// fewKeys is a keyStore that decides as a registry does and keeps what comes of
// it for one command.
type fewKeys struct{ keys []idp.SigningKey }

func (f fewKeys) ListKeys(context.Context) ([]postgres.KeyReport, error) {
	var reports []postgres.KeyReport
	for _, k := range f.keys {
		reports = append(reports, postgres.KeyReport{SigningKey: k})
	}
	return append(reports, postgres.KeyReport{SigningKey: idp.SigningKey{ID: "strange"}, Problem: errors.New("it does not open")}), nil
}

func (f fewKeys) MakeFirstKeys(context.Context) (idp.KeyChanges, error) {
	return idp.DefaultKeyPolicy.First(idp.NewKeys(f.keys...), []idp.KeyKind{idp.P256Key}, keysNoon), nil
}

func (f fewKeys) NextKeys(context.Context) (idp.KeyChanges, error) {
	return idp.DefaultKeyPolicy.Next(idp.NewKeys(f.keys...), []idp.KeyKind{idp.P256Key}, keysNoon)
}

func (f fewKeys) RevokeKeys(_ context.Context, ids ...string) (idp.KeyChanges, error) {
	return idp.DefaultKeyPolicy.Revocation(idp.NewKeys(f.keys...), ids, keysNoon)
}

var keysNoon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// aRealKey is a key that has signed for an hour.
func aRealKey(t *testing.T) idp.SigningKey {
	t.Helper()
	key, err := idp.P256Key.Generate()
	if err != nil {
		t.Fatal(err)
	}
	since := keysNoon.Add(-time.Hour)
	return idp.SigningKey{ID: "one", Kind: idp.P256Key, Public: key.Public(), Signer: key, KeyTimes: idp.KeyTimes{PublishedFrom: since, SignsFrom: since}}
}

// keysSay runs a command about keys and returns what it says.
func keysSay(t *testing.T, store keyStore, args ...string) (string, error) {
	t.Helper()
	cmd := keysCommand(func(context.Context) (keyStore, func(), error) { return store, func() {}, nil }, func() time.Time { return keysNoon })
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

func TestKeysCommand(t *testing.T) {
	has := fewKeys{[]idp.SigningKey{aRealKey(t)}}

	t.Run("own rule: keys init makes the keyset, for its owner alone, and the first keys", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "keyset.json")
		said, err := keysSay(t, fewKeys{}, "init", "--new-keyset", path)
		if err != nil || !strings.Contains(said, "made the keyset") || !strings.Contains(said, "P-256") {
			t.Errorf("%q, %v", said, err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
			t.Errorf("the keyset: %v, %v", info, err)
		}
		if _, err := keysSay(t, fewKeys{}, "init", "--new-keyset", path); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a second time: %v, want fs.ErrExist", err)
		}
	})
	t.Run("own rule: keys init makes nothing where keys are", func(t *testing.T) {
		if said, err := keysSay(t, has, "init"); err == nil {
			t.Errorf("it said %q", said)
		}
	})
	t.Run("own rule: keys list tells states, times and what is wrong, and no key", func(t *testing.T) {
		said, err := keysSay(t, has, "list")
		for _, want := range []string{"one", "P-256", "current", "2030-01-01T11:00:00Z", "it does not open"} {
			if err != nil || !strings.Contains(said, want) {
				t.Errorf("no %q in %q, %v", want, said, err)
			}
		}
		said, err = keysSay(t, has, "list", "--json")
		var keys []map[string]any
		if err != nil || json.Unmarshal([]byte(said), &keys) != nil || len(keys) != 2 || keys[0]["kid"] != "one" || keys[0]["state"] != "current" ||
			keys[1]["problem"] != "it does not open" {
			t.Errorf("%q, %v", said, err)
		}
	})
	t.Run("own rule: keys rotate says when the next key signs", func(t *testing.T) {
		said, err := keysSay(t, has, "rotate")
		if err != nil || strings.Count(said, "2030-01-02T12:00:00Z") != 2 {
			t.Errorf("%q, %v", said, err)
		}
	})
	t.Run("own rule: keys revoke replaces the key, and ends with 3 where there is none", func(t *testing.T) {
		said, err := keysSay(t, has, "revoke", "one")
		if err != nil || !strings.Contains(said, "revoked") || !strings.Contains(said, "2030-01-01T12:00:00Z") {
			t.Errorf("%q, %v", said, err)
		}
		_, err = keysSay(t, has, "revoke", "two")
		if e, ok := errors.AsType[exit](err); !ok || e.status != exitNotFound {
			t.Errorf("%v, want an exit with %d", err, exitNotFound)
		}
	})
}
