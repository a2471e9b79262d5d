package provider

import (
	"crypto"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/idp"
)

// elsewhere is a key that is not in memory, as in a token.
type elsewhere struct{ crypto.Signer }

// keyWorld is a provider whose keys and clock the test sets.
type keyWorld struct {
	*Provider
	keys *idp.Keys
	now  time.Time
}

func aKeyWorld(t *testing.T) *keyWorld {
	t.Helper()
	w := &keyWorld{Provider: aProvider(t), now: time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)}
	w.keys = w.SigningKeys()
	w.SigningKeys = func() *idp.Keys { return w.keys }
	w.Logins.Now = func() time.Time { return w.now }
	return w
}

// change puts other keys of a kind in the place of those that are there.
func (w *keyWorld) change(kind idp.KeyKind, keys ...idp.SigningKey) {
	all := slices.DeleteFunc(w.keys.All(), func(k idp.SigningKey) bool { return k.Kind == kind })
	w.keys = idp.NewKeys(append(all, keys...)...)
}

func aSigningKey(t *testing.T, id string, kind idp.KeyKind, times idp.KeyTimes) idp.SigningKey {
	t.Helper()
	key, err := kind.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return idp.SigningKey{ID: id, Kind: kind, Public: key.Public(), Signer: key, KeyTimes: times}
}

func (w *keyWorld) signs(t *testing.T, alg string) (token, kid string) {
	t.Helper()
	token, err := w.sign(alg, idp.IDToken{Issuer: w.Issuer, Audience: "c", Subject: "555000000101", Expires: 1, AuthTime: 1})
	if err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseSignedCompact(token, signatureAlgs)
	if err != nil {
		t.Fatal(err)
	}
	return token, jws.Signatures[0].Protected.KeyID
}

func (w *keyWorld) ask(t *testing.T, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	routes, answer := chi.NewRouter(), httptest.NewRecorder()
	w.Mount(routes, routes, routes)
	routes.ServeHTTP(answer, r)
	return answer.Result()
}

