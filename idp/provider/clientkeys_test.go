package provider

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/idp"
)

// afar is a client's address for keys, which a test can change.
type afar struct {
	asked  int
	answer func(http.ResponseWriter)
}

func (a *afar) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	a.asked++
	a.answer(w)
}

// aKey returns a key, its public set, and a message that it signed.
func aKey(t testing.TB, kid string) (string, *jose.JSONWebSignature) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: kid}}})
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.ParseSignedCompact(compact, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	return string(set), parsed
}

func TestClientKeys(t *testing.T) {
	old, byOld := aKey(t, "old")
	fresh, byFresh := aKey(t, "fresh")
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	open := func(t *testing.T) (*clientKeys, *afar, idp.Client) {
		a := &afar{answer: func(w http.ResponseWriter) { _, _ = w.Write([]byte(old)) }}
		s := httptest.NewServer(a)
		t.Cleanup(s.Close)
		return &clientKeys{http: s.Client(), now: func() time.Time { return noon }}, a, idp.Client{ID: "c", JWKSURI: s.URL}
	}
	t.Run("OIDC Core §10.1.1: a kid that is not known yet makes us ask again, but not at once", func(t *testing.T) {
		k, a, c := open(t)
		if _, err := k.verify(t.Context(), c, byOld); err != nil {
			t.Fatal(err)
		}
		a.answer = func(w http.ResponseWriter) { _, _ = w.Write([]byte(fresh)) }
		if _, err := k.verify(t.Context(), c, byFresh); err == nil || a.asked != 1 {
			t.Errorf("asked %d times within the pause: %v", a.asked, err)
		}
		k.now = func() time.Time { return noon.Add(keysPause) }
		if _, err := k.verify(t.Context(), c, byFresh); err != nil || a.asked != 2 {
			t.Errorf("asked %d times: %v", a.asked, err)
		}
		if _, err := k.verify(t.Context(), c, byOld); err == nil {
			t.Error("a key that was taken back still counts")
		}
	})
	t.Run("own rule: an address that does not answer, or answers too much, is not asked again at once", func(t *testing.T) {
		for name, answer := range map[string]func(http.ResponseWriter){
			"status":   func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
			"redirect": func(w http.ResponseWriter) { w.Header().Set("Location", "/"); w.WriteHeader(http.StatusFound) },
			"too much": func(w http.ResponseWriter) { _, _ = w.Write([]byte(strings.Repeat(" ", maxKeys) + old)) },
			"rubbish":  func(w http.ResponseWriter) { _, _ = w.Write([]byte("<html>")) },
		} {
			k, a, c := open(t)
			k.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			a.answer = answer
			for range 3 {
				if _, err := k.verify(t.Context(), c, byOld); err == nil {
					t.Errorf("%s: verified", name)
				}
			}
			if a.asked != 1 {
				t.Errorf("%s: asked %d times, want 1", name, a.asked)
			}
		}
	})
	t.Run("own rule: the keys that we have outlast an address that breaks", func(t *testing.T) {
		k, a, c := open(t)
		if _, err := k.verify(t.Context(), c, byOld); err != nil {
			t.Fatal(err)
		}
		a.answer = func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }
		k.now = func() time.Time { return noon.Add(keysLife) }
		if _, err := k.verify(t.Context(), c, byOld); err != nil || a.asked != 2 {
			t.Errorf("asked %d times: %v", a.asked, err)
		}
		for hours := 1; hours <= 4; hours++ { // and asking in vain does not make them younger
			k.now = func() time.Time { return noon.Add(time.Duration(hours) * 30 * time.Minute) }
			_, err := k.verify(t.Context(), c, byOld)
			if (err == nil) != (hours < 4) {
				t.Errorf("after %d half hours: %v", hours, err)
			}
		}
	})
	t.Run("own rule: who hangs up does not keep keys from being asked for", func(t *testing.T) {
		k, a, c := open(t)
		gone, hangUp := context.WithCancel(t.Context())
		hangUp()
		if _, err := k.verify(gone, c, byOld); err != nil || a.asked != 1 {
			t.Errorf("asked %d times: %v", a.asked, err)
		}
	})
	t.Run("P11: a weak key proves nobody, nor does a kid that is left out where two could be meant", func(t *testing.T) {
		weak, err := rsa.GenerateKey(rand.Reader, 1024)
		if err != nil {
			t.Fatal(err)
		}
		if usable(jose.JSONWebKey{Key: weak.Public()}, "RS256") {
			t.Error("RSA of 1024 bits is usable")
		}
		var two jose.JSONWebKeySet
		for _, text := range []string{old, fresh} {
			var set jose.JSONWebKeySet
			if err := json.Unmarshal([]byte(text), &set); err != nil {
				t.Fatal(err)
			}
			two.Keys = append(two.Keys, set.Keys...)
		}
		if _, err := choose(two, jose.Header{Algorithm: "ES256"}); err == nil {
			t.Error("one of two keys was chosen without a kid")
		}
	})
	t.Run("own rule: a signature by another key of the same name", func(t *testing.T) {
		k, _, c := open(t)
		_, byOther := aKey(t, "old")
		if _, err := k.verify(t.Context(), c, byOther); err == nil {
			t.Error("verified")
		}
	})
}
