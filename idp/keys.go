package idp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
)

// SigningKey signs tokens with any of its algorithms.
type SigningKey struct {
	ID     string // kid
	Algs   []string
	Signer crypto.Signer
}

// Keys is the set that this provider signs with and publishes. RS256 is the
// default of OIDC Core §2; the others are for clients that registered them.
type Keys []SigningKey

// GenerateKeys makes a set for every algorithm that a client may register.
func GenerateKeys() (Keys, error) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("generate RSA key: %w", err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate P-256 key: %w", err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate Ed25519 key: %w", err)
	}
	return Keys{
		{ID: random(16), Algs: []string{"RS256", "RS512", "PS256"}, Signer: rsaKey},
		{ID: random(16), Algs: []string{"ES256"}, Signer: ecKey},
		{ID: random(16), Algs: []string{"EdDSA"}, Signer: edKey},
	}, nil
}

// Algs lists the algorithms that the set can sign with.
func (ks Keys) Algs() []string {
	var algs []string
	for _, k := range ks {
		algs = append(algs, k.Algs...)
	}
	return algs
}
