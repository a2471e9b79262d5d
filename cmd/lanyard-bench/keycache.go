package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keyCache keeps the provider's keys in the way of one kind of client.
type keyCache struct {
	name string
	site *site

	// life is how long the keys are kept. While it lasts a key that is not
	// among them is a failed verification, unless the client asks again then.
	life    time.Duration
	unknown bool // asks again when it meets a key that it does not know

	mu   sync.Mutex
	keys map[string]jose.JSONWebKey
	read time.Time
}

// forever is the life of keys that are never asked for again by themselves.
const forever = 1000 * time.Hour

// errUnknownKey says that a token was signed by a key that the client does not
// have, though it keeps keys no longer than it may.
var errUnknownKey = errors.New("the token's key is not among the published ones that the client keeps")

// verify checks a token's signature and returns its claims and its key's name.
func (c *keyCache) verify(ctx context.Context, token, alg string) (map[string]any, string, error) {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		return nil, "", fmt.Errorf("read ID token: %w", err)
	}
	kid := jws.Signatures[0].Header.KeyID
	key, err := c.key(ctx, kid)
	if err != nil {
		return nil, kid, fmt.Errorf("%s: %w", c.name, err)
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return nil, kid, fmt.Errorf("%s: verify ID token: %w", c.name, err)
	}
	claims := map[string]any{}
	return claims, kid, json.Unmarshal(payload, &claims)
}

func (c *keyCache) key(ctx context.Context, kid string) (jose.JSONWebKey, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.read) >= c.life {
		if err := c.fetch(ctx); err != nil {
			return jose.JSONWebKey{}, err
		}
	}
	key, ok := c.keys[kid]
	if !ok && c.unknown {
		if err := c.fetch(ctx); err != nil {
			return jose.JSONWebKey{}, err
		}
		key, ok = c.keys[kid]
	}
	if !ok {
		return jose.JSONWebKey{}, errUnknownKey
	}
	return key, nil
}

func (c *keyCache) fetch(ctx context.Context) error {
	asked := time.Now()
	keys, err := c.site.keys(ctx)
	if err != nil {
		return err
	}
	c.keys, c.read = keys, asked
	return nil
}

// keys returns what is published just now.
func (s *site) keys(ctx context.Context) (map[string]jose.JSONWebKey, error) {
	a, err := s.ask(ctx, http.MethodGet, "/jwks", nil, "")
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, problem("read the keys", a)
	}
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(a.body, &set); err != nil {
		return nil, fmt.Errorf("read the keys: %w", err)
	}
	keys := map[string]jose.JSONWebKey{}
	for _, k := range set.Keys {
		keys[k.KeyID] = k
	}
	return keys, nil
}
