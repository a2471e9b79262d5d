package provider

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/idp"
)

// signers are made once, one for each algorithm: making one costs more than
// an ES256 signature.
type signers map[string]jose.Signer

func newSigners(keys idp.Keys) (signers, error) {
	made := signers{}
	for _, k := range keys {
		for _, alg := range k.Algs {
			s, err := jose.NewSigner(
				jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: jose.JSONWebKey{Key: k.Signer, KeyID: k.ID}},
				(&jose.SignerOptions{}).WithType("JWT"))
			if err != nil {
				return nil, fmt.Errorf("signer for %s: %w", alg, err)
			}
			made[alg] = s
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
	signer, ok := s[alg]
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
