package testkey

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"
	"time"
)

// Attest makes the attestation statement of a new credential.
type Attest func(k *Key, data []byte, client [32]byte) (format string, statement map[string]any, err error)

// None attests nothing.
func None(*Key, []byte, [32]byte) (string, map[string]any, error) {
	return "none", map[string]any{}, nil
}

// Self attests with the credential's own key: a claim without a proof.
func Self(k *Key, data []byte, client [32]byte) (string, map[string]any, error) {
	signature, err := k.sign(append(bytes.Clone(data), client[:]...))
	return "packed", map[string]any{"alg": k.alg, "sig": signature}, err
}

// Maker makes keys and vouches for them. Set what should differ before a key
// is made.
type Maker struct {
	Root  *x509.Certificate
	Ends  time.Time // when its certificates end; zero: not in our time
	Names *[16]byte // the model that its certificates name, if not the key's

	key *ecdsa.PrivateKey
}

// The certificates' days are wide, because servers look at the real clock for
// some and at their own for others.
var (
	firstDay = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	lastDay  = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
)

// NewMaker returns a maker with a root of its own.
func NewMaker() (*Maker, error) {
	key, root, err := newRoot("Test Maker Root")
	return &Maker{Root: root, key: key}, err
}

func newRoot(name string) (*ecdsa.PrivateKey, *x509.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make root: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: firstDay, NotAfter: lastDay,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make root: %w", err)
	}
	root, err := x509.ParseCertificate(der)
	return key, root, err
}

// issue returns a certificate of the maker's for a public key.
func (m *Maker) issue(public any, subject pkix.Name, extensions []pkix.Extension, purposes ...asn1.ObjectIdentifier) ([]byte, error) {
	t := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: subject, NotBefore: firstDay, NotAfter: lastDay,
		BasicConstraintsValid: true, ExtraExtensions: extensions, UnknownExtKeyUsage: purposes,
	}
	if !m.Ends.IsZero() {
		t.NotAfter = m.Ends
	}
	return x509.CreateCertificate(rand.Reader, t, m.Root, public, m.key)
}

// model is the extension that names a model.
func (m *Maker) model(k *Key) (pkix.Extension, error) {
	named := k.Model
	if m.Names != nil {
		named = *m.Names
	}
	value, err := asn1.Marshal(named[:])
	return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: value}, err
}

var attestationSubject = pkix.Name{
	Country: []string{"GB"}, Organization: []string{"Test Maker"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "Test Key",
}

// Packed vouches as most security keys do.
func (m *Maker) Packed(k *Key, data []byte, client [32]byte) (string, map[string]any, error) {
	batch, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", nil, err
	}
	named, err := m.model(k)
	if err != nil {
		return "", nil, err
	}
	leaf, err := m.issue(batch.Public(), attestationSubject, []pkix.Extension{named})
	if err != nil {
		return "", nil, err
	}
	signature, err := sign(batch, append(bytes.Clone(data), client[:]...))
	return "packed", map[string]any{"alg": ES256, "sig": signature, "x5c": []any{leaf}}, err
}

// U2F vouches as keys of the first generation do.
func (m *Maker) U2F(k *Key, data []byte, client [32]byte) (string, map[string]any, error) {
	batch, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", nil, err
	}
	leaf, err := m.issue(batch.Public(), attestationSubject, nil)
	if err != nil {
		return "", nil, err
	}
	point, err := k.signer.Public().(*ecdsa.PublicKey).Bytes()
	if err != nil {
		return "", nil, err
	}
	message := append([]byte{0}, data[:32]...)
	message = append(append(append(message, client[:]...), k.ID...), point...)
	signature, err := sign(batch, message)
	return "fido-u2f", map[string]any{"sig": signature, "x5c": []any{leaf}}, err
}

// Apple vouches as Apple's devices do, with a certificate for the credential.
func (m *Maker) Apple(k *Key, data []byte, client [32]byte) (string, map[string]any, error) {
	nonce := sha256.Sum256(append(bytes.Clone(data), client[:]...))
	value, err := asn1.Marshal(struct {
		Nonce []byte `asn1:"tag:1,explicit"`
	}{nonce[:]})
	if err != nil {
		return "", nil, err
	}
	leaf, err := m.issue(k.signer.Public(), attestationSubject, []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 840, 113635, 100, 8, 2}, Value: value}})
	return "apple", map[string]any{"x5c": []any{leaf, m.Root.Raw}}, err
}

