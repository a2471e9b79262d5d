package postgres

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/store/vault"
)

// quick is a keyset that makes one kind of keys, in no time.
type quick struct{ *vault.Keyset }

func (quick) Kinds() []idp.KeyKind { return []idp.KeyKind{idp.P256Key} }

func aKeyset(t *testing.T) *vault.Keyset {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyset.json")
	if err := vault.CreateKeyset(path); err != nil {
		t.Fatal(err)
	}
	k, err := vault.ReadKeyset(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func aClock() *clock { return &clock{at: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)} }

// withKeys opens the registry at url with a vault for its keys.
func withKeys(t *testing.T, url string, v Vault, now func() time.Time) *Store {
	t.Helper()
	return openAt(t, url, func(c *Config) { c.Vault, c.Now = v, now })
}

// begun is a registry with its first keys, of one kind.
func begun(t *testing.T) (s *Store, url string, v Vault, c *clock) {
	t.Helper()
	url, v, c = aDatabase(t), quick{aKeyset(t)}, aClock()
	s = withKeys(t, url, v, c.now)
	if _, err := s.MakeFirstKeys(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, url, v, c
}

func signer(s *Store) idp.SigningKey {
	k, _ := s.SigningKeys().Signer(idp.P256Key, s.now())
	return k
}

func published(s *Store) []string {
	var all []string
	for _, k := range s.SigningKeys().Published(s.now()) {
		all = append(all, k.ID)
	}
	return all
}

// deafened lets no new connection be made to the database of all, and ends those
// of their feeds. What the pools have goes on.
func deafened(t *testing.T, all ...*Store) {
	t.Helper()
	for _, s := range all {
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	name := all[0].pool.Config().ConnConfig.Database
	admin, err := pgx.Connect(t.Context(), server.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = admin.Close(context.Background()) }()
	if _, err := admin.Exec(t.Context(), "ALTER DATABASE "+pgx.Identifier{name}.Sanitize()+" ALLOW_CONNECTIONS false"); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '% feed' AND datname = $1`, name); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		eventually(t, 10*time.Second, "the feed has ended", func() bool { return !s.feed.fresh() })
	}
}

func count(t *testing.T, s *Store) (n int) {
	t.Helper()
	if err := s.pool.QueryRow(t.Context(), "SELECT count(*) FROM signing_keys").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestKeys(t *testing.T) {
	t.Run("own rule: keys outlast the process", func(t *testing.T) {
		url, v := aDatabase(t), aKeyset(t)
		s := withKeys(t, url, v, time.Now)
		if _, err := s.MakeFirstKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c, err := s.MakeFirstKeys(t.Context()); err != nil || !c.None() {
			t.Errorf("made first keys again: %+v, %v", c, err)
		}
		again := withKeys(t, url, v, time.Now)
		if err := again.LoadKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, kind := range v.Kinds() {
			before, _ := s.SigningKeys().Signer(kind, time.Now())
			after, ok := again.SigningKeys().Signer(kind, time.Now())
			if !ok || after.ID != before.ID || after.Kind != kind {
				t.Errorf("%s signs with %q, want %q", kind, after.ID, before.ID)
			}
		}
	})

	t.Run("own rule: nothing that opens a key is in the database in clear", func(t *testing.T) {
		s, _, v, _ := begun(t)
		var sealed []byte
		if err := s.pool.QueryRow(t.Context(), "SELECT sealed FROM signing_keys").Scan(&sealed); err != nil {
			t.Fatal(err)
		}
		if _, err := aKeyset(t).Open(signer(s).ID, sealed); err == nil {
			t.Error("another keyset opens it")
		}
		if _, err := v.Open(signer(s).ID, sealed); err != nil {
			t.Error(err)
		}
	})

	t.Run("own rule: signing goes on while PostgreSQL does not answer", func(t *testing.T) {
		p, url := aServer(t)
		c := aClock()
		s := withKeys(t, url, quick{aKeyset(t)}, c.now)
		if _, err := s.MakeFirstKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		if signer(s).Signer == nil || len(published(s)) != 1 {
			t.Error("the keys are gone with PostgreSQL")
		}
		c.move(89 * 24 * time.Hour)
		if _, err := s.RotateKeys(t.Context()); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("RotateKeys() = %v, want ErrUnavailable", err)
		}
		if err := s.LoadKeys(t.Context()); !errors.Is(err, idp.ErrUnavailable) {
			t.Errorf("LoadKeys() = %v, want ErrUnavailable", err)
		}
	})

	t.Run("own rule: a registry without a vault has no keys", func(t *testing.T) {
		s := open(t)
		if err := s.LoadKeys(t.Context()); !errors.Is(err, errNoVault) {
			t.Errorf("LoadKeys() = %v", err)
		}
		if _, err := s.RotateKeys(t.Context()); !errors.Is(err, errNoVault) {
			t.Errorf("RotateKeys() = %v", err)
		}
	})

	t.Run("own rule: a policy that would leave tokens without their key opens nothing", func(t *testing.T) {
		_, err := Open(t.Context(), Config{URL: aDatabase(t), Now: time.Now, KeyPolicy: idp.KeyPolicy{RotateEvery: time.Hour}})
		if err == nil {
			t.Error("it was opened")
		}
	})
}

func TestRotateKeys(t *testing.T) {
	t.Run("F17: keys that are made on one server are published by the other within a second", func(t *testing.T) {
		s, url, v, c := begun(t)
		other := withKeys(t, url, v, c.now)
		if err := other.LoadKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, "the other server hears", func() bool { return other.feed.proof.Load() != nil })
		if _, err := s.NextKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Second, "the other publishes the next key", func() bool { return slices.Equal(published(other), published(s)) })
		if len(published(other)) != 2 || signer(other).ID != signer(s).ID {
			t.Errorf("published: %v; signing: %s and %s", published(other), signer(s).ID, signer(other).ID)
		}
		old := signer(s).ID
		c.move(24 * time.Hour) // nobody tells anybody anything
		if signer(other).ID == old || signer(other).ID != signer(s).ID {
			t.Errorf("signing: %s and %s, and %s before", signer(s).ID, signer(other).ID, old)
		}
	})

	t.Run("F17: of many servers that find keys due, one makes them", func(t *testing.T) {
		s, url, v, c := begun(t)
		all := []*Store{s}
		for range 3 {
			other := withKeys(t, url, v, c.now)
			if err := other.LoadKeys(t.Context()); err != nil {
				t.Fatal(err)
			}
			all = append(all, other)
		}
		c.move(89 * 24 * time.Hour)
		var made atomic.Int32
		var wg sync.WaitGroup
		for _, s := range all {
			wg.Go(func() {
				changes, err := s.RotateKeys(t.Context())
				if err != nil {
					t.Error(err)
				}
				made.Add(int32(len(changes.New)))
			})
		}
		wg.Wait()
		if n := count(t, s); n != 2 || made.Load() != 1 {
			t.Errorf("%d keys are there, %d were made", n, made.Load())
		}
		if changes, err := s.RotateKeys(t.Context()); err != nil || !changes.None() {
			t.Errorf("RotateKeys() again = %+v, %v", changes, err)
		}
	})

	t.Run("own rule: keys that are due are made without anybody asking", func(t *testing.T) {
		s, _, _, c := begun(t)
		c.move(89 * 24 * time.Hour)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); s.TendKeys(ctx) }()
		eventually(t, 10*time.Second, "the next key is published", func() bool { return len(published(s)) == 2 })
		stop()
		<-ended
	})
}

func TestRevokeKeys(t *testing.T) {
	t.Run("F17: a key that is revoked on one server is neither published nor used by the other within a second", func(t *testing.T) {
		s, url, v, c := begun(t)
		other := withKeys(t, url, v, c.now)
		if err := other.LoadKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, "the other server hears", func() bool { return other.feed.proof.Load() != nil })
		stolen := signer(other)
		if _, err := s.RevokeKeys(t.Context(), stolen.ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Second, "the other signs with another key", func() bool { return signer(other).ID != stolen.ID })
		for _, s := range []*Store{s, other} {
			if len(published(s)) != 1 || slices.Contains(published(s), stolen.ID) || signer(s).Signer == nil {
				t.Errorf("published: %v", published(s))
			}
			// What it sealed is looked at for ever, but it is not kept to sign.
			if k, ok := s.SigningKeys().Key(stolen.ID); !ok || k.Public == nil || k.RevokedAt.IsZero() {
				t.Error("its public part or its end is unknown")
			}
			if k, _ := s.SigningKeys().Key(stolen.ID); k.Signer != nil {
				t.Error("its private part is kept")
			}
		}
	})

	t.Run("F17: a server that cannot hear of a revocation reads of it", func(t *testing.T) {
		url, v := aDatabase(t), quick{aKeyset(t)}
		s, other := withKeys(t, url, v, time.Now), listening(t, withKeys(t, url, v, time.Now))
		if _, err := s.MakeFirstKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, "the other has the key", func() bool { return len(published(other)) == 1 })
		deafened(t, s, other)
		stolen := signer(other)
		if _, err := s.RevokeKeys(t.Context(), stolen.ID); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*deafPause, "the other signs with another key", func() bool { return signer(other).ID != stolen.ID })
		if other.feed.fresh() {
			t.Error("it was told")
		}
		if slices.Contains(published(other), stolen.ID) {
			t.Errorf("published: %v", published(other))
		}
	})

	t.Run("F17: who rotates decides on what PostgreSQL says, not on what is remembered", func(t *testing.T) {
		s, url, v, c := begun(t)
		other := withKeys(t, url, v, c.now)
		if err := other.LoadKeys(t.Context()); err != nil {
			t.Fatal(err)
		}
		deaf(t, other)
		stolen := signer(other)
		if _, err := s.RevokeKeys(t.Context(), stolen.ID); err != nil {
			t.Fatal(err)
		}
		if _, err := other.RotateKeys(t.Context()); err != nil || signer(other).ID != signer(s).ID {
			t.Errorf("it signs with %s, the other with %s; %v", signer(other).ID, signer(s).ID, err)
		}
	})

	t.Run("own rule: a key that is not there cannot be revoked", func(t *testing.T) {
		s, _, _, _ := begun(t)
		if _, err := s.RevokeKeys(t.Context(), signer(s).ID, "nobody's"); !errors.Is(err, idp.ErrNotFound) {
			t.Errorf("RevokeKeys() = %v, want ErrNotFound", err)
		}
		if signer(s).Signer == nil {
			t.Error("the one beside it was revoked")
		}
	})
}

// F18: what a server refuses to start with, and what it does not make.
func TestKeysLost(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		harm  string // SQL
		other bool   // the vault is not the one that made the keys
		want  error
	}{
		{"F18: no keys were ever made", "DELETE FROM signing_keys", false, ErrKeyMissing},
		{"F18: another keyset than made them", "", true, vault.ErrSealed},
		{"F18: the sealed key was changed", "UPDATE signing_keys SET sealed = sealed || '\\x00'", false, vault.ErrSealed},
		{"F18: the key was put under another name", "UPDATE signing_keys SET kid = 'another'", false, vault.ErrSealed},
		{"F18: the public part is somebody else's", "UPDATE signing_keys SET public = public || '\\x00'", false, ErrKeyUnusable},
		{"F18: it is for other algorithms", "UPDATE signing_keys SET algs = '{RS256}'", false, ErrKeyUnusable},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s, url, v, c := begun(t)
			if tt.other {
				v = quick{aKeyset(t)}
			}
			if tt.harm != "" {
				exec(t, s, tt.harm)
			}
			before := count(t, s)
			fresh := withKeys(t, url, v, c.now)
			err := fresh.LoadKeys(t.Context())
			if !errors.Is(err, tt.want) {
				t.Fatalf("LoadKeys() = %v, want %v", err, tt.want)
			}
			c.move(89 * 24 * time.Hour)
			_, _ = fresh.RotateKeys(t.Context())
			_, _ = fresh.NextKeys(t.Context())
			if after := count(t, fresh); after != before {
				t.Errorf("%d keys were there, and now %d", before, after)
			}
		})
	}

	t.Run("F18: first keys are not made beside some that do not open", func(t *testing.T) {
		s, url, _, c := begun(t)
		wrong := withKeys(t, url, aKeyset(t), c.now)
		if _, err := wrong.MakeFirstKeys(t.Context()); !errors.Is(err, ErrKeyUnusable) {
			t.Errorf("MakeFirstKeys() = %v, want ErrKeyUnusable", err)
		}
		if _, err := wrong.RevokeKeys(t.Context(), signer(s).ID); !errors.Is(err, ErrKeyUnusable) {
			t.Errorf("RevokeKeys() = %v, want ErrKeyUnusable", err)
		}
		if n := count(t, s); n != 1 {
			t.Errorf("%d keys", n)
		}
	})

	t.Run("F18: a server that has its keys goes on with them when rows are lost or changed", func(t *testing.T) {
		for _, harm := range []string{"DELETE FROM signing_keys", "UPDATE signing_keys SET sealed = '\\x00'"} {
			s, _, _, _ := begun(t)
			eventually(t, 10*time.Second, "the server hears", func() bool { return s.feed.proof.Load() != nil })
			before := s.SigningKeys()
			exec(t, s, harm)
			eventually(t, time.Second, "the keys are read again", func() bool { return s.SigningKeys() != before })
			if signer(s).Signer == nil {
				t.Errorf("after %q nobody signs", harm)
			}
		}
	})

	t.Run("own rule: a row that somebody else wrote keeps nobody from revoking it, or another", func(t *testing.T) {
		s, url, v, c := begun(t)
		exec(t, s, `INSERT INTO signing_keys (kid, algs, public, sealed, published_from, signs_from) VALUES ('strange', '{ES256}', '\x00', '\x00', $1, $1)`, c.now().Add(time.Second))
		fresh := withKeys(t, url, v, c.now)
		if err := fresh.LoadKeys(t.Context()); !errors.Is(err, ErrKeyUnusable) || !strings.Contains(err.Error(), "strange") {
			t.Errorf("LoadKeys() = %v", err)
		}
		c.move(time.Second)
		listed, err := fresh.ListKeys(t.Context())
		if err != nil || len(listed) != 2 || listed[1].ID != "strange" || listed[1].Problem == nil || listed[0].Problem != nil {
			t.Errorf("ListKeys() = %+v, %v", listed, err)
		}
		old := signer(fresh).ID
		if _, err := fresh.RevokeKeys(t.Context(), old); err != nil || signer(fresh).ID == old {
			t.Errorf("RevokeKeys() = %v", err)
		}
		if _, err := fresh.RevokeKeys(t.Context(), "strange"); err != nil {
			t.Error(err)
		}
		if err := withKeys(t, url, v, c.now).LoadKeys(t.Context()); err != nil {
			t.Errorf("LoadKeys() = %v", err)
		}
	})
}
