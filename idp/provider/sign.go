package provider

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"

	"github.com/lanyard-id/lanyard/idp"
)

// signing is what the keys come to until one of them changes its state: what is
// signed with, and what is published.
type signing struct {
	keys        *idp.Keys
	from, until time.Time
	by          map[string]signer // of tokens, by algorithm
	logouts     map[string]signer // of logout tokens
	jwks        document
	discovery   document
}

// signer is a key made ready for one algorithm. It is made once: making one
// costs more than an ES256 signature.
type signer struct {
	jose.Signer
	kid string
}

// signing returns what holds now.
func (p *Provider) signing() (*signing, error) {
	keys, now := p.SigningKeys(), p.Logins.Now()
	if s := p.made.Load(); s.holds(keys, now) {
		return s, nil
	}
	p.making.Lock()
	defer p.making.Unlock()
	before := p.made.Load()
	if before.holds(keys, now) {
		return before, nil
	}
	s, err := p.makeSigning(keys, now, before)
	if err != nil {
		return nil, err
	}
	p.made.Store(s)
	return s, nil
}

func (s *signing) holds(keys *idp.Keys, now time.Time) bool {
	return s != nil && s.keys == keys && !now.Before(s.from) && (s.until.IsZero() || now.Before(s.until))
}

func (p *Provider) makeSigning(keys *idp.Keys, now time.Time, before *signing) (*signing, error) {
	s := &signing{keys: keys, by: map[string]signer{}, logouts: map[string]signer{}}
	s.from, s.until = keys.Span(now)
	for _, kind := range idp.KeyKinds {
		key, ok := keys.Signer(kind, now)
		if !ok {
			continue
		}
		for _, alg := range kind.Algs() {
			if before != nil && before.by[alg].kid == key.ID {
				s.by[alg], s.logouts[alg] = before.by[alg], before.logouts[alg]
				continue
			}
			made, err := newSigner(key, alg, tokenType)
			if err != nil {
				return nil, err
			}
			logout, err := newSigner(key, alg, logoutType)
			if err != nil {
				return nil, err
			}
			s.by[alg], s.logouts[alg] = signer{made, key.ID}, signer{logout, key.ID}
		}
	}
	var err error
	if s.jwks, err = newDocument(keySet(keys.Published(now))); err != nil {
		return nil, fmt.Errorf("write keys: %w", err)
	}
	if s.discovery, err = newDocument(p.discover(keys.Algs(now))); err != nil {
		return nil, fmt.Errorf("write discovery: %w", err)
	}
	return s, nil
}

// tokenType is the typ of what clients get from us, and logoutType that of what
// they are told: neither is taken for the other (RFC 8725 §3.11).
const (
	tokenType  = "JWT"
	logoutType = "logout+jwt"
)

// newSigner makes a key ready for one algorithm and one type of message. A key
// that is not in memory signs where it is.
func newSigner(key idp.SigningKey, alg, typ string) (jose.Signer, error) {
	var private any = key.Signer
	switch key.Signer.(type) {
	case *rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey:
	default:
		private = cryptosigner.Opaque(key.Signer)
	}
	made, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: jose.JSONWebKey{Key: private, KeyID: key.ID}},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return nil, fmt.Errorf("key %s does not sign with %s: %w", key.ID, alg, err)
	}
	return made, nil
}

// keySet is what clients verify with. RFC 7517 §5.
func keySet(keys []idp.SigningKey) jose.JSONWebKeySet {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range keys {
		public := jose.JSONWebKey{Key: k.Public, KeyID: k.ID, Use: "sig"}
		if algs := k.Kind.Algs(); len(algs) == 1 {
			public.Algorithm = algs[0]
		}
		set.Keys = append(set.Keys, public)
	}
	return set
}

// sign returns payload as a compact JWS.
func (p *Provider) sign(alg string, payload any) (string, error) {
	s, err := p.signing()
	if err != nil {
		return "", err
	}
	return signWith(s.by, alg, payload)
}

// LogoutToken returns what the client c is told of the end of a session, signed
// as its ID tokens are. OIDC Back-Channel Logout §2.4.
func (p *Provider) LogoutToken(c idp.Client, l idp.Logout) (string, error) {
	s, err := p.signing()
	if err != nil {
		return "", err
	}
	return signWith(s.logouts, c.IDTokenAlg, idp.LogoutTokenFor(p.Issuer, l, p.Logins.Now()))
}

func signWith(by map[string]signer, alg string, payload any) (string, error) {
	key, ok := by[alg]
	if !ok {
		return "", fmt.Errorf("no key signs with %s", alg)
	}
	b, err := json.Marshal(payload)
	if err != nil {
		return "", fmt.Errorf("encode token: %w", err)
	}
	jws, err := key.Sign(b)
	if err != nil {
		return "", fmt.Errorf("sign token with %s: %w", alg, err)
	}
	return jws.CompactSerialize()
}

// maxHint bounds an ID token that comes back as a hint.
const maxHint = 16 << 10

// verify returns what an ID token of ours says, expired or not. A key that was
// retired, however long ago, still proves that we said it; one that was revoked
// proves nothing.
func (p *Provider) verify(token string) (idp.IDToken, error) {
	var claims idp.IDToken
	if len(token) > maxHint {
		return claims, errNotOurs
	}
	jws, err := jose.ParseSignedCompact(token, signatureAlgs)
	if err != nil {
		return claims, errNotOurs
	}
	header := jws.Signatures[0].Protected
	key, ok := p.SigningKeys().Key(header.KeyID)
	if !ok || key.State(p.Logins.Now()) == idp.KeyRevoked || !slices.Contains(key.Kind.Algs(), header.Algorithm) ||
		header.ExtraHeaders[jose.HeaderType] != tokenType {
		return claims, errNotOurs
	}
	payload := jws.UnsafePayloadWithoutVerification()
	if !p.proven.has(token) {
		if payload, err = jws.Verify(key.Public); err == nil {
			p.proven.add(token)
		}
	}
	// What else is a JWT of ours, userinfo, has neither of these.
	if err != nil || json.Unmarshal(payload, &claims) != nil || claims.Expires == 0 || claims.AuthTime == 0 {
		return idp.IDToken{}, errNotOurs
	}
	return claims, nil
}

var errNotOurs = errors.New("not an ID token of ours")

// signatureAlgs are the algorithms of every kind of key.
var signatureAlgs = func() (algs []jose.SignatureAlgorithm) {
	for _, kind := range idp.KeyKinds {
		for _, alg := range kind.Algs() {
			algs = append(algs, jose.SignatureAlgorithm(alg))
		}
	}
	return algs
}()

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
