package smartcard

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
)

// What an agent may send as certificates.
const (
	maxCertificates = 8
	maxCertificate  = 8 << 10 // bytes of DER
)

// Inspect says whether the card with this certificate could sign in now: its
// refusals are those that Respond would give for the certificate and the card.
// It is for before a passcode is asked, so that no try is used up for nothing.
func (r *Room) Inspect(ctx context.Context, certificate *x509.Certificate) error {
	leaf, err := parseLeaf([][]byte{certificate.Raw})
	if err != nil {
		return err
	}
	issuer, err := r.trust.judge(leaf, r.now())
	if err != nil {
		return err
	}
	_, err = r.card(ctx, issuer, challenge.Serial(leaf))
	return err
}

// card returns the registered card if it may be used, and its refusal if not.
func (r *Room) card(ctx context.Context, issuer, serial string) (Card, error) {
	c, err := r.cards.CardByCertificate(ctx, issuer, serial)
	if err != nil {
		return Card{}, fmt.Errorf("find card: %w", err)
	}
	switch c.State {
	case Active:
	case Suspended:
		return Card{}, ErrSuspended
	case Blocked:
		return Card{}, ErrBlocked
	case Revoked:
		return Card{}, ErrRevoked
	default:
		return Card{}, errors.New("find card: its state is none that we know")
	}
	if c.Holder == "" {
		return Card{}, ErrNotRegistered
	}
	return c, nil
}

// IssuerID names an issuing authority as the registry does: upper-case hex
// SHA-256 of its public key (SubjectPublicKeyInfo). It is the key that signed,
// so it stays when the authority's own certificate is renewed.
func IssuerID(issuer *x509.Certificate) string {
	sum := sha256.Sum256(issuer.RawSubjectPublicKeyInfo)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// parseLeaf reads the first certificate.
func parseLeaf(x5c [][]byte) (*x509.Certificate, error) {
	if len(x5c) == 0 || len(x5c) > maxCertificates || len(x5c[0]) > maxCertificate {
		return nil, refuse(errors.New("certificates: number or size"))
	}
	leaf, err := x509.ParseCertificate(x5c[0])
	if err != nil {
		return nil, refuse(errors.New("certificate: not X.509")) // the parser's text may repeat what came
	}
	return leaf, nil
}

// trust judges certificates. It knows no cards.
type trust struct {
	roots, intermediates *x509.CertPool
}

func newTrust(roots, intermediates *x509.CertPool) trust {
	if roots == nil {
		roots = x509.NewCertPool() // to crypto/x509, nil means the machine's own roots
	}
	return trust{roots: roots, intermediates: intermediates}
}

// judge returns the IssuerID of the authority that issued leaf, if leaf is a
// card's certificate for signing in, of a trusted authority, and every link of
// its path is valid now: else ErrUntrusted, ErrExpired or ErrNotYetValid.
func (t trust) judge(leaf *x509.Certificate, now time.Time) (string, error) {
	if !forSigningIn(leaf) {
		return "", ErrUntrusted
	}
	path := t.path(leaf, now)
	if path == nil {
		return "", t.dates(leaf, now)
	}
	return IssuerID(path[1]), nil
}

// path returns a path from leaf to a root that was good at that time, or nil.
func (t trust) path(leaf *x509.Certificate, at time.Time) []*x509.Certificate {
	paths, err := leaf.Verify(x509.VerifyOptions{
		Roots:         t.roots,
		Intermediates: t.intermediates,
		CurrentTime:   at,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil
	}
	for _, p := range paths {
		if goodPath(p) {
			return p
		}
	}
	return nil
}

// dates says why leaf has no path now. If there is a path at the beginning or
// the end of its own life, only dates stand in the way.
func (t trust) dates(leaf *x509.Certificate, now time.Time) error {
	for _, at := range []time.Time{leaf.NotBefore, leaf.NotAfter} {
		path := t.path(leaf, at)
		ended := func(link *x509.Certificate) bool { return now.After(link.NotAfter) }
		if i := slices.IndexFunc(path, ended); i >= 0 {
			return Ended{path[i].NotAfter}
		}
		ahead := func(link *x509.Certificate) bool { return now.Before(link.NotBefore) }
		if slices.ContainsFunc(path, ahead) {
			return ErrNotYetValid
		}
	}
	return ErrUntrusted
}

// forSigningIn says whether leaf is what cards have in slot 9A. A certificate
// that names no purpose has none.
func forSigningIn(leaf *x509.Certificate) bool {
	return !leaf.IsCA &&
		leaf.KeyUsage&x509.KeyUsageCertSign == 0 &&
		leaf.KeyUsage&x509.KeyUsageDigitalSignature != 0 &&
		slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) &&
		leaf.SerialNumber.Sign() > 0
}

// goodPath asks of a path what crypto/x509 does not: strong keys and digests
// in every link, and issuers that say that they are.
func goodPath(path []*x509.Certificate) bool {
	if len(path) < 2 {
		return false // a card's own certificate among the roots
	}
	for i, link := range path {
		if !strongKey(link) || !strongSignature(link) {
			return false
		}
		if i > 0 && (!link.IsCA || link.KeyUsage&x509.KeyUsageCertSign == 0) {
			return false
		}
	}
	return true
}

func strongKey(c *x509.Certificate) bool {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		// Above 8192 bits a check costs more than a desk should be able to ask.
		return k.N.BitLen() >= 2048 && k.N.BitLen() <= 8192 && k.E >= 65537
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256() || k.Curve == elliptic.P384()
	}
	return false
}

// strongSignature leaves out SHA-1 and MD5, in a root's own signature too.
func strongSignature(c *x509.Certificate) bool {
	switch c.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		return true
	default:
		return false
	}
}
