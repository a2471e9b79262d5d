package revocation

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	maxResponse = 16 << 10 // bytes of an OCSP response; with its certificate one has 2 to 4 kB
	nonceLength = 32       // bytes; RFC 9654 §2.1
)

var nonceOID = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2} // RFC 6960 §4.4.1

// Why a response is no answer.
var (
	errResponse = errors.New("not an OCSP response about this certificate")
	errSigner   = errors.New("not signed by the issuer or by who signs for it")
	errNonce    = errors.New("the nonce is not the one that was sent")
	errTimes    = errors.New("too old, or not valid yet")
)

// askResponder asks an OCSP responder (RFC 6960 appendix A.1: by POST).
func (c *Checker) askResponder(ctx context.Context, address string, leaf, issuer *x509.Certificate) (answer, error) {
	nonce := make([]byte, nonceLength)
	if _, err := io.ReadFull(c.rand, nonce); err != nil {
		return answer{}, fmt.Errorf("read random bytes: %w", err)
	}
	request, err := newRequest(leaf, issuer, nonce)
	if err != nil {
		return answer{}, err
	}
	body, err := c.fetch(ctx, http.MethodPost, address, "application/ocsp-request", request, maxResponse)
	if err != nil {
		return answer{}, err
	}
	return response{leaf: leaf, issuer: issuer, nonce: nonce, demand: c.demand}.judge(body, c.now())
}

// newRequest returns a request about leaf that carries nonce. It names the
// issuer by SHA-1, the one hash that every responder knows (RFC 5019 §2.1.1):
// it names and does not prove.
func newRequest(leaf, issuer *x509.Certificate, nonce []byte) ([]byte, error) {
	der, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return nil, fmt.Errorf("make OCSP request: %w", err)
	}
	var plain struct{ TBS struct{ List asn1.RawValue } }
	if _, err := asn1.Unmarshal(der, &plain); err != nil {
		return nil, fmt.Errorf("make OCSP request: %w", err)
	}
	value, err := asn1.Marshal(nonce)
	if err != nil {
		return nil, fmt.Errorf("make OCSP request: %w", err)
	}

	type tbs struct {
		List       asn1.RawValue
		Extensions []pkix.Extension `asn1:"explicit,tag:2"`
	}
	return asn1.Marshal(struct{ TBS tbs }{tbs{plain.TBS.List, []pkix.Extension{{Id: nonceOID, Value: value}}}})
}

// response is what a response must answer.
type response struct {
	leaf, issuer *x509.Certificate
	nonce        []byte
	demand       bool // the nonce must come back
}

// judge reads a response, in this order: is it one, who signed it, is it about
// this certificate, was it made for this question, is it of this time.
func (r response) judge(body []byte, now time.Time) (answer, error) {
	parsed, err := ocsp.ParseResponseForCert(body, r.leaf, nil)
	if said, ok := errors.AsType[ocsp.ResponseError](err); ok {
		return answer{}, fmt.Errorf("the responder said: %s", said.Status)
	}
	if err != nil {
		return answer{}, errResponse // the parser's text may repeat what came
	}
	if err := r.signed(parsed, now); err != nil {
		return answer{}, err
	}
	extensions, err := r.matched(parsed)
	if err != nil {
		return answer{}, err
	}
	if err := r.asked(extensions); err != nil {
		return answer{}, err
	}

	next := parsed.NextUpdate
	if next.IsZero() {
		next = parsed.ThisUpdate.Add(undated)
	}
	if !current(parsed.ThisUpdate, next, now) {
		return answer{}, errTimes
	}
	statuses := map[int]Status{ocsp.Good: Good, ocsp.Revoked: Revoked, ocsp.Unknown: Unknown}
	return answer{statuses[parsed.Status], parsed.ThisUpdate, next, now}, nil
}

// current says whether now lies between two times that a source's clock set.
func current(this, next, now time.Time) bool {
	return this.Before(next) && !now.Add(skew).Before(this) && now.Add(-skew).Before(next)
}

