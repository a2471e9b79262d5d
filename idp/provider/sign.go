package provider

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/idp"
)

// signers sign and know their own signatures again. They are made once, one for
// each algorithm: making one costs more than an ES256 signature.
type signers struct {
	by   map[string]jose.Signer
	algs []jose.SignatureAlgorithm
	keys jose.JSONWebKeySet
}

func newSigners(keys idp.Keys) (signers, error) {
	made := signers{by: map[string]jose.Signer{}, keys: keySet(keys)}
	for _, k := range keys {
		for _, alg := range k.Algs {
			s, err := jose.NewSigner(
				jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: jose.JSONWebKey{Key: k.Signer, KeyID: k.ID}},
				(&jose.SignerOptions{}).WithType("JWT"))
			if err != nil {
				return made, fmt.Errorf("signer for %s: %w", alg, err)
			}
			made.by[alg] = s
			made.algs = append(made.algs, jose.SignatureAlgorithm(alg))
		}
	}
	return made, nil
}

// keySet is what clients verify with. RFC 7517 §5.
func keySet(keys idp.Keys) jose.JSONWebKeySet {
	var set jose.JSONWebKeySet
	for _, k := range keys {
		public := jose.JSONWebKey{Key: k.Signer.Public(), KeyID: k.ID, Use: "sig"}
		if len(k.Algs) == 1 {
			public.Algorithm = k.Algs[0]
		}
		set.Keys = append(set.Keys, public)
	}
	return set
}

// sign returns payload as a compact JWS.
func (s signers) sign(alg string, payload any) (string, error) {
	signer, ok := s.by[alg]
	if !ok {
		return "", fmt.Errorf("no key signs with %s", alg)
	}
	b, err := json.Marshal(payload)
	if err != nil {
		return "", fmt.Errorf("encode token: %w", err)
	}
	jws, err := signer.Sign(b)
	if err != nil {
		return "", fmt.Errorf("sign token with %s: %w", alg, err)
	}
	return jws.CompactSerialize()
}

// maxHint bounds an ID token that comes back as a hint.
const maxHint = 16 << 10

// verify returns what an ID token of ours says, expired or not.
func (s signers) verify(token string) (idp.IDToken, error) {
	var claims idp.IDToken
	if len(token) > maxHint {
		return claims, errNotOurs
	}
	jws, err := jose.ParseSignedCompact(token, s.algs)
	if err != nil {
		return claims, errNotOurs
	}
	keys := s.keys.Key(jws.Signatures[0].Protected.KeyID)
	if len(keys) != 1 {
		return claims, errNotOurs
	}
	payload, err := jws.Verify(keys[0])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return idp.IDToken{}, errNotOurs
	}
	return claims, nil
}

var errNotOurs = errors.New("not an ID token of ours")

// atHash binds an access token to the ID token beside it: the left half of
// the hash that the ID token's algorithm uses. OIDC Core §3.1.3.6.
func atHash(alg, token string) string {
	var sum []byte
	switch alg {
	case "RS512", "EdDSA": // Ed25519 hashes with SHA-512
		h := sha512.Sum512([]byte(token))
		sum = h[:]
	default:
		h := sha256.Sum256([]byte(token))
		sum = h[:]
	}
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}
