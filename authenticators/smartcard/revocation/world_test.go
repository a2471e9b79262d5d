package revocation_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/revocation"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// signer is a certificate with its key.
type signer struct {
	*x509.Certificate
	key crypto.Signer
}

// aSigner makes a certificate of by, or of itself.
func aSigner(t testing.TB, by *signer, change func(*x509.Certificate)) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "somebody"},
		NotBefore: noon.AddDate(-1, 0, 0), NotAfter: noon.AddDate(1, 0, 0),
	}
	change(template)
	parent, parentKey := template, crypto.Signer(key)
	if by != nil {
		parent, parentKey = by.Certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signer{c, key}
}

// anIssuer makes an authority; all of them have the same name.
func anIssuer(t testing.TB) signer {
	t.Helper()
	return aSigner(t, nil, func(c *x509.Certificate) {
		c.Subject.CommonName, c.IsCA, c.BasicConstraintsValid = "Cards", true, true
		c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	})
}

// world is an issuer, a card of it, and its sources, which a test may replace.
type world struct {
	t       testing.TB
	issuer  signer
	foreign signer // of the same name
	leaf    signer
	url     string
	asked   atomic.Int32 // requests of both kinds
	config  revocation.Config
	checker *revocation.Checker

	mu   sync.Mutex
	now  time.Time
	ocsp http.HandlerFunc // at /ocsp
	crl  http.HandlerFunc // at /crl
}

// What a card's certificate names.
const (
	byOCSP = 1 << iota
	byList
)

func aWorld(t testing.TB, names int) *world {
	t.Helper()
	w := &world{t: t, now: noon, issuer: anIssuer(t), foreign: anIssuer(t)}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.asked.Add(1)
		w.mu.Lock()
		h := map[string]http.HandlerFunc{"/ocsp": w.ocsp, "/crl": w.crl}[r.URL.Path]
		w.mu.Unlock()
		if h == nil {
			h = http.NotFound
		}
		h(rw, r)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	w.leaf = w.card(0x0101, names)
	w.config = revocation.Config{Client: server.Client(), Now: w.clock}
	w.restart(nil)
	return w
}

// card makes a card with that serial number.
func (w *world) card(serial int64, names int) signer {
	w.t.Helper()
	return aSigner(w.t, &w.issuer, func(c *x509.Certificate) {
		c.SerialNumber, c.ExtKeyUsage = big.NewInt(serial), []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		if names&byOCSP != 0 {
			c.OCSPServer = []string{w.url + "/ocsp"}
		}
		if names&byList != 0 {
			c.CRLDistributionPoints = []string{w.url + "/crl"}
		}
	})
}

// restart takes a new checker, which remembers nothing.
func (w *world) restart(change func(*revocation.Config)) {
	w.t.Helper()
	c := w.config
	if change != nil {
		change(&c)
	}
	var err error
	if w.checker, err = revocation.New(c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// serve sets what the sources answer; nil is not found.
func (w *world) serve(ocsp, crl http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ocsp, w.crl = ocsp, crl
}

// says is a source that always says b.
func says(b []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(b) }
}

// wants checks what is said of the card, and that a reason comes with
// Unavailable alone.
func (w *world) wants(t *testing.T, want revocation.Status) {
	t.Helper()
	got, err := w.checker.Check(t.Context(), w.leaf.Certificate, w.issuer.Certificate)
	if got != want || (err != nil) != (want == revocation.Unavailable) {
		t.Errorf("Check() = %v, %v; want %v", got, err, want)
	}
}

// reply is an OCSP response before it is signed.
type reply struct {
	about  *big.Int
	others []*big.Int // answers beside it: good
	issuer *x509.Certificate
	hash   crypto.Hash
	status int // the tag of RFC 6960 §4.2.1
	this   time.Time
	next   time.Time // zero: none
	nonce  []byte    // as an extension's value; nil: none
	more   []pkix.Extension
	by     signer
	certs  []signer
	alg    asn1.ObjectIdentifier
	spoil  func(der []byte) []byte
}

// aReply is the issuer's own answer: the card is good, since an hour, for an
// hour.
func (w *world) aReply() *reply {
	return &reply{about: w.leaf.SerialNumber, issuer: w.issuer.Certificate, hash: crypto.SHA1,
		this: w.clock().Add(-time.Hour), next: w.clock().Add(time.Hour), by: w.issuer, alg: ecdsaSHA256}
}

var (
	ecdsaSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	ecdsaSHA1   = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 1}
	nonceOID    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	hashes      = map[crypto.Hash]asn1.ObjectIdentifier{
		crypto.SHA1:   {1, 3, 14, 3, 2, 26},
		crypto.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1},
	}
)