func (w *keyWorld) published(t *testing.T) jose.JSONWebKeySet {
	t.Helper()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(w.ask(t, "/jwks").Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestSigningKeys(t *testing.T) {
	t.Run("F17: while keys change, what is signed verifies with what is published", func(t *testing.T) {
		w := aKeyWorld(t)
		at := func(minutes int) time.Time { return w.now.Add(time.Duration(minutes) * time.Minute) }
		start := w.now
		w.change(idp.P256Key,
			aSigningKey(t, "old", idp.P256Key, idp.KeyTimes{SignsFrom: at(-60), SignsUntil: at(10), PublishedUntil: at(20)}),
			aSigningKey(t, "new", idp.P256Key, idp.KeyTimes{SignsFrom: at(10)}))
		for minute := range 30 {
			w.now = start.Add(time.Duration(minute) * time.Minute)
			token, kid := w.signs(t, "ES256")
			want := "new"
			if minute < 10 {
				want = "old"
			}
			if kid != want {
				t.Fatalf("in minute %d %q signs", minute, kid)
			}
			set := w.published(t)
			if shown := len(set.Key("old")) == 1; shown != (minute < 20) || len(set.Key("new")) != 1 {
				t.Fatalf("in minute %d the old key is published: %v", minute, shown)
			}
			jws, err := jose.ParseSignedCompact(token, signatureAlgs)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := jws.Verify(set); err != nil {
				t.Fatalf("in minute %d: %v", minute, err)
			}
		}
		w.now = start // a clock that is set back
		if _, kid := w.signs(t, "ES256"); kid != "old" {
			t.Errorf("the clock was set back, and %q signs", kid)
		}
	})

	t.Run("F17: a key that was revoked is published no more, and another signs", func(t *testing.T) {
		w := aKeyWorld(t)
		stolen := aSigningKey(t, "stolen", idp.P256Key, idp.KeyTimes{})
		w.change(idp.P256Key, stolen)
		w.signs(t, "ES256")
		stolen.RevokedAt, stolen.Signer = w.now, nil
		w.change(idp.P256Key, stolen, aSigningKey(t, "fresh", idp.P256Key, idp.KeyTimes{SignsFrom: w.now}))
		if _, kid := w.signs(t, "ES256"); kid != "fresh" {
			t.Errorf("%q signs", kid)
		}
		if set := w.published(t); len(set.Key("stolen")) != 0 || len(set.Key("fresh")) != 1 {
			t.Errorf("published: %+v", set)
		}
	})

	t.Run("own rule: a key is made ready once", func(t *testing.T) {
		w := aKeyWorld(t)
		before, err := w.signing()
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := w.signing(); again != before {
			t.Error("it was made ready again though nothing changed")
		}
		w.change(idp.P256Key, aSigningKey(t, "other", idp.P256Key, idp.KeyTimes{}))
		after, err := w.signing()
		if err != nil || after == before || after.by["RS256"] != before.by["RS256"] || after.by["ES256"] == before.by["ES256"] {
			t.Errorf("after another kind changed: %v", err)
		}
	})

	t.Run("own rule: a key that is not in memory signs with every algorithm of its kind", func(t *testing.T) {
		w := aKeyWorld(t)
		for _, kind := range idp.KeyKinds {
			key := aSigningKey(t, "far-"+string(kind), kind, idp.KeyTimes{})
			key.Signer = elsewhere{key.Signer}
			w.change(kind, key)
			for _, alg := range kind.Algs() {
				token, kid := w.signs(t, alg)
				if _, err := w.verify(token); err != nil || kid != key.ID {
					t.Errorf("%s by %q: %v", alg, kid, err)
				}
			}
		}
	})

	t.Run("OIDC Discovery §4: only algorithms that can be signed with are listed", func(t *testing.T) {
		w := aKeyWorld(t)
		w.change(idp.Ed25519Key)
		var said struct {
			Algs []string `json:"id_token_signing_alg_values_supported"`
		}
		if err := json.NewDecoder(w.ask(t, "/.well-known/openid-configuration").Body).Decode(&said); err != nil {
			t.Fatal(err)
		}
		if want := []string{"RS256", "RS512", "PS256", "ES256"}; !slices.Equal(said.Algs, want) {
			t.Errorf("listed: %v, want %v", said.Algs, want)
		}
		if token, err := w.sign("EdDSA", idp.IDToken{}); err == nil {
			t.Errorf("it signed %q", token)
		}
	})
}

func TestKeysEndpoint(t *testing.T) {
	w := aKeyWorld(t)
	t.Run("keys: caches may keep the published keys for a minute", func(t *testing.T) {
		got := w.ask(t, "/jwks")
		if h := got.Header; got.StatusCode != http.StatusOK || h.Get("Cache-Control") != "public, max-age=60" || h.Get("Content-Type") != "application/json" {
			t.Errorf("%d, %v", got.StatusCode, h)
		}
	})
	t.Run("own rule: who has the newest keys is told so", func(t *testing.T) {
		tag := w.ask(t, "/jwks").Header.Get("ETag")
		if got := w.ask(t, "/jwks", "If-None-Match", tag); got.StatusCode != http.StatusNotModified {
			t.Errorf("%d, want 304", got.StatusCode)
		}
		w.change(idp.P256Key, aSigningKey(t, "other", idp.P256Key, idp.KeyTimes{}))
		if got := w.ask(t, "/jwks", "If-None-Match", tag); got.StatusCode != http.StatusOK || got.Header.Get("ETag") == tag {
			t.Errorf("after a change: %d", got.StatusCode)
		}
	})
	t.Run("own rule: no part of a private key is published", func(t *testing.T) {
		var set struct{ Keys []map[string]any }
		if err := json.NewDecoder(w.ask(t, "/jwks").Body).Decode(&set); err != nil {
			t.Fatal(err)
		}
		for _, k := range set.Keys {
			for _, secret := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
				if _, there := k[secret]; there {
					t.Errorf("the key %v has %q", k["kid"], secret)
				}
			}
		}
		if len(set.Keys) != len(idp.KeyKinds) {
			t.Errorf("%d keys", len(set.Keys))
		}
	})
	t.Run("own rule: a set of no keys is a set", func(t *testing.T) {
		w := aKeyWorld(t)
		w.keys = idp.NewKeys()
		if set := w.published(t); set.Keys == nil {
			t.Error("keys is null")
		}
	})
}

func TestOldHints(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		times func(now time.Time) idp.KeyTimes
		ok    bool
	}{
		{"OIDC Core §3.1.2.1: an ID token of a retired key", func(now time.Time) idp.KeyTimes {
			return idp.KeyTimes{SignsUntil: now, PublishedUntil: now.Add(time.Hour)}
		}, true},
		{"OIDC Core §3.1.2.1: of one that is published no more", func(now time.Time) idp.KeyTimes {
			return idp.KeyTimes{SignsUntil: now.Add(-time.Hour), PublishedUntil: now}
		}, true},
		{"F17: of one that was revoked", func(now time.Time) idp.KeyTimes { return idp.KeyTimes{RevokedAt: now} }, false},
		{"F17: of one that was revoked by a server whose clock is ahead", func(now time.Time) idp.KeyTimes { return idp.KeyTimes{RevokedAt: now.Add(time.Minute)} }, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			w := aKeyWorld(t)
			key := aSigningKey(t, "k", idp.P256Key, idp.KeyTimes{})
			w.change(idp.P256Key, key)
			token, _ := w.signs(t, "ES256")
			key.KeyTimes, key.Signer = tt.times(w.now), nil
			w.change(idp.P256Key, key)
			if _, err := w.verify(token); (err == nil) != tt.ok {
				t.Errorf("verify() = %v, want it taken: %v", err, tt.ok)
			}
		})
	}
}

func TestVerifyType(t *testing.T) {
	t.Run("P12: what else our keys sign, as the journal's seals, is no ID token", func(t *testing.T) {
		w := aKeyWorld(t)
		key := aSigningKey(t, "one", idp.P256Key, idp.KeyTimes{})
		w.change(idp.P256Key, key)
		for typ, taken := range map[string]bool{"JWT": true, "audit-seal": false} {
			signer, err := newSigner(key, "ES256", typ)
			if err != nil {
				t.Fatal(err)
			}
			jws, err := signer.Sign([]byte(`{"iss":"https://id.example","aud":"c","sub":"555000000101","exp":1,"auth_time":1}`))
			if err != nil {
				t.Fatal(err)
			}
			text, err := jws.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			if claims, err := w.verify(text); (err == nil) != taken {
				t.Errorf("of type %s: %+v, %v", typ, claims, err)
			}
		}
	})
}

func TestVerifyUserInfo(t *testing.T) {
	t.Run("P12: userinfo that is signed is no ID token", func(t *testing.T) {
		w := aKeyWorld(t)
		said := signedUserInfo{Issuer: w.Issuer, Audience: "c", UserInfo: idp.UserInfo{Subject: "555000000101"}}
		for _, alg := range signatureAlgs {
			token, err := w.sign(string(alg), said)
			if err != nil {
				t.Fatal(err)
			}
			if claims, err := w.verify(token); err == nil {
				t.Errorf("%s: %+v", alg, claims)
			}
		}
	})
}