// signed checks that the issuer signed p, or a responder to whom the issuer
// itself gave a certificate for that (RFC 6960 §4.2.2.2). The library has
// checked p against the certificate that came with it, but not whose that is.
func (r response) signed(p *ocsp.Response, now time.Time) error {
	signer := r.issuer
	if c := p.Certificate; c != nil && !bytes.Equal(c.RawSubjectPublicKeyInfo, r.issuer.RawSubjectPublicKeyInfo) {
		if !r.delegated(c, now) {
			return errSigner
		}
		signer = c
	}
	if !strong(p.SignatureAlgorithm) || p.CheckSignatureFrom(signer) != nil {
		return errSigner
	}
	return nil
}

// delegated says whether the issuer gave c for signing responses. Whether c
// itself was revoked is not asked: such certificates live shortly, and who
// could sign with one that was stolen could sign that answer too.
func (r response) delegated(c *x509.Certificate, now time.Time) bool {
	return bytes.Equal(c.RawIssuer, r.issuer.RawSubject) &&
		slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageOCSPSigning) &&
		(c.KeyUsage == 0 || c.KeyUsage&x509.KeyUsageDigitalSignature != 0) &&
		len(c.UnhandledCriticalExtensions) == 0 &&
		!now.Before(c.NotBefore) && !now.After(c.NotAfter) &&
		strong(c.SignatureAlgorithm) && strongKey(c) &&
		r.issuer.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) == nil
}

// strong leaves out SHA-1 and what is weaker.
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

// strongKey leaves out RSA below 2048 bits. An elliptic curve that fits one of
// the algorithms of strong is long enough.
func strongKey(c *x509.Certificate) bool {
	k, isRSA := c.PublicKey.(*rsa.PublicKey)
	return !isRSA || k.N.BitLen() >= 2048
}

// responseData is the part of a signed response that the library passes over.
// RFC 6960 §4.2.1; what follows a certID in a single response is left to it.
type responseData struct {
	Version    int `asn1:"optional,default:0,explicit,tag:0"`
	Responder  asn1.RawValue
	ProducedAt time.Time `asn1:"generalized"`
	Responses  []struct{ CertID certID }
	Extensions []pkix.Extension `asn1:"optional,explicit,tag:1"`
}

type certID struct {
	Hash              pkix.AlgorithmIdentifier
	IssuerName        []byte
	IssuerKey         []byte
	CertificateSerial *big.Int
}

// matched checks that p holds one answer with the certificate's serial number,
// and that it is about its issuer's name and key: the library compares the
// number alone. It returns the extensions of the response.
func (r response) matched(p *ocsp.Response) ([]pkix.Extension, error) {
	var data responseData
	if rest, err := asn1.Unmarshal(p.TBSResponseData, &data); err != nil || len(rest) > 0 {
		return nil, errResponse
	}
	var about []certID
	for _, single := range data.Responses {
		if single.CertID.CertificateSerial.Cmp(r.leaf.SerialNumber) == 0 {
			about = append(about, single.CertID)
		}
	}
	var key struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(r.issuer.RawSubjectPublicKeyInfo, &key); err != nil || len(about) != 1 {
		return nil, errResponse
	}

	digest := func(b []byte) []byte {
		h := p.IssuerHash.New()
		h.Write(b)
		return h.Sum(nil)
	}
	if !bytes.Equal(about[0].IssuerName, digest(r.issuer.RawSubject)) ||
		!bytes.Equal(about[0].IssuerKey, digest(key.Key.RightAlign())) {
		return nil, errResponse
	}
	return data.Extensions, nil
}

// asked checks the nonce, if one came or must come, and that nothing critical
// stands beside it that nobody here knows.
func (r response) asked(extensions []pkix.Extension) error {
	sent, err := asn1.Marshal(r.nonce)
	if err != nil {
		return errNonce
	}
	came := false
	for _, e := range extensions {
		switch {
		case e.Id.Equal(nonceOID):
			if came = bytes.Equal(e.Value, sent); !came {
				return errNonce
			}
		case e.Critical:
			return errResponse
		}
	}
	if r.demand && !came {
		return errNonce
	}
	return nil
}
