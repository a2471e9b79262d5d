// Package cardca is a small card authority in software, for development and
// tests: a root, an issuing authority under it, and certificates for cards.
//
// Its keys live in memory and end with the process. It keeps no list of what
// it issued: that is the registry's work.
package cardca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// reach is how long before and after its making an authority's own
// certificates are valid: long enough to issue a card that ended years ago.
const reach = 10 * 365 * 24 * time.Hour

// Authority issues certificates for cards. It is safe for concurrent use.
type Authority struct {
	root    *x509.Certificate
	issuing *x509.Certificate
	key     crypto.Signer // of issuing
}

// New makes an authority with fresh P-256 keys, valid ten years around now.
func New(now time.Time) (*Authority, error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make root key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make issuing key: %w", err)
	}

	rootTemplate := authority("Lanyard Development Root", 1, now)
	root, err := sign(rootTemplate, rootTemplate, rootKey.Public(), rootKey)
	if err != nil {
		return nil, fmt.Errorf("make root: %w", err)
	}
	issuingTemplate := authority("Lanyard Development Cards", 2, now)
	issuingTemplate.MaxPathLenZero = true // it issues to cards and to nobody else
	issuing, err := sign(issuingTemplate, root, key.Public(), rootKey)
	if err != nil {
		return nil, fmt.Errorf("make issuing authority: %w", err)
	}
	return &Authority{root: root, issuing: issuing, key: key}, nil
}

func authority(name string, serial int64, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-reach),
		NotAfter:              now.Add(reach),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
}

// Request is what a certificate shall say.
type Request struct {
	Key       crypto.PublicKey // the card's
	Serial    string           // hex, leading zeros or not; the caller keeps it unique (RFC 5280 §4.1.2.2)
	UID       string           // the person, as the subject's common name
	NotBefore time.Time
	NotAfter  time.Time
}

// Issue returns a certificate for a card that signs in: digital signatures
// and client authentication, and nothing else. An error says which part of
// the request cannot be.
func (a *Authority) Issue(r Request) (*x509.Certificate, error) {
	serial, ok := new(big.Int).SetString(r.Serial, 16)
	// RFC 5280 §4.1.2.2: positive, and 20 bytes with room for the sign.
	if !ok || strings.Trim(r.Serial, "0123456789abcdefABCDEF") != "" || serial.Sign() <= 0 || serial.BitLen() > 159 {
		return nil, errors.New("issue certificate: the serial number is not 1 to 20 bytes of hex")
	}
	if !r.NotAfter.After(r.NotBefore) {
		return nil, errors.New("issue certificate: it would end before it begins")
	}

	c, err := sign(&x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: r.UID},
		NotBefore:             r.NotBefore,
		NotAfter:              r.NotAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}, a.issuing, r.Key, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	return c, nil
}

// Pool returns the root alone: what a card's path must end at.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.root)
	return p
}

// Intermediates returns the issuing authority, between a card and the root.
func (a *Authority) Intermediates() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.issuing)
	return p
}

// Certificates returns the issuing authority and the root, in this order.
func (a *Authority) Certificates() []*x509.Certificate {
	return []*x509.Certificate{a.issuing, a.root}
}

// IssuerID returns how the registry names the issuing authority: upper-case
// hex SHA-256 of its public key (SubjectPublicKeyInfo).
func (a *Authority) IssuerID() string {
	sum := sha256.Sum256(a.issuing.RawSubjectPublicKeyInfo)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

func sign(template, parent *x509.Certificate, key crypto.PublicKey, by crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