type certID struct {
	Hash      pkix.AlgorithmIdentifier
	Name, Key []byte
	Serial    *big.Int
}

type single struct {
	ID     certID
	Status asn1.RawValue
	This   time.Time `asn1:"generalized"`
	Next   time.Time `asn1:"optional,generalized,explicit,tag:0"`
}

func (r *reply) der(t testing.TB) []byte {
	t.Helper()
	var key struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(r.issuer.RawSubjectPublicKeyInfo, &key); err != nil {
		t.Fatal(err)
	}
	digest := func(b []byte) []byte { h := r.hash.New(); h.Write(b); return h.Sum(nil) }
	answer := func(serial *big.Int, status int) single {
		s := asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: status}
		if status == 1 {
			s.IsCompound, s.Bytes = true, must(asn1.MarshalWithParams(noon.Add(-2*time.Hour), "generalized"))
		}
		id := certID{pkix.AlgorithmIdentifier{Algorithm: hashes[r.hash]}, digest(r.issuer.RawSubject), digest(key.Key.Bytes), serial}
		return single{id, s, r.this, r.next}
	}
	var singles []single
	for _, serial := range r.others {
		singles = append(singles, answer(serial, 0))
	}
	extensions := slices.Clone(r.more)
	if r.nonce != nil {
		extensions = append(extensions, pkix.Extension{Id: nonceOID, Value: r.nonce})
	}
	tbs := must(asn1.Marshal(struct {
		Responder  asn1.RawValue
		Produced   time.Time `asn1:"generalized"`
		Responses  []single
		Extensions []pkix.Extension `asn1:"optional,explicit,tag:1,omitempty"`
	}{asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 1, IsCompound: true, Bytes: r.by.RawSubject},
		r.this, append(singles, answer(r.about, r.status)), extensions}))
	return r.sign(t, tbs)
}

func (r *reply) sign(t testing.TB, tbs []byte) []byte {
	t.Helper()
	digest, hash := sha256.Sum256(tbs), crypto.SHA256
	sum := digest[:]
	if r.alg.Equal(ecdsaSHA1) {
		weak := sha1.Sum(tbs)
		sum, hash = weak[:], crypto.SHA1
	}
	signature, err := r.by.key.Sign(rand.Reader, sum, hash)
	if err != nil {
		t.Fatal(err)
	}
	var certs []asn1.RawValue
	for _, c := range r.certs {
		certs = append(certs, asn1.RawValue{FullBytes: c.Raw})
	}
	basic := must(asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
		Certs     []asn1.RawValue `asn1:"optional,explicit,tag:0,omitempty"`
	}{asn1.RawValue{FullBytes: tbs}, pkix.AlgorithmIdentifier{Algorithm: r.alg}, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}, certs}))
	type body struct {
		Type  asn1.ObjectIdentifier
		Basic []byte
	}
	der := must(asn1.Marshal(struct {
		Status asn1.Enumerated
		Body   body `asn1:"explicit,tag:0"`
	}{0, body{asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}, basic}}))
	if r.spoil != nil {
		der = r.spoil(der)
	}
	return der
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// nonceOf returns the nonce of a request, as an extension's value.
func nonceOf(r *http.Request) []byte {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil
	}
	var q struct {
		TBS struct {
			List       asn1.RawValue
			Extensions []pkix.Extension `asn1:"explicit,tag:2"`
		}
	}
	if _, err := asn1.Unmarshal(body, &q); err != nil || len(q.TBS.Extensions) != 1 || !q.TBS.Extensions[0].Id.Equal(nonceOID) {
		return nil
	}
	return q.TBS.Extensions[0].Value
}

// frozen is a source that takes a request and never answers.
func frozen(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // or the server does not see that who asked has gone
	<-r.Context().Done()
}

// inTime runs do and checks that it came back within two seconds, and a few
// that a busy machine may take.
func inTime(t *testing.T, do func()) {
	t.Helper()
	began := time.Now()
	do()
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it took %v", took)
	}
}