// AndroidKey vouches as the key store of Android does.
func (m *Maker) AndroidKey(k *Key, data []byte, client [32]byte) (string, map[string]any, error) {
	type hardware struct {
		Purpose []int `asn1:"tag:1,explicit,set"`
		Origin  int   `asn1:"tag:702,explicit"`
	}
	value, err := asn1.Marshal(struct {
		Version       int
		Level         asn1.Enumerated
		StoreVersion  int
		StoreLevel    asn1.Enumerated
		Challenge, ID []byte
		Software      struct{}
		Hardware      hardware
	}{Version: 300, Level: 1, StoreVersion: 300, StoreLevel: 1, Challenge: client[:], ID: []byte{}, Hardware: hardware{Purpose: []int{2}}})
	if err != nil {
		return "", nil, err
	}
	leaf, err := m.issue(k.signer.Public(), attestationSubject, []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 1, 17}, Value: value}})
	if err != nil {
		return "", nil, err
	}
	signature, err := k.sign(append(bytes.Clone(data), client[:]...))
	return "android-key", map[string]any{"alg": k.alg, "sig": signature, "x5c": []any{leaf, m.Root.Raw}}, err
}

// TPM vouches as Windows Hello does: the TPM certifies the credential's key
// with a key of its own. The credential must be of ES256.
func (m *Maker) TPM(k *Key, data []byte, client [32]byte) (string, map[string]any, error) {
	identity, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", nil, err
	}
	names, err := tpmNames()
	if err != nil {
		return "", nil, err
	}
	named, err := m.model(k)
	if err != nil {
		return "", nil, err
	}
	leaf, err := m.issue(identity.Public(), pkix.Name{}, []pkix.Extension{names, named}, asn1.ObjectIdentifier{2, 23, 133, 8, 3})
	if err != nil {
		return "", nil, err
	}
	point, err := k.signer.Public().(*ecdsa.PublicKey).Bytes()
	if err != nil {
		return "", nil, err
	}
	area := tpmPublic(point)
	info := tpmCertify(area, sha256.Sum256(append(bytes.Clone(data), client[:]...)))
	signature, err := sign(identity, info)
	return "tpm", map[string]any{"ver": "2.0", "alg": ES256, "sig": signature, "x5c": []any{leaf}, "certInfo": info, "pubArea": area}, err
}

// tpmNames is the extension that names the TPM: its maker, model and version.
func tpmNames() (pkix.Extension, error) {
	var name pkix.RDNSequence
	for i, v := range []string{"id:4E544300", "Test TPM", "id:13"} {
		name = append(name, pkix.RelativeDistinguishedNameSET{{Type: asn1.ObjectIdentifier{2, 23, 133, 2, i + 1}, Value: v}})
	}
	inner, err := asn1.Marshal(name)
	if err != nil {
		return pkix.Extension{}, err
	}
	value, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: inner}})
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: true, Value: value}, err
}

// tpmPublic is TPMT_PUBLIC (TPM 2.0 part 2 §12.2.4) of a P-256 key.
func tpmPublic(point []byte) []byte {
	b := []byte{0x00, 0x23, 0x00, 0x0b, 0x00, 0x06, 0x04, 0x72, 0x00, 0x00} // ECC, names by SHA-256, attributes, no policy
	b = append(b, 0x00, 0x10, 0x00, 0x10, 0x00, 0x03, 0x00, 0x10)           // no symmetric, no scheme, P-256, no KDF
	b = append(append(b, 0x00, 0x20), point[1:33]...)
	return append(append(b, 0x00, 0x20), point[33:]...)
}

// tpmCertify is TPMS_ATTEST (TPM 2.0 part 2 §10.12.12) about that key.
func tpmCertify(area []byte, extra [32]byte) []byte {
	hash := sha256.Sum256(area)
	name := append([]byte{0x00, 0x0b}, hash[:]...)
	sized := func(b, v []byte) []byte {
		return append(binary.BigEndian.AppendUint16(b, uint16(len(v))), v...) //nolint:gosec // names and hashes are short
	}
	b := []byte{0xff, 'T', 'C', 'G', 0x80, 0x17}
	b = sized(sized(b, nil), extra[:])
	b = append(b, make([]byte, 17+8)...) // clock and firmware
	return sized(sized(b, name), nil)
}
