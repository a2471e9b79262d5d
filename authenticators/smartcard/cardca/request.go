package cardca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
)

// maxCSR is how long a request or a certificate may be as text: one of an RSA
// key with all that tools write beside has 2 kB.
const maxCSR = 16 << 10

// Why a request for a certificate is refused.
var (
	// ErrNoCSR is of what is no PKCS#10 request, or not signed by its own key.
	ErrNoCSR = errors.New("it is no request for a certificate that its key has signed")

	// ErrKey is of a key that no card has, or that is too weak.
	ErrKey = errors.New("its key is none of RSA-2048, P-256 and P-384")
)

// ReadCSR returns the key of a request for a certificate, PKCS#10 in PEM, which
// has signed it: so whoever asks has the key. Nothing else of the request
// counts: what a certificate says, its authority decides.
func ReadCSR(text string) (crypto.PublicKey, error) {
	der := only(text, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
	if der == nil {
		return nil, ErrNoCSR
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, ErrNoCSR // the parser's text may repeat what came
	}
	if !onCards(csr.PublicKey) {
		return nil, ErrKey
	}
	if !strong(csr.SignatureAlgorithm) || csr.CheckSignature() != nil {
		return nil, ErrNoCSR
	}
	return csr.PublicKey, nil
}

// ErrNoCertificate is of what is no certificate.
var ErrNoCertificate = errors.New("it is no certificate in PEM")

// ReadCertificate returns the one certificate of a text in PEM. Nothing of it is
// judged.
func ReadCertificate(text string) (*x509.Certificate, error) {
	der := only(text, "CERTIFICATE")
	if der == nil {
		return nil, ErrNoCertificate
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, ErrNoCertificate // the parser's text may repeat what came
	}
	return c, nil
}

// only returns what stands in a text in PEM that has one block, of one of those
// kinds; nil if it has not.
func only(text string, kinds ...string) []byte {
	if len(text) > maxCSR {
		return nil
	}
	block, rest := pem.Decode([]byte(strings.TrimSpace(text)))
	if block == nil || !slices.Contains(kinds, block.Type) || strings.TrimSpace(string(rest)) != "" {
		return nil
	}
	return block.Bytes
}

// onCards says whether cards have such keys in slot 9A: SP 800-78-4 §3.1.
func onCards(key crypto.PublicKey) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return k.N.BitLen() == 2048 && k.E >= 65537
	case *ecdsa.PublicKey:
		return k.Curve == elliptic.P256() || k.Curve == elliptic.P384()
	}
	return false
}

// strong leaves out digests that can be forged.
func strong(a x509.SignatureAlgorithm) bool {
	switch a {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		return true
	default:
		return false
	}
}
