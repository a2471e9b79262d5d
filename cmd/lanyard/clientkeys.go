package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/idp"
)

// judgeKeys looks at the application's public keys as a provider will, and
// returns those that it could use.
func (s *application) judgeKeys(ctx context.Context) []jose.JSONWebKey {
	if s.AuthMethod != idp.PrivateKeyJWT {
		return nil
	}
	of, text := "jwks", s.jwks
	if s.JWKSURI != "" {
		of = "jwks-uri"
		var err error
		if text, err = s.fetchKeys(ctx); err != nil {
			s.examiner.note(fail, of, fmt.Sprintf("%.100q: %s", s.JWKSURI, firstLine(err)), "have it answer 200 with a JSON Web Key Set, whoever asks")
			return nil
		}
	}
	if len(text) == 0 {
		return nil // which was said
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || set.Keys == nil {
		s.examiner.note(fail, of, "this is no JSON Web Key Set", `write {"keys": [...]}: RFC 7517 §5`)
		return nil
	}
	var good []jose.JSONWebKey
	seen := map[string]bool{}
	for i, one := range set.Keys {
		k, ok := s.judgeKey(of, i, one)
		if k.KeyID != "" && seen[k.KeyID] {
			s.examiner.note(fail, of, fmt.Sprintf("two keys have the kid %.60q", k.KeyID), "give each its own: the provider takes the first")
		}
		seen[k.KeyID] = true
		if ok {
			good = append(good, k)
		}
	}
	if len(good) == 0 {
		s.examiner.note(fail, of, "no key in it can verify an assertion", "publish the public half of the key that you sign with")
	}
	return good
}

// fetchKeys reads what is at the application's jwks_uri.
func (s *application) fetchKeys(ctx context.Context) ([]byte, error) {
	if what, _ := addressFault(s.JWKSURI); what != "" {
		return nil, errors.New(what)
	}
	s.judgeReach(ctx, "jwks-uri", s.JWKSURI)
	resp, body, err := s.get(ctx, s.JWKSURI) //nolint:bodyclose // do has read and closed it
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusMultipleChoices && resp.StatusCode < http.StatusBadRequest {
		return nil, errors.New("it leads elsewhere, and providers do not follow")
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	return body, nil
}

// judgeKey looks at one key, and says whether it verifies assertions.
func (s *application) judgeKey(of string, place int, text []byte) (jose.JSONWebKey, bool) {
	name := fmt.Sprintf("key %d", place+1)
	note := func(v verdict, what, do string) { s.examiner.note(v, of, name+": "+what, do) }
	var members map[string]json.RawMessage
	var k jose.JSONWebKey
	if err := json.Unmarshal(text, &members); err != nil || json.Unmarshal(text, &k) != nil {
		note(fail, "it cannot be read", "write it as RFC 7517 has it")
		return k, false
	}
	if k.KeyID != "" {
		name = fmt.Sprintf("key %.60q", k.KeyID)
	}
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
		if _, has := members[private]; has {
			note(fail, fmt.Sprintf("its private part %q is there for everybody to read", private), "make another key, and publish its public half alone: this one is known")
			return k, false
		}
	}
	if k.KeyID == "" {
		note(warn, "it has no kid", "give it one: without, you can never have two keys, and never change over")
	}
	switch {
	case k.Use == "":
		note(warn, "it has no use", `say "use": "sig"`)
	case k.Use != "sig":
		note(fine, "its use is "+k.Use+", so it is passed over", "")
		return k, false
	}
	if public, ok := k.Key.(*rsa.PublicKey); ok && public.N.BitLen() < 2048 {
		note(fail, fmt.Sprintf("it has %d bits", public.N.BitLen()), "use 2048 or more")
		return k, false
	}
	algs := algsOf(k.Key)
	switch {
	case len(algs) == 0:
		note(fail, "it is of a kind that no assertion is signed with", "use RSA or P-256")
		return k, false
	case k.Algorithm == "":
		note(warn, "it has no alg", "say which: "+strings.Join(algs, " or "))
	case !slices.Contains(algs, k.Algorithm):
		note(fail, fmt.Sprintf("its alg %.20q is not one of its kind", k.Algorithm), "say which: "+strings.Join(algs, " or "))
		return k, false
	case len(s.AssertionAlgs) > 0 && !slices.Contains(s.AssertionAlgs, k.Algorithm):
		note(fail, "its alg "+k.Algorithm+" is not one of the registration's assertion_algs", "register it, or use another")
		return k, false
	}
	return k, true
}

// algsOf are the algorithms for assertions by such a key.
func algsOf(public crypto.PublicKey) []string {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return []string{"RS256", "RS512", "PS256"}
	case *ecdsa.PublicKey:
		if k.Curve == elliptic.P256() {
			return []string{"ES256"}
		}
	}
	return nil
}

// privateKey reads a private key that is written as PEM or as a JWK.
func privateKey(path string) (jose.JSONWebKey, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the file that the person at the terminal named
	if err != nil {
		return jose.JSONWebKey{}, err
	}
	if block, _ := pem.Decode(text); block != nil {
		key, err := parsePEM(block.Bytes)
		return jose.JSONWebKey{Key: key}, err
	}
	var k jose.JSONWebKey
	if err := json.Unmarshal(text, &k); err != nil || k.IsPublic() {
		return jose.JSONWebKey{}, errors.New("it is no private key in PEM or as a JWK") // never shown
	}
	return k, nil
}

func parsePEM(der []byte) (any, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return nil, errors.New("it is no private key in PEM or as a JWK")
}

// published finds the public half of a private key among keys.
func published(private any, keys []jose.JSONWebKey) (jose.JSONWebKey, bool) {
	signer, ok := private.(crypto.Signer)
	if !ok {
		return jose.JSONWebKey{}, false
	}
	public := signer.Public()
	i := slices.IndexFunc(keys, func(k jose.JSONWebKey) bool {
		switch p := public.(type) {
		case *rsa.PublicKey:
			return p.Equal(k.Key)
		case *ecdsa.PublicKey:
			return p.Equal(k.Key)
		case ed25519.PublicKey:
			return p.Equal(k.Key)
		}
		return false
	})
	if i < 0 {
		return jose.JSONWebKey{}, false
	}
	return keys[i], true
}
