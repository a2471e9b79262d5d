package provider

import (
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/idp"
)

// How the keys of clients that have them at an address are kept.
const (
	keysLife   = time.Hour        // then they are asked for again
	keysEnd    = 2 * time.Hour    // for how long they stand in where their address does not answer
	keysPause  = 30 * time.Second // at least between two asks, whatever kids come
	keysWait   = 2 * time.Second
	maxKeys    = 256 << 10 // bytes
	maxClients = 10_000    // with keys in memory
)

// clientKeys finds the keys that clients sign with: registered, or at their
// jwks_uri, which is asked again when a kid comes that it did not have.
type clientKeys struct {
	http *http.Client // guarded: it goes nowhere inside our own network
	now  func() time.Time

	mu    sync.Mutex
	known map[string]*keysAt // by address, or by the registered text
}

// keysAt are the keys at one address.
type keysAt struct {
	mu    sync.Mutex // held while asking, so that many ask once
	set   jose.JSONWebKeySet
	got   time.Time // when set came; zero: never
	asked time.Time
}

// verify returns the payload of jws if one of c's keys signed it.
func (k *clientKeys) verify(ctx context.Context, c idp.Client, jws *jose.JSONWebSignature) ([]byte, error) {
	header := jws.Signatures[0].Protected
	for _, again := range []bool{false, true} {
		set, err := k.keys(ctx, c, again)
		if err != nil {
			return nil, err
		}
		key, err := choose(set, header)
		if err != nil {
			if again || c.JWKSURI == "" {
				return nil, wrong("kid", header.KeyID, "the kid of a registered signing key for "+header.Algorithm)
			}
			continue
		}
		payload, err := jws.Verify(key)
		if err != nil {
			return nil, wrong("signature", "wrong", "one by the key "+key.KeyID)
		}
		return payload, nil
	}
	return nil, wrong("kid", header.KeyID, "the kid of a registered key")
}

// choose picks the key with the header's kid. Without a kid it takes the only
// key that could be meant.
func choose(set jose.JSONWebKeySet, h jose.Header) (jose.JSONWebKey, error) {
	var fit []jose.JSONWebKey
	for _, key := range set.Keys {
		if (h.KeyID == "" || key.KeyID == h.KeyID) && usable(key, h.Algorithm) {
			fit = append(fit, key)
		}
	}
	if len(fit) == 0 || h.KeyID == "" && len(fit) > 1 {
		return jose.JSONWebKey{}, errNoKey
	}
	return fit[0], nil
}

// usable says whether a key is for signatures by alg, and strong.
func usable(key jose.JSONWebKey, alg string) bool {
	if key.Use != "" && key.Use != "sig" || key.Algorithm != "" && key.Algorithm != alg || !key.IsPublic() || !key.Valid() {
		return false
	}
	if k, ok := key.Key.(*rsa.PublicKey); ok {
		return k.N.BitLen() >= 2048 && k.N.BitLen() <= 8192
	}
	return true
}

// keys returns the keys of c. again asks for them anew, if they are at an
// address and were not asked for just now.
func (k *clientKeys) keys(ctx context.Context, c idp.Client, again bool) (jose.JSONWebKeySet, error) {
	name := c.JWKSURI
	if name == "" {
		name = string(c.JWKS)
	}
	if name == "" {
		return jose.JSONWebKeySet{}, wrong("keys", "none", "jwks or jwks_uri in the registration")
	}
	at := k.place(name)
	at.mu.Lock()
	defer at.mu.Unlock()
	if c.JWKSURI == "" {
		if at.got.IsZero() {
			return at.read(c.JWKS, k.now())
		}
		return at.set, nil
	}
	if now := k.now(); (again || now.Sub(at.got) >= keysLife) && now.Sub(at.asked) >= keysPause {
		at.asked = now // whatever comes of it, so that nobody can make us ask all the time
		// Not ended with the request: who hangs up must not keep keys from
		// being renewed.
		text, err := k.fetch(context.WithoutCancel(ctx), c.JWKSURI)
		if err == nil {
			_, err = at.read(text, now)
		}
		if err != nil && at.got.IsZero() {
			return jose.JSONWebKeySet{}, wrong("jwks_uri", err.Error(), "an answer with keys")
		}
	}
	if at.got.IsZero() || k.now().Sub(at.got) >= keysEnd {
		return jose.JSONWebKeySet{}, wrong("jwks_uri", "no answer for too long", "an answer with keys")
	}
	return at.set, nil
}

// read takes the keys that are written in text, got at now.
func (at *keysAt) read(text []byte, now time.Time) (jose.JSONWebKeySet, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(text, &set); err != nil {
		return set, wrong("keys", "unreadable", "a JSON Web Key Set")
	}
	at.set, at.got = set, now
	return set, nil
}

// place returns where the keys called name are kept.
func (k *clientKeys) place(name string) *keysAt {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil || len(k.known) >= maxClients {
		k.known = map[string]*keysAt{}
	}
	if k.known[name] == nil {
		k.known[name] = &keysAt{}
	}
	return k.known[name]
}

// fetch gets a document of limited size in limited time.
func (k *clientKeys) fetch(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, keysWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("not an address")
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	resp, err := k.http.Do(req)
	if err != nil {
		return nil, errors.New("no answer")
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxKeys+1))
	if err != nil || len(b) > maxKeys {
		return nil, errors.New("too long, or broken off")
	}
	return b, nil
}
