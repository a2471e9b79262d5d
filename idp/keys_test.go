package idp

import (
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"
)

// keysNoon is when keys of the tests change their state.
var keysNoon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// aSigner is a key that is there and signs nothing.
type aSigner struct{ crypto.Signer }

// aKey is a P-256 key of these times; a zero time is undecided.
func aKey(id string, signs, until, published time.Time) SigningKey {
	return SigningKey{ID: id, Kind: P256Key, Signer: aSigner{},
		KeyTimes: KeyTimes{PublishedFrom: signs.Add(-time.Hour), SignsFrom: signs, SignsUntil: until, PublishedUntil: published}}
}

func ids(keys []SigningKey) string {
	var all []string
	for _, k := range keys {
		all = append(all, k.ID)
	}
	return strings.Join(all, " ")
}

func TestKeyStates(t *testing.T) {
	k := aKey("k", keysNoon, keysNoon.Add(time.Hour), keysNoon.Add(2*time.Hour))
	revoked := k
	revoked.RevokedAt = keysNoon.Add(24 * time.Hour) // by a server whose clock is ahead
	for _, tt := range []struct {
		rule string
		key  SigningKey
		at   time.Duration
		want KeyState
	}{
		{"keys: before it begins a key is next", k, -time.Second, KeyNext},
		{"keys: from its beginning it is current", k, 0, KeyCurrent},
		{"keys: to its last second", k, time.Hour - time.Second, KeyCurrent},
		{"keys: then it is retired", k, time.Hour, KeyRetired},
		{"keys: to the last second of its publication", k, 2*time.Hour - time.Second, KeyRetired},
		{"keys: then it is gone", k, 2 * time.Hour, KeyGone},
		{"keys: what is undecided does not end", aKey("k", keysNoon, time.Time{}, time.Time{}), 10000 * time.Hour, KeyCurrent},
		{"keys: a revoked key is revoked whatever the clock says", revoked, 0, KeyRevoked},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := tt.key.State(keysNoon.Add(tt.at)); got != tt.want {
				t.Errorf("State() = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	var never time.Time
	at := func(hours int) time.Time { return keysNoon.Add(time.Duration(hours) * time.Hour) }
	gone := aKey("gone", at(-9), at(-5), at(-4))
	old := aKey("old", at(-5), keysNoon, at(2))
	now := aKey("now", keysNoon, at(5), at(7))
	next := aKey("next", at(5), never, never)
	stolen := aKey("stolen", at(-1), never, never)
	stolen.RevokedAt = at(-1)
	public := next
	public.Signer = nil
	for _, tt := range []struct {
		rule              string
		keys              []SigningKey
		at                time.Time
		signs, shown      string
		algs              []string
		spanFrom, spanEnd time.Time
	}{
		{"keys: a second before the change the old key signs", []SigningKey{gone, old, now, next}, keysNoon.Add(-time.Second), "old", "old now next", []string{"ES256"}, at(-4), keysNoon},
		{"keys: from the change on the new one signs, and the old is published still", []SigningKey{next, now, old, gone}, keysNoon, "now", "old now next", []string{"ES256"}, keysNoon, at(2)},
		{"keys: what is gone is not published", []SigningKey{gone, old, now, next}, at(2), "now", "now next", []string{"ES256"}, at(2), at(5)},
		{"keys: a revoked key neither signs nor is published", []SigningKey{stolen, old}, at(-1), "old", "old", []string{"ES256"}, at(-1), keysNoon},
		{"own rule: of two that sign, the one that began last does", []SigningKey{aKey("a", at(-3), never, never), aKey("b", at(-2), never, never)}, keysNoon, "b", "a b", []string{"ES256"}, at(-2), never},
		{"own rule: where none has begun, the first that will signs: its maker's clock is ahead", []SigningKey{stolen, now, next}, keysNoon.Add(-time.Second), "now", "now next", []string{"ES256"}, at(-1), keysNoon},
		{"own rule: a key that ended does not sign because there is no other", []SigningKey{old}, keysNoon, "", "old", nil, keysNoon, at(2)},
		{"own rule: a key without its private part does not sign", []SigningKey{public}, at(6), "", "next", nil, at(5), never},
		{"own rule: no keys sign nothing", nil, keysNoon, "", "", nil, never, never},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			ks := NewKeys(tt.keys...)
			if k, ok := ks.Signer(P256Key, tt.at); k.ID != tt.signs || ok != (tt.signs != "") {
				t.Errorf("Signer() = %q, %v; want %q", k.ID, ok, tt.signs)
			}
			if got := ids(ks.Published(tt.at)); got != tt.shown {
				t.Errorf("Published() = %q, want %q", got, tt.shown)
			}
			if got := ks.Algs(tt.at); !slices.Equal(got, tt.algs) {
				t.Errorf("Algs() = %v, want %v", got, tt.algs)
			}
			if from, until := ks.Span(tt.at); !from.Equal(tt.spanFrom) || !until.Equal(tt.spanEnd) {
				t.Errorf("Span() = %v to %v, want %v to %v", from, until, tt.spanFrom, tt.spanEnd)
			}
			for _, k := range tt.keys {
				if got, ok := ks.Key(k.ID); !ok || got.ID != k.ID {
					t.Errorf("Key(%q) = %q, %v", k.ID, got.ID, ok)
				}
			}
		})
	}
}

func TestKeyKinds(t *testing.T) {
	keys, err := GenerateKeys()
	if err != nil {
		t.Fatal(err)
	}
	t.Run("own rule: a made key is of its kind", func(t *testing.T) {
		for _, k := range keys.All() {
			if got := KindOf(k.Public); got != k.Kind {
				t.Errorf("KindOf() = %q, want %q", got, k.Kind)
			}
		}
		if want := []string{"RS256", "RS512", "PS256", "ES256", "EdDSA"}; !slices.Equal(keys.Algs(keysNoon), want) {
			t.Errorf("Algs() = %v, want %v", keys.Algs(keysNoon), want)
		}
	})
	t.Run("own rule: a key that is printed or logged shows its name alone", func(t *testing.T) {
		var log strings.Builder
		for _, k := range keys.All() {
			slog.New(slog.NewTextHandler(&log, nil)).Info("key", "key", k)
			for _, said := range []string{fmt.Sprintf("%v %+v %#v %s", k, k, k, []SigningKey{k}), log.String()} {
				if private := fmt.Sprintf("%v", k.Signer); strings.Contains(said, private) || !strings.Contains(said, k.ID) {
					t.Errorf("%s says %q", k.Kind, said)
				}
			}
		}
	})
	t.Run("own rule: what we do not sign with is of no kind", func(t *testing.T) {
		small, err := rsa.GenerateKey(rand.Reader, 1024)
		if err != nil {
			t.Fatal(err)
		}
		_, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []any{&small.PublicKey, private, "text", nil, elliptic.P256()} {
			if kind := KindOf(key); kind != "" {
				t.Errorf("KindOf(%T) = %q", key, kind)
			}
		}
		if _, err := KeyKind("DSA").Generate(); err == nil || len(KeyKind("DSA").Algs()) > 0 {
			t.Error("a key of the kind DSA was made")
		}
	})
}

// world is keys as a registry keeps them: what is decided is written.
type world struct {
	t    *testing.T
	keys *Keys
	made int
}

func (w *world) apply(c KeyChanges, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	if c.None() {
		return
	}
	all := w.keys.All()
	for _, changed := range c.Changed {
		i := slices.IndexFunc(all, func(k SigningKey) bool { return k.ID == changed.ID })
		all[i].KeyTimes = changed.KeyTimes
	}
	for _, k := range c.New {
		w.made++
		k.ID, k.Signer = fmt.Sprintf("%s-%d", k.Kind, w.made), aSigner{}
		all = append(all, k)
	}
	w.keys = NewKeys(all...)
}

// begun is a world with its first keys.
func begun(t *testing.T, p KeyPolicy) *world {
	t.Helper()
	w := &world{t: t, keys: NewKeys()}
	w.apply(p.First(w.keys, KeyKinds, keysNoon), nil)
	if w.made != len(KeyKinds) {
		t.Fatalf("%d first keys, want %d", w.made, len(KeyKinds))
	}
	return w
}

func (w *world) signer(now time.Time) string {
	k, _ := w.keys.Signer(P256Key, now)
	return k.ID
}

func (w *world) state(id string, now time.Time) KeyState {
	k, _ := w.keys.Key(id)
	return k.State(now)
}
