package postgres

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/idp"
)

// noKeys know no key.
func noKeys(string) (idp.SigningKey, bool) { return idp.SigningKey{}, false }

// aSealKey returns a key that seals, and keys that know it.
func aSealKey(t testing.TB) (idp.SigningKey, PublicKeys) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k := idp.SigningKey{ID: "k", Public: key.Public(), Signer: key}
	return k, func(id string) (idp.SigningKey, bool) { return k, id == "k" }
}

// sealed seals the journal of s with key.
func sealed(t *testing.T, s *Store, key idp.SigningKey) {
	t.Helper()
	if err := s.Seal(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

// aSealedJournal returns a registry with five events, sealed by two servers
// after the third and after the fifth. The second has a chain of its own.
func aSealedJournal(t *testing.T) (s, other *Store, keys PublicKeys) {
	t.Helper()
	key, keys := aSealKey(t)
	url := aDatabase(t)
	s, other = openAt(t, url), openAt(t, url)
	for n := range 5 {
		if err := s.Record(t.Context(), anEvent(fmt.Sprint(n+1))); err != nil {
			t.Fatal(err)
		}
		if n == 2 || n == 4 {
			sealed(t, s, key)
			sealed(t, other, key)
		}
	}
	return s, other, keys
}

func TestSeal(t *testing.T) {
	t.Run("own rule: a sealed journal is whole, and says how much is not sealed yet", func(t *testing.T) {
		s, _, keys := aSealedJournal(t)
		recordFive(t, s)
		r, err := s.Verify(t.Context(), keys)
		if err != nil || !r.Whole() || r.Seals != 4 || r.Events != 10 || r.Unsealed != 5 {
			t.Errorf("Verify: %+v, %v", r, err)
		}
	})
	t.Run("own rule: a journal that stands still is not sealed again", func(t *testing.T) {
		key, keys := aSealKey(t)
		s, _ := aJournal(t)
		sealed(t, s, key)
		sealed(t, s, key)
		if r, err := s.Verify(t.Context(), keys); err != nil || !r.Whole() || r.Seals != 1 || r.Unsealed != 0 {
			t.Errorf("Verify: %+v, %v", r, err)
		}
	})
	t.Run("own rule: more chains than one seal can name get several", func(t *testing.T) {
		key, keys := aSealKey(t)
		s := open(t)
		for range mostHeads + 1 {
			j := &journal{pool: s.pool, ended: s.ended, log: silent}
			j.begin()
			if err := j.commit(t.Context(), []*entry{anEntry(t, "a")}); err != nil {
				t.Fatal(err)
			}
		}
		sealed(t, s, key)
		if r, err := s.Verify(t.Context(), keys); err != nil || !r.Whole() || r.Seals != 2 || r.Unsealed != 0 {
			t.Errorf("Verify: %+v, %v", r, err)
		}
	})
	t.Run("own rule: a server that starts leaves chains that came to rest", func(t *testing.T) {
		key, keys := aSealKey(t)
		url := aDatabase(t)
		at := func(when time.Time) *Store {
			return openAt(t, url, func(c *Config) { c.Now = func() time.Time { return when } })
		}
		first := at(noon.Add(2 * time.Hour))
		recordFive(t, first)
		sealed(t, first, key)
		second := at(noon.Add(3 * time.Hour))
		sealed(t, second, key)
		if r, err := first.Verify(t.Context(), keys); err != nil || !r.Whole() || r.Seals != 1 {
			t.Errorf("Verify: %+v, %v", r, err)
		}
		recordFive(t, first)
		sealed(t, second, key)
		if r, err := first.Verify(t.Context(), keys); err != nil || !r.Whole() || r.Seals != 2 || r.Unsealed != 0 {
			t.Errorf("Verify: %+v, %v", r, err)
		}
	})
	t.Run("ASVS 16.4.2: seals are append-only", func(t *testing.T) {
		s, _, _ := aSealedJournal(t)
		for _, sql := range []string{`UPDATE audit_seals SET seal = ''`, `DELETE FROM audit_seals`, `TRUNCATE audit_seals`} {
			if _, err := s.pool.Exec(t.Context(), sql); err == nil {
				t.Errorf("%s was taken", sql)
			}
		}
	})
	t.Run("own rule: a schema without seals is served, which is said once", func(t *testing.T) {
		key, _ := aSealKey(t)
		var log bytes.Buffer
		s := openAt(t, aDatabase(t))
		s.log = slog.New(slog.NewTextHandler(&log, nil))
		exec(t, s, `DROP TABLE audit_seals`)
		recordFive(t, s)
		sealed(t, s, key)
		sealed(t, s, key)
		if n := strings.Count(log.String(), "not sealed"); n != 1 {
			t.Errorf("it was said %d times", n)
		}
		whole(t, s)
	})
	t.Run("own rule: who seals notices what is gone", func(t *testing.T) {
		key, _ := aSealKey(t)
		for finds, sql := range map[string]string{
			"is not what was sealed": `DELETE FROM audit_events WHERE seq = 5`,
			"were lost":              `DELETE FROM audit_seals`,
		} {
			var log bytes.Buffer
			s, _ := aJournal(t)
			s.sealer.log = slog.New(slog.NewTextHandler(&log, nil))
			sealed(t, s, key)
			tamper(t, s, sql)
			sealed(t, s, key)
			if !strings.Contains(log.String(), finds) {
				t.Errorf("%s: the log says %q", sql, log.String())
			}
		}
	})
}

func TestVerifySeals(t *testing.T) {
	for _, c := range []struct {
		did, sql string
		finds    string
	}{
		{"the sealed end of a chain was cut off", `DELETE FROM audit_events WHERE seq > 3`, "event 5: the event was sealed and is missing"},
		{"a whole sealed chain was deleted", `DELETE FROM audit_events`, "event 3: the event was sealed and is missing"},
		{"a sealed event was written anew, with its hash", `UPDATE audit_events SET hash = sha256('x') WHERE seq = 5`, "event 5: the event is not the one that was sealed"},
		{"a seal was deleted", `DELETE FROM audit_seals WHERE n = 1 AND server = $1`, "seal 2: seals are missing"},
		{"a seal was written anew", `UPDATE audit_seals SET seal = replace(seal, '.', '.e30') WHERE n = 2 AND server = $1`, "seal 2: the seal"},
		{"a seal was put in another's place", `UPDATE audit_seals AS a SET seal = b.seal FROM audit_seals AS b
			WHERE a.n = 2 AND a.server = $1 AND b.n = 2 AND b.server <> $1`, "seal 2: the seal was moved"},
		{"the time beside a seal was changed", `UPDATE audit_seals SET at = at + interval '1 hour' WHERE n = 2 AND server = $1`, "seal 2: its time"},
	} {
		t.Run("ASVS 16.4.2: it is found that "+c.did, func(t *testing.T) {
			s, _, keys := aSealedJournal(t)
			var args []any
			if strings.Contains(c.sql, "$1") {
				args = append(args, s.sealer.server)
			}
			tamper(t, s, c.sql, args...)
			r, err := s.Verify(t.Context(), keys)
			if err != nil || !found(r, c.finds) {
				t.Errorf("Verify: %+v, %v; want %q", r, err, c.finds)
			}
		})
	}
	t.Run("own rule: a seal by another key is none", func(t *testing.T) {
		key, _ := aSealKey(t)
		_, others := aSealKey(t)
		s, _ := aJournal(t)
		sealed(t, s, key)
		for name, keys := range map[string]PublicKeys{"unknown": noKeys, "another's": others} {
			if r, err := s.Verify(t.Context(), keys); err != nil || !found(r, "seal 1: "+errSealKey.Error()) || r.Unsealed != 5 {
				t.Errorf("%s: Verify: %+v, %v", name, r, err)
			}
		}
	})
	t.Run("own rule: a seal that its key signed after the fact does not follow", func(t *testing.T) {
		key, keys := aSealKey(t)
		s, _ := aJournal(t)
		sealed(t, s, key)
		forged, err := seal{Server: s.sealer.server, N: 2, At: noon, Previous: follows("x")}.sign(key)
		if err != nil {
			t.Fatal(err)
		}
		exec(t, s, `INSERT INTO audit_seals (server, n, at, seal) VALUES ($1, 2, $2, $3)`, s.sealer.server, noon, forged)
		if r, err := s.Verify(t.Context(), keys); err != nil || !found(r, "seal 2: it does not follow") {
			t.Errorf("Verify: %+v, %v", r, err)
		}
	})
	t.Run("ASVS 16.4.2: a key that was revoked seals no more, and what it sealed before stays sealed", func(t *testing.T) {
		s, url, v, c := begun(t)
		key := signer(s)
		recordFive(t, s)
		sealed(t, s, key)
		c.move(time.Minute)
		if _, err := s.RevokeKeys(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		recordFive(t, s)
		if err := s.Seal(t.Context(), key); err == nil {
			t.Error("it sealed")
		}
		if r, err := s.Verify(t.Context(), s.SigningKeys().Key); err != nil || !r.Whole() || r.Seals != 1 || r.Unsealed != 5 {
			t.Errorf("Verify: %+v, %v", r, err)
		}
		// Who has the key and can write to the database needs no server.
		thief := withKeys(t, url, v, c.now)
		forged, err := seal{Server: "thief", N: 1, At: c.now(), Previous: follows("thief"), Heads: []head{{s.journal.server, 10, s.journal.end.hash[:]}}}.sign(key)
		if err != nil {
			t.Fatal(err)
		}
		exec(t, thief, `INSERT INTO audit_seals (server, n, at, seal) VALUES ('thief', 1, $1, $2)`, c.now(), forged)
		if r, err := s.Verify(t.Context(), s.SigningKeys().Key); err != nil || !found(r, "seal 1: "+errSealRevoked.Error()) || r.Unsealed != 5 {
			t.Errorf("Verify: %+v, %v", r, err)
		}
		sealed(t, s, signer(s))
		if r, err := s.Verify(t.Context(), s.SigningKeys().Key); err != nil || r.Unsealed != 0 || len(r.Findings) != 1 {
			t.Errorf("sealed anew: %+v, %v", r, err)
		}
	})
	t.Run("own rule: a token by the same key is no seal", func(t *testing.T) {
		key, keys := aSealKey(t)
		text, err := seal{Server: "s", N: 1}.sign(key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := openSeal(text, keys); err != nil {
			t.Error(err)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key.Signer, KeyID: key.ID}}, (&jose.SignerOptions{}).WithType("JWT"))
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign([]byte(`{"server":"s","n":1}`))
		if err != nil {
			t.Fatal(err)
		}
		token, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"a token": token, "too long": text + strings.Repeat("A", maxSeal), "empty": "", "two parts": text[:strings.LastIndex(text, ".")]} {
			if _, err := openSeal(text, keys); err == nil {
				t.Errorf("%s: it was taken", name)
			}
		}
	})
}

// found says whether r names a finding that begins as want does, behind its
// chain.
func found(r Report, want string) bool {
	for _, f := range r.Findings {
		place := fmt.Sprintf("event %d: ", f.Seq)
		if f.Seal != 0 {
			place = fmt.Sprintf("seal %d: ", f.Seal)
		}
		if strings.HasPrefix(place+f.Problem, want) {
			return true
		}
	}
	return false
}

// FuzzOpenSeal looks for a text that is taken for a seal and was not signed.
func FuzzOpenSeal(f *testing.F) {
	key, keys := aSealKey(f)
	text, err := seal{Server: "s", N: 1, At: noon, Heads: []head{{"c", 7, []byte("h")}}}.sign(key)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add("..")
	f.Fuzz(func(t *testing.T, other string) {
		l, err := openSeal(other, keys)
		if err == nil && (l.Server != "s" || l.N != 1 || len(l.Heads) != 1) {
			t.Errorf("%q was taken for %+v", other, l)
		}
	})
}
