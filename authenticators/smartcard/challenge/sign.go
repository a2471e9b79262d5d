package challenge

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Alg is a signature algorithm by its name in RFC 7518 §3.1.
type Alg string

// The algorithms. Sign never makes RS256; Verify takes it where the caller
// allows it, for cards that can do nothing else.
const (
	ES256 Alg = "ES256" // P-256 with SHA-256
	ES384 Alg = "ES384" // P-384 with SHA-384
	PS256 Alg = "PS256" // RSA-PSS with SHA-256, salt of 32 bytes
	RS256 Alg = "RS256" // RSA PKCS#1 v1.5 with SHA-256
)

// AlgFor returns the algorithm that Sign uses with key, or ErrSignature if
// there is none.
func AlgFor(key crypto.PublicKey) (Alg, error) {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return ES256, nil
		case elliptic.P384():
			return ES384, nil
		}
	case *rsa.PublicKey:
		return PS256, nil
	}
	return "", fmt.Errorf("%w: no algorithm for this kind of key", ErrSignature)
}

// Sign makes the message that says p, signed by the card's key. It makes all
// the bytes itself and refuses with ErrMalformed a payload that Parse would
// not read, so a card is never led to sign anything else. ErrSignature says
// that the key is not the certificate's or is of a kind without an algorithm;
// any other error is the card's own.
func Sign(p Payload, certificate *x509.Certificate, key crypto.Signer) ([]byte, error) {
	return write(Type, p, p.check(), certificate, key)
}

// write makes a message of that type, unless bad says what is wrong with it.
func write(typ string, says any, bad error, certificate *x509.Certificate, key crypto.Signer) ([]byte, error) {
	alg, err := AlgFor(key.Public())
	if err != nil {
		return nil, err
	}
	if k, ok := certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !k.Equal(key.Public()) {
		return nil, fmt.Errorf("%w: it is not the certificate's", ErrSignature)
	}
	if bad != nil {
		return nil, bad
	}
	header, err := json.Marshal(Header{Alg: alg, Type: typ, Certificate: CertificateThumbprint(certificate)})
	if err != nil {
		return nil, fmt.Errorf("write header: %w", err)
	}
	payload, err := json.Marshal(says)
	if err != nil {
		return nil, fmt.Errorf("write payload: %w", err)
	}

	input := encode(header) + "." + encode(payload)
	signature, err := sign(alg, key, []byte(input))
	if err != nil {
		return nil, err
	}
	jws := input + "." + encode(signature)
	if len(jws) > MaxSize {
		return nil, malformed("too long")
	}
	return []byte(jws), nil
}

func sign(alg Alg, key crypto.Signer, input []byte) ([]byte, error) {
	if alg == PS256 {
		signature, err := key.Sign(rand.Reader, alg.digest(input), pss)
		if err != nil {
			return nil, fmt.Errorf("sign: %w", err)
		}
		return signature, nil
	}
	der, err := key.Sign(rand.Reader, alg.digest(input), alg.hash())
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	var s struct{ R, S *big.Int }
	n := alg.half()
	if rest, err := asn1.Unmarshal(der, &s); err != nil || len(rest) > 0 || !fits(s.R, n) || !fits(s.S, n) {
		return nil, fmt.Errorf("%w: the card did not return an ECDSA signature", ErrSignature)
	}
	// RFC 7518 §3.4: r and s side by side, each as long as the curve's order.
	return append(s.R.FillBytes(make([]byte, n)), s.S.FillBytes(make([]byte, n))...), nil
}

func fits(n *big.Int, size int) bool { return n.Sign() > 0 && n.BitLen() <= 8*size }

// Verify returns nil if key made the signature of m by one of the allowed
// algorithms, and ErrSignature if not. The algorithm must be one for that
// kind of key: the header alone never chooses (RFC 8725 §3.1).
func (m signed) Verify(key crypto.PublicKey, allowed []Alg) error {
	alg := m.Header.Alg
	own, err := AlgFor(key)
	if err != nil {
		return err
	}
	if !slices.Contains(allowed, alg) || alg != own && (alg != RS256 || own != PS256) {
		return fmt.Errorf("%w: algorithm", ErrSignature)
	}
	if !verify(alg, key, alg.digest(m.input), m.signature) {
		return ErrSignature
	}
	return nil
}

func verify(alg Alg, key crypto.PublicKey, digest, signature []byte) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		n := alg.half()
		if len(signature) != 2*n {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:n]), new(big.Int).SetBytes(signature[n:])
		return ecdsa.Verify(k, digest, r, s)
	case *rsa.PublicKey:
		if alg == RS256 {
			return rsa.VerifyPKCS1v15(k, alg.hash(), digest, signature) == nil
		}
		return rsa.VerifyPSS(k, alg.hash(), digest, signature, pss) == nil
	}
	return false
}

// RFC 7518 §3.5: the salt is as long as the hash.
var pss = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}

func (a Alg) hash() crypto.Hash {
	if a == ES384 {
		return crypto.SHA384
	}
	return crypto.SHA256
}

func (a Alg) digest(input []byte) []byte {
	h := a.hash().New()
	h.Write(input)
	return h.Sum(nil)
}

// half is the length in bytes of one half of an ECDSA signature.
func (a Alg) half() int {
	if a == ES384 {
		return 48
	}
	return 32
}

// CertificateThumbprint returns the x5t#S256 of c: base64url SHA-256 of its
// DER (RFC 7515 §4.1.8).
func CertificateThumbprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return encode(sum[:])
}

// KeyThumbprint returns the RFC 7638 thumbprint of an agent's key, which must
// be on P-256: base64url SHA-256 of its JWK.
func KeyThumbprint(key *ecdsa.PublicKey) (string, error) {
	if key.Curve != elliptic.P256() {
		return "", fmt.Errorf("%w: an agent's key is on P-256", ErrSignature)
	}
	point, err := key.Bytes()
	if err != nil {
		return "", fmt.Errorf("%w: not a point of its curve", ErrSignature)
	}
	x, y := point[1:33], point[33:] // SEC 1 §2.3.3: 04, then x, then y
	// RFC 7638 §3.2: the required members in the order of their names.
	jwk := fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, encode(x), encode(y))
	sum := sha256.Sum256([]byte(jwk))
	return encode(sum[:]), nil
}

// Serial writes the serial number of c as every part of Lanyard does:
// upper-case hex, two digits a byte, no leading zero bytes.
func Serial(c *x509.Certificate) string {
	return strings.ToUpper(fmt.Sprintf("%x", c.SerialNumber.Bytes()))
}
