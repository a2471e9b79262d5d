package smartcard

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"time"
)

// What an agent may send as certificates.
const (
	maxCertificates = 8
	maxCertificate  = 8 << 10 // bytes of DER
)

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
	policies             []x509.OID
	proven               *proven
}

func newTrust(roots, intermediates *x509.CertPool, policies []x509.OID) trust {
	if roots == nil {
		roots = x509.NewCertPool() // to crypto/x509, nil means the machine's own roots
	}
	return trust{roots, intermediates, slices.Clone(policies), &proven{of: map[[sha256.Size]byte][]*x509.Certificate{}}}
}

// read reads the first certificate and judges it. One that was judged before
// is neither parsed nor are the signatures of its path checked again. Where
// nothing but dates stands in the way, the refusal comes with both certificates.
func (t trust) read(x5c [][]byte, now time.Time) (leaf, issuer *x509.Certificate, err error) {
	if len(x5c) > 0 && len(x5c) <= maxCertificates {
		if path := t.proven.path(x5c[0], now); path != nil {
			return path[0], path[1], nil
		}
	}
	if leaf, err = parseLeaf(x5c); err != nil {
		return nil, nil, err
	}
	issuer, err = t.judge(leaf, now)
	return leaf, issuer, err
}

// judge returns the authority that issued leaf, if leaf is a card's
// certificate for signing in, of a trusted authority, and every link of its
// path is valid now: else ErrUntrusted, ErrExpired or ErrNotYetValid, the last
// two with the authority.
func (t trust) judge(leaf *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	if !t.forSigningIn(leaf) {
		return nil, ErrUntrusted
	}
	path := t.path(leaf, now)
	if path == nil {
		return t.dates(leaf, now)
	}
	t.proven.add(path)
	return path[1], nil
}

// path returns a path from leaf to a root that was good at that time, or nil.
func (t trust) path(leaf *x509.Certificate, at time.Time) []*x509.Certificate {
	paths, err := leaf.Verify(x509.VerifyOptions{
		Roots:               t.roots,
		Intermediates:       t.intermediates,
		CurrentTime:         at,
		KeyUsages:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		CertificatePolicies: t.policies,
	})
	if err != nil {
		return nil
	}
	for _, p := range paths {
		if goodPath(p) && t.meetsPolicies(p) {
			return p
		}
	}
	return nil
}

// dates says why leaf has no path now. If there is a path at the beginning or
// the end of its own life, only dates stand in the way.
func (t trust) dates(leaf *x509.Certificate, now time.Time) (*x509.Certificate, error) {
	for _, at := range []time.Time{leaf.NotBefore, leaf.NotAfter} {
		path := t.path(leaf, at)
		ended := func(link *x509.Certificate) bool { return now.After(link.NotAfter) }
		if i := slices.IndexFunc(path, ended); i >= 0 {
			return path[1], Ended{path[i].NotAfter}
		}
		ahead := func(link *x509.Certificate) bool { return now.Before(link.NotBefore) }
		if slices.ContainsFunc(path, ahead) {
			return path[1], ErrNotYetValid
		}
	}
	return nil, ErrUntrusted
}

// forSigningIn says whether leaf is what cards have in slot 9A. A certificate
// that names no purpose has none, unless a policy says what it is for: some
// series of cards say it by their policy alone. (One that names purposes of its
// own alone is refused with the path, by crypto/x509.)
func (t trust) forSigningIn(leaf *x509.Certificate) bool {
	byPolicy := len(t.policies) > 0 && len(leaf.ExtKeyUsage) == 0
	return !leaf.IsCA &&
		leaf.KeyUsage&x509.KeyUsageCertSign == 0 &&
		leaf.KeyUsage&x509.KeyUsageDigitalSignature != 0 &&
		(byPolicy || slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth)) &&
		leaf.SerialNumber.Sign() > 0
}

// anyPolicy stands for every policy, in authorities alone. RFC 5280 §4.2.1.4.
var anyPolicy, _ = x509.OIDFromInts([]uint64{2, 5, 29, 32, 0})

// meetsPolicies says whether there is one wanted policy that the card has by
// name and that every authority below the root gives, by name or with
// anyPolicy. crypto/x509 does not ask that: where no certificate of a path
// requires a policy, it takes a path without any (RFC 5280 §6.1.1 (e), which
// callers cannot set). Policies that are mapped to others do not count, and
// anyPolicy does not where a certificate of the path restricts it.
func (t trust) meetsPolicies(path []*x509.Certificate) bool {
	if len(t.policies) == 0 {
		return true
	}
	restricts := func(c *x509.Certificate) bool { return c.InhibitAnyPolicy > 0 || c.InhibitAnyPolicyZero }
	byAny := !slices.ContainsFunc(path, restricts)
	has := func(c *x509.Certificate, want x509.OID) bool { return slices.ContainsFunc(c.Policies, want.Equal) }
	return slices.ContainsFunc(t.policies, func(want x509.OID) bool {
		if !has(path[0], want) {
			return false
		}
		for _, authority := range path[1 : len(path)-1] {
			if !has(authority, want) && (!byAny || !has(authority, anyPolicy)) {
				return false
			}
		}
		return true
	})
}

// CheckAuthority says why c cannot stand in a card's path as an authority:
// what goodPath asks of one, and that it is valid now.
func CheckAuthority(c *x509.Certificate, now time.Time) error {
	switch {
	case !c.IsCA || c.KeyUsage&x509.KeyUsageCertSign == 0:
		return errors.New("it is no authority: its certificate may not sign others")
	case !strongKey(c):
		return errors.New("its key is too weak or of a kind that cards are not judged by: RSA from 2048 bits, P-256 or P-384 is wanted")
	case !strongSignature(c):
		return errors.New("its certificate is signed with a digest that can be forged")
	case now.After(c.NotAfter):
		return errors.New("its certificate ended on " + c.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(c.NotBefore):
		return errors.New("its certificate begins on " + c.NotBefore.UTC().Format(time.DateOnly))
	}
	return nil
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
