package cardca

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ocsp"
)

// due is how long an answer or a list counts before the next one.
const due = 10 * time.Minute

// maxRequest is how large an OCSP request may be, in bytes.
const maxRequest = 4 << 10

// ErrNotIssued says that a serial number is of no certificate of this authority.
var ErrNotIssued = errors.New("the authority has issued no such certificate")

// short is how long a delegate of an authority that lasts does.
const short = 48 * time.Hour

// delegate is who signs OCSP answers for an authority, so that the authority's
// own key need not be asked for each.
type delegate struct {
	certificate *x509.Certificate
	key         crypto.Signer
	renew       time.Time // from then on another is made
}

// responder returns the present delegate, or a new one: RFC 6960 §4.2.2.2, with
// the extension that says that its own status need not be asked.
func (a *Authority) responder() (delegate, error) {
	now := a.config.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if d := a.delegate; d.certificate != nil && now.Before(d.renew) && !now.Before(d.certificate.NotBefore) {
		return d, nil
	}
	key, err := generate(false)
	if err != nil {
		return delegate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return delegate{}, fmt.Errorf("number OCSP signer: %w", err)
	}
	c, err := sign(&x509.Certificate{
		SerialNumber:    serial.Add(serial, big.NewInt(1)),
		Subject:         pkix.Name{CommonName: a.issuing.Subject.CommonName + " OCSP"},
		NotBefore:       now.Add(-a.delegates),
		NotAfter:        now.Add(a.delegates),
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtKeyUsage:     []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning},
		ExtraExtensions: []pkix.Extension{{Id: noCheckOID, Value: asn1.NullBytes}},
	}, a.issuing, key.Public(), a.key)
	if err != nil {
		return delegate{}, fmt.Errorf("make OCSP signer: %w", err)
	}
	a.delegate = delegate{c, key, now.Add(a.delegates / 2)}
	return a.delegate, nil
}

// Handler answers OCSP at /ocsp, by POST and by GET (RFC 6960 appendix A.1), and
// has the revocation list at /crl.
func (a *Authority) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reading := r.Method == http.MethodGet || r.Method == http.MethodHead
		// The path as it was sent: base64 has strokes in it.
		path := r.URL.EscapedPath()
		encoded, named := strings.CutPrefix(path, "/ocsp/")
		switch {
		case path == "/ocsp" && r.Method == http.MethodPost:
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
			a.answer(r.Context(), w, body, err)
		case named && reading:
			body, err := decode(encoded)
			a.answer(r.Context(), w, body, err)
		case path == "/crl" && reading:
			der, err := a.list(r.Context())
			give(w, "application/pkix-crl", der, err)
		default:
			http.NotFound(w, r)
		}
	})
}

func decode(encoded string) ([]byte, error) {
	if len(encoded) > 2*maxRequest {
		return nil, errors.New("the request is too long")
	}
	text, err := url.PathUnescape(encoded)
	if err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(text)
}

func give(w http.ResponseWriter, kind string, der []byte, err error) {
	if err != nil {
		http.Error(w, "there is no answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(der) //nolint:gosec // no page: DER, under a type of its own
}

// answer answers an OCSP request, or says by OCSP's own means why not.
func (a *Authority) answer(ctx context.Context, w http.ResponseWriter, body []byte, err error) {
	der := ocsp.MalformedRequestErrorResponse
	if q, ok := read(body); ok && err == nil {
		der, err = a.respond(ctx, q)
	} else {
		err = nil
	}
	give(w, "application/ocsp-response", der, err)
}

// query is what an OCSP request asks.
type query struct {
	*ocsp.Request
	certID asn1.RawValue    // as it came, for the answer
	nonce  []pkix.Extension // likewise; none or one
}

var (
	nonceOID     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2} // RFC 6960 §4.4.1
	noCheckOID   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5} // RFC 6960 §4.2.2.2.1
	basicOID     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1} // RFC 6960 §4.2.1
	signatureOID = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}     // ECDSA with SHA-256, RFC 5758 §3.2
)

// maxNonce is how long a nonce may be in bytes, and a little: RFC 9654 §2.1.
const maxNonce = 128

// read reads a request about one certificate.
func read(body []byte) (query, bool) {
	parsed, err := ocsp.ParseRequest(body)
	if err != nil {
		return query{}, false
	}
	var raw struct {
		TBS struct {
			Version    int           `asn1:"optional,explicit,tag:0,default:0"`
			Requestor  asn1.RawValue `asn1:"optional,explicit,tag:1"`
			List       []struct{ CertID asn1.RawValue }
			Extensions []pkix.Extension `asn1:"optional,explicit,tag:2"`
		}
	}
	if _, err := asn1.Unmarshal(body, &raw); err != nil || len(raw.TBS.List) != 1 {
		return query{}, false
	}
	q := query{Request: parsed, certID: raw.TBS.List[0].CertID}
	for _, e := range raw.TBS.Extensions {
		if e.Id.Equal(nonceOID) && len(e.Value) <= maxNonce {
			q.nonce = []pkix.Extension{{Id: nonceOID, Value: e.Value}}
		}
	}
	return q, true
}

