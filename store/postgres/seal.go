package postgres

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"

	"github.com/lanyard-id/lanyard/idp"
)

// sealType tells a seal from the tokens that the same key signs.
const sealType = "audit-seal"

// mostHeads is how many chains one seal names, and maxSeal how long one may be.
const (
	mostHeads = 500
	maxSeal   = 256 << 10
)

// seal says where chains ended, in the words of one server.
type seal struct {
	Server   string    `json:"server"`
	N        int64     `json:"n"`
	At       time.Time `json:"at"`
	Previous []byte    `json:"previous"` // SHA-256 of the server's seal before, of its name in the first
	Heads    []head    `json:"heads"`    // of the chains that moved since
}

// head is the end of a chain.
type head struct {
	Server string `json:"server"`
	Seq    int64  `json:"seq"`
	Hash   []byte `json:"hash"`
}

// follows is the hash that the seal after text names.
func follows(text string) []byte {
	h := sha256.Sum256([]byte(text))
	return h[:]
}

// PublicKeys finds a key that has ever signed here, with its times. Of the key
// itself only the public part is asked for.
type PublicKeys func(id string) (idp.SigningKey, bool)

// sign returns l as a compact JWS by key, which is of ES256.
func (l seal) sign(key idp.SigningKey) (string, error) {
	payload, err := json.Marshal(l)
	if err != nil {
		return "", fmt.Errorf("write a seal: %w", err)
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: cryptosigner.Opaque(key.Signer), KeyID: key.ID}},
		(&jose.SignerOptions{}).WithType(sealType))
	if err != nil {
		return "", fmt.Errorf("sign a seal: %w", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign a seal: %w", err)
	}
	return jws.CompactSerialize()
}

var (
	errSealForm    = errors.New("the seal cannot be read")
	errSealKey     = errors.New("the seal is signed by no key of ours")
	errSealRevoked = errors.New("the seal was made after its key was revoked")
)

// openSeal returns what text says if one of our keys signed it, and was not
// revoked by then.
func openSeal(text string, keys PublicKeys) (seal, error) {
	var l seal
	if len(text) > maxSeal {
		return l, errSealForm
	}
	jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return l, errSealForm
	}
	header := jws.Signatures[0].Header
	if header.ExtraHeaders[jose.HeaderType] != sealType {
		return l, errSealForm
	}
	key, ok := keys(header.KeyID)
	if !ok {
		return l, errSealKey
	}
	payload, err := jws.Verify(key.Public)
	if err != nil {
		return l, errSealKey
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return l, errSealForm
	}
	if !key.RevokedAt.IsZero() && !l.At.Before(key.RevokedAt) {
		return l, errSealRevoked
	}
	return l, nil
}
