package card

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// key is a card's key for as long as one transaction lasts.
type key struct {
	certificate *x509.Certificate

	mu sync.Mutex
	c  connection // nil when the transaction is over
}

// Public returns the public key.
func (k *key) Public() crypto.PublicKey { return k.certificate.PublicKey }

// Sign signs a digest: by RSA-PSS with a salt as long as the hash, or by ECDSA.
func (k *key) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.c == nil {
		return nil, errors.New("the card was reset and asks for its passcode again")
	}
	if h := opts.HashFunc(); !h.Available() || len(digest) != h.Size() {
		return nil, errors.New("the card signs digests only")
	}
	block := digest
	if public, ok := k.certificate.PublicKey.(*rsa.PublicKey); ok {
		if pss, ok := opts.(*rsa.PSSOptions); !ok || pss.SaltLength != rsa.PSSSaltLengthEqualsHash {
			return nil, errors.New("the card signs by RSA-PSS, with a salt as long as the hash")
		}
		salt := make([]byte, len(digest))
		if _, err := io.ReadFull(random, salt); err != nil {
			return nil, fmt.Errorf("make salt: %w", err)
		}
		block = padded(public.N.BitLen(), digest, salt, opts.HashFunc())
	} else if public, ok := k.certificate.PublicKey.(*ecdsa.PublicKey); ok && len(digest) > (public.Params().BitSize+7)/8 {
		return nil, errors.New("the digest is longer than the card's key")
	}
	return authenticate(k.c, algorithmOf(k.certificate), block)
}

func (k *key) takeBack() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.c = nil
}

// authenticate is GENERAL AUTHENTICATE with a challenge (SP 800-73-4 part 2
// §3.2.4).
func authenticate(c connection, algorithm byte, block []byte) ([]byte, error) {
	asked := tagged(0x7C, slices.Concat([]byte{0x82, 0x00}, tagged(0x81, block)))
	data, sw, err := exchange(c, insAuthenticate, algorithm, slot, asked, true)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	template, _ := field(data, 0x7C)
	signature, ok := field(template, 0x82)
	if sw != swOK || !ok || len(signature) == 0 {
		return nil, fmt.Errorf("sign: %w", sw)
	}
	return slices.Clone(signature), nil
}

func tagged(tag byte, value []byte) []byte {
	head := []byte{tag, byte(len(value))} //nolint:gosec // below
	if n := len(value); n > 255 {
		head = []byte{tag, 0x82, byte(n >> 8), byte(n)} //nolint:gosec // a block of RSA is far shorter than 64 kB
	} else if n > 127 {
		head = []byte{tag, 0x81, byte(n)}
	}
	return append(head, value...)
}

// padded is EMSA-PSS (RFC 8017 §9.1.1) for a key of so many bits: a card does
// the arithmetic of RSA alone.
func padded(bits int, digest, salt []byte, hash crypto.Hash) []byte {
	block := make([]byte, (bits+6)/8) // one bit less than the key
	h := hash.New()
	h.Write(make([]byte, 8))
	h.Write(digest)
	h.Write(salt)
	hashed := h.Sum(nil)

	db := block[:len(block)-len(hashed)-1]
	copy(db[len(db)-len(salt):], salt)
	db[len(db)-len(salt)-1] = 0x01
	for i, at := 0, 0; at < len(db); i++ { // MGF1, RFC 8017 appendix B.2.1
		h.Reset()
		h.Write(hashed)
		h.Write([]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)})
		for _, b := range h.Sum(nil) {
			if at < len(db) {
				db[at] ^= b
				at++
			}
		}
	}
	db[0] &= 0xFF >> (8*len(block) - (bits - 1))
	copy(block[len(db):], hashed)
	block[len(block)-1] = 0xBC
	return block
}