// respond signs the answer to q. About another authority's certificates
// nothing is said (RFC 6960 §2.3, unauthorized).
func (a *Authority) respond(ctx context.Context, q query) ([]byte, error) {
	mine, err := a.mine(q)
	if err != nil {
		return nil, err
	}
	if !mine {
		return ocsp.UnauthorizedErrorResponse, nil
	}
	status, err := a.status(ctx, q.SerialNumber)
	if err != nil {
		return nil, err
	}
	by, err := a.responder()
	if err != nil {
		return nil, err
	}

	type single struct {
		CertID asn1.RawValue
		Status asn1.RawValue
		This   time.Time `asn1:"generalized"`
		Next   time.Time `asn1:"generalized,explicit,tag:0"`
	}
	now := a.config.Now().UTC().Truncate(time.Second)
	tbs, err := asn1.Marshal(struct {
		Responder  asn1.RawValue
		Produced   time.Time `asn1:"generalized"`
		Responses  []single
		Extensions []pkix.Extension `asn1:"optional,explicit,tag:1,omitempty"`
	}{
		asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: by.certificate.RawSubject},
		now, []single{{q.certID, status, now, now.Add(due)}}, q.nonce,
	})
	if err != nil {
		return nil, fmt.Errorf("make OCSP answer: %w", err)
	}
	return by.signed(tbs)
}

// mine says whether q is about a certificate of this authority.
func (a *Authority) mine(q query) (bool, error) {
	var key struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(a.issuing.RawSubjectPublicKeyInfo, &key); err != nil {
		return false, fmt.Errorf("read own key: %w", err)
	}
	digest := func(b []byte) []byte {
		h := q.HashAlgorithm.New()
		h.Write(b)
		return h.Sum(nil)
	}
	return bytes.Equal(q.IssuerNameHash, digest(a.issuing.RawSubject)) &&
		bytes.Equal(q.IssuerKeyHash, digest(key.Key.RightAlign())), nil
}

// status returns a CertStatus, RFC 6960 §4.2.1: good, revoked since when, or,
// of what was never issued, unknown.
func (a *Authority) status(ctx context.Context, serial *big.Int) (asn1.RawValue, error) {
	since, err := a.ledger.Status(ctx, name(serial))
	switch {
	case errors.Is(err, ErrNotIssued):
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: ocsp.Unknown}, nil
	case err != nil:
		return asn1.RawValue{}, err
	case since.IsZero():
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: ocsp.Good}, nil
	}
	info, err := asn1.MarshalWithParams(since.UTC().Truncate(time.Second), "generalized")
	if err != nil {
		return asn1.RawValue{}, fmt.Errorf("make OCSP answer: %w", err)
	}
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: ocsp.Revoked, IsCompound: true, Bytes: info}, nil
}

// signed wraps tbs up as a response, RFC 6960 §4.2.1.
func (d delegate) signed(tbs []byte) ([]byte, error) {
	digest := sha256.Sum256(tbs)
	signature, err := d.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign OCSP answer: %w", err)
	}
	basic, err := asn1.Marshal(struct {
		TBS          asn1.RawValue
		Algorithm    pkix.AlgorithmIdentifier
		Signature    asn1.BitString
		Certificates []asn1.RawValue `asn1:"explicit,tag:0"`
	}{
		asn1.RawValue{FullBytes: tbs},
		pkix.AlgorithmIdentifier{Algorithm: signatureOID},
		asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
		[]asn1.RawValue{{FullBytes: d.certificate.Raw}},
	})
	if err != nil {
		return nil, fmt.Errorf("make OCSP answer: %w", err)
	}
	type body struct {
		Type  asn1.ObjectIdentifier
		Basic []byte
	}
	return asn1.Marshal(struct {
		Status asn1.Enumerated
		Body   body `asn1:"explicit,tag:0"`
	}{asn1.Enumerated(ocsp.Success), body{basicOID, basic}})
}

// fresh is how long a list of an authority that lasts is given out before
// another is signed: whoever asks in a loop must not keep its key busy.
const fresh = 10 * time.Second

// list is a list of what is revoked.
type list struct {
	der []byte
	at  time.Time
}

// list signs the list of what is revoked. Its number is that of the moment, so
// that it goes up whichever server makes it (RFC 5280 §5.2.3).
func (a *Authority) list(ctx context.Context) ([]byte, error) {
	_, own := a.ledger.(*memory)
	now := a.config.Now()
	a.listing.Lock()
	defer a.listing.Unlock()
	if age := now.Sub(a.made.at); !own && age >= 0 && age < fresh {
		return a.made.der, nil
	}
	revoked, err := a.ledger.Revoked(ctx)
	if err != nil {
		return nil, err
	}
	template := &x509.RevocationList{Number: big.NewInt(max(now.UnixMicro(), 1)), ThisUpdate: now, NextUpdate: now.Add(due)}
	for _, serial := range slices.Sorted(maps.Keys(revoked)) {
		n, err := number(serial)
		if err != nil {
			return nil, fmt.Errorf("list what is revoked: %w", err)
		}
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: revoked[serial]})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, a.issuing, a.key)
	if err == nil {
		a.made = list{der, now}
	}
	return der, err
}
