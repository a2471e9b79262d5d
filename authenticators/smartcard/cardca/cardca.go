// Package cardca is a small card authority: it issues certificates for cards,
// and says what became of them. Handler answers OCSP and gives out the
// revocation list, and every certificate names where.
//
// New makes one for development and tests: a root, an issuing authority under
// it, and keys that live in memory and end with the process. Open is of an
// authority that lasts: its key may sit in a token, and what it issued stands
// in the ledger of whoever issues cards by it. Whose card it is, is never its
// business.
package cardca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"
)

// reach is how long before and after its making an authority's own
// certificates are valid: long enough to issue a card that ended years ago.
const reach = 10 * 365 * 24 * time.Hour

// Config is what an authority is made of. Now must be there.
type Config struct {
	Name string           // how its certificates call it; "" means "Lanyard Development"
	Now  func() time.Time // the clock that its answers are dated by

	// RSA gives the authorities keys of RSA-2048 in place of P-256, as most of
	// those that issue cards have.
	RSA bool

	// Where Handler can be reached: what each certificate says of where to ask
	// about it. Empty: it does not say.
	OCSP string // authority information access, RFC 5280 §4.2.2.1
	CRL  string // distribution point, RFC 5280 §4.2.1.13
}

// Authority issues certificates for cards. It is safe for concurrent use.
type Authority struct {
	config  Config
	root    *x509.Certificate
	issuing *x509.Certificate
	above   []*x509.Certificate // issuing
	key     crypto.Signer       // of issuing
	ledger  Ledger

	delegates time.Duration // how long one that signs OCSP answers lasts
	mu        sync.Mutex
	delegate  delegate // the present one

	listing sync.Mutex // held while a list is made, so that many ask once
	made    list       // the last one
}

// New makes an authority with fresh keys, valid ten years around now.
func New(c Config) (*Authority, error) {
	if c.Now == nil {
		return nil, errors.New("make authority: no clock")
	}
	if c.Name == "" {
		c.Name = "Lanyard Development"
	}
	now := c.Now()
	rootKey, err := generate(c.RSA)
	if err != nil {
		return nil, err
	}
	key, err := generate(c.RSA)
	if err != nil {
		return nil, err
	}

	rootTemplate := authority(c.Name+" Root", 1, now)
	root, err := sign(rootTemplate, rootTemplate, rootKey.Public(), rootKey)
	if err != nil {
		return nil, fmt.Errorf("make root: %w", err)
	}
	issuingTemplate := authority(c.Name+" Cards", 2, now)
	issuingTemplate.MaxPathLenZero = true // it issues to cards and to nobody else
	issuing, err := sign(issuingTemplate, root, key.Public(), rootKey)
	if err != nil {
		return nil, fmt.Errorf("make issuing authority: %w", err)
	}
	return &Authority{config: c, root: root, issuing: issuing, above: []*x509.Certificate{root}, key: key, ledger: newMemory(), delegates: reach}, nil
}

func generate(asRSA bool) (crypto.Signer, error) {
	if asRSA {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, fmt.Errorf("make key: %w", err)
		}
		return key, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	return key, nil
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
	serial, err := number(r.Serial)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
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
		OCSPServer:            addresses(a.config.OCSP),
		CRLDistributionPoints: addresses(a.config.CRL),
	}, a.issuing, r.Key, a.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}

	if own, ok := a.ledger.(*memory); ok {
		own.add(name(serial))
	}
	return c, nil
}

// Until is when a certificate that is issued at now, for so long, ends: none
// outlives its authority.
func (a *Authority) Until(now time.Time, life time.Duration) time.Time {
	if until := now.Add(life); until.Before(a.issuing.NotAfter) {
		return until
	}
	return a.issuing.NotAfter
}

func addresses(one string) []string {
	if one == "" {
		return nil
	}
	return []string{one}
}

// number reads a serial number. RFC 5280 §4.1.2.2: positive, and 20 bytes with
// room for the sign.
func number(serial string) (*big.Int, error) {
	n, ok := new(big.Int).SetString(serial, 16)
	if !ok || strings.Trim(serial, "0123456789abcdefABCDEF") != "" || n.Sign() <= 0 || n.BitLen() > 159 {
		return nil, errors.New("the serial number is not 1 to 20 bytes of hex")
	}
	return n, nil
}

// name is a serial number as ledgers have it.
func name(serial *big.Int) string { return strings.ToUpper(hex.EncodeToString(serial.Bytes())) }

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

// Certificates returns the issuing authority and what stands above it.
func (a *Authority) Certificates() []*x509.Certificate {
	return append([]*x509.Certificate{a.issuing}, a.above...)
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
