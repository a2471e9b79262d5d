package revocation_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/revocation"
)

// roll is a revocation list before it is signed.
type roll struct {
	x509.RevocationList
	by    signer
	spoil func(der []byte) []byte
}

// aRoll is the issuer's own list: since an hour, for an hour, with another
// card in it.
func (w *world) aRoll() *roll {
	return &roll{by: w.issuer, RevocationList: x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: w.clock().Add(-time.Hour), NextUpdate: w.clock().Add(time.Hour),
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(0x0102), RevocationTime: noon, ReasonCode: 1}},
	}}
}

func (r *roll) der(t testing.TB) []byte {
	t.Helper()
	der, err := x509.CreateRevocationList(rand.Reader, &r.RevocationList, r.by.Certificate, r.by.key)
	if err != nil {
		t.Fatal(err)
	}
	if r.spoil != nil {
		der = r.spoil(der)
	}
	return der
}

func (r *roll) list(serial *big.Int, more ...pkix.Extension) {
	r.RevokedCertificateEntries = append(r.RevokedCertificateEntries,
		x509.RevocationListEntry{SerialNumber: serial, RevocationTime: noon, ExtraExtensions: more})
}

// again signs the list's signed part once more after edit has changed its
// elements in place.
func again(t testing.TB, der []byte, by signer, edit func(elements []asn1.RawValue) []asn1.RawValue) []byte {
	t.Helper()
	var outer struct {
		TBS       []asn1.RawValue
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		t.Fatal(err)
	}
	outer.TBS = edit(outer.TBS)
	digest := sha256.Sum256(must(asn1.Marshal(outer.TBS)))
	signature, err := by.key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	outer.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	return must(asn1.Marshal(outer))
}

// tagged is an element of a context's own tag.
func tagged(tag int, compound bool, inside ...byte) []byte {
	return must(asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: compound, Bytes: inside}))
}

// point is an issuing distribution point, RFC 5280 §5.2.5.
func point(members ...[]byte) func(*world, *roll) {
	return func(_ *world, r *roll) {
		value := must(asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: slices.Concat(members...)}))
		r.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: value}}
	}
}

func pointOf(address func(w *world) string) func(*world, *roll) {
	return func(w *world, r *roll) {
		name := tagged(0, true, tagged(6, false, []byte(address(w))...)...)
		point(tagged(0, true, name...))(w, r)
	}
}

func extension(oid asn1.ObjectIdentifier, critical bool) func(*world, *roll) {
	return func(_ *world, r *roll) {
		r.ExtraExtensions = []pkix.Extension{{Id: oid, Critical: critical, Value: must(asn1.Marshal(1))}}
	}
}

// rolls spoil one thing in a list that is good without it.
var rolls = []struct {
	rule  string
	spoil func(w *world, r *roll)
	want  revocation.Status
}{
	{"X7: a list of the issuer's without the card", nil, good},
	{"X7: an empty list", func(_ *world, r *roll) { r.RevokedCertificateEntries = nil }, good},
	{"X7: a list with the card", func(w *world, r *roll) { r.list(w.leaf.SerialNumber) }, revoked},
	{"X7: a list with the card on hold", func(w *world, r *roll) {
		r.list(w.leaf.SerialNumber)
		r.RevokedCertificateEntries[1].ReasonCode = 6
	}, revoked},

	{"X7: a list signed by another of the same name", func(w *world, r *roll) { r.by = w.foreign }, unavailable},
	{"X7: a list with the card, signed by another", func(w *world, r *roll) { r.by = w.foreign; r.list(w.leaf.SerialNumber) }, unavailable},
	{"X7: an unsigned list", func(w *world, r *roll) {
		r.spoil = func(b []byte) []byte {
			var outer struct{ TBS, Algorithm, Signature asn1.RawValue }
			if _, err := asn1.Unmarshal(b, &outer); err != nil {
				w.t.Fatal(err)
			}
			return must(asn1.Marshal(struct {
				TBS, Algorithm asn1.RawValue
				Signature      asn1.BitString
			}{outer.TBS, outer.Algorithm, asn1.BitString{}}))
		}
	}, unavailable},
	{"X7: a list whose signature was changed", func(_ *world, r *roll) { r.spoil = func(b []byte) []byte { b[len(b)-1] ^= 1; return b } }, unavailable},
	{"X7: the issuer's key under another name", func(w *world, r *roll) {
		other := *w.issuer.Certificate
		other.RawSubject, other.Subject = w.leaf.RawSubject, w.leaf.Subject
		r.by = signer{&other, w.issuer.key}
	}, unavailable},

	{"X7: a stale list", func(_ *world, r *roll) { r.NextUpdate = noon.Add(-time.Minute) }, unavailable},
	{"X7: a list stale by less than a minute", func(_ *world, r *roll) { r.NextUpdate = noon.Add(-59 * time.Second) }, good},
	{"X7: a list of the future", func(_ *world, r *roll) { r.ThisUpdate = noon.Add(61 * time.Second) }, unavailable},
	{"X7: a list that does not say when the next comes", func(w *world, r *roll) {
		r.spoil = func(b []byte) []byte {
			return again(w.t, b, w.issuer, func(e []asn1.RawValue) []asn1.RawValue { return slices.Delete(e, 4, 5) })
		}
	}, unavailable},
	{"X7: the same list signed again as it is", func(w *world, r *roll) {
		r.spoil = func(b []byte) []byte {
			return again(w.t, b, w.issuer, func(e []asn1.RawValue) []asn1.RawValue { return e })
		}
	}, good},
	{"X7: a list with two sets of entries", func(w *world, r *roll) {
		r.spoil = func(b []byte) []byte {
			return again(w.t, b, w.issuer, func(e []asn1.RawValue) []asn1.RawValue { return slices.Insert(e, 5, e[5]) })
		}
	}, unavailable},

	{"X7: a list of changes", extension(asn1.ObjectIdentifier{2, 5, 29, 27}, true), unavailable},
	{"X7: a list of changes that hides it", extension(asn1.ObjectIdentifier{2, 5, 29, 27}, false), unavailable},
	{"X7: a critical extension of a list that nobody knows", extension(asn1.ObjectIdentifier{1, 2, 3}, true), unavailable},
	{"X7: an extension of a list that nobody knows", extension(asn1.ObjectIdentifier{1, 2, 3}, false), good},
	{"X7: a list of every certificate, which says so", point(), good},
	{"X7: a list of people's certificates", point(tagged(1, false, 0xFF)), good},
	{"X7: a list of authorities", point(tagged(2, false, 0xFF)), unavailable},
	{"X7: a list of some reasons", point(tagged(3, false, 6, 0x40)), unavailable},
	{"X7: a list for others", point(tagged(4, false, 0xFF)), unavailable},
	{"X7: a list of attributes", point(tagged(5, false, 0xFF)), unavailable},
	{"X7: a list of the address that was asked", pointOf(func(w *world) string { return w.url + "/crl" }), good},
	{"X7: a list of another address", pointOf(func(w *world) string { return w.url + "/crl2" }), unavailable},
	{"X7: a list with a name in parts", point(tagged(0, true, tagged(1, true)...)), unavailable},
	{"X7: an entry that is another issuer's", func(_ *world, r *roll) {
		r.list(big.NewInt(9), pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: asn1.NullBytes})
	}, unavailable},
	{"X7: an entry with more to it", func(_ *world, r *roll) {
		r.list(big.NewInt(9), pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 24}, Value: asn1.NullBytes})
	}, good},

	{"F21: bytes after the list", func(_ *world, r *roll) { r.spoil = func(b []byte) []byte { return append(b, 0) } }, unavailable},
	{"F21: half a list", func(_ *world, r *roll) { r.spoil = func(b []byte) []byte { return b[:len(b)/2] } }, unavailable},
	{"F21: no list", func(_ *world, r *roll) { r.spoil = func([]byte) []byte { return nil } }, unavailable},
	{"F21: a list in PEM", func(_ *world, r *roll) {
		r.spoil = func(b []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: b}) }
	}, unavailable},
}

func TestLists(t *testing.T) {
	w := aWorld(t, byList)
	for _, tt := range rolls {
		t.Run(tt.rule, func(t *testing.T) {
			r := w.aRoll()
			if tt.spoil != nil {
				tt.spoil(w, r)
			}
			w.serve(nil, says(r.der(t)))
			w.restart(nil)
			w.wants(t, tt.want)
		})
	}
	t.Run("X7: an issuer that may not sign lists", func(t *testing.T) {
		r := w.aRoll()
		w.serve(nil, says(r.der(t)))
		w.restart(nil)
		no := *w.issuer.Certificate
		no.KeyUsage = x509.KeyUsageCertSign
		if got, err := w.checker.Check(t.Context(), w.leaf.Certificate, &no); got != unavailable {
			t.Errorf("Check() = %v, %v", got, err)
		}
	})
}

// TestHugeList counts what is sent of a list of 50 MB.
func TestHugeList(t *testing.T) {
	const huge = 50 << 20
	sending := func(sent chan<- int, says bool) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if says {
				w.Header().Set("Content-Length", "52428800")
			}
			chunk, n := make([]byte, 64<<10), 0
			chunk[0] = 0x30
			for n < huge {
				m, err := w.Write(chunk)
				if n += m; err != nil {
					break
				}
			}
			sent <- n
		}
	}
	for rule, says := range map[string]bool{"F21: a list of 50 MB that says so": true, "F21: a list of 50 MB that does not": false} {
		t.Run(rule, func(t *testing.T) {
			w := aWorld(t, byList)
			sent := make(chan int, 1)
			w.serve(nil, sending(sent, says))
			w.wants(t, unavailable)
			most := revocation.DefaultMaxList + 8<<20 // and what the system had on its way
			if says {
				most = 8 << 20
			}
			if n := <-sent; n > most {
				t.Errorf("%d bytes were taken", n)
			}
		})
	}
	t.Run("F21: a list just as long as it may be", func(t *testing.T) {
		w := aWorld(t, byList)
		der := w.aRoll().der(t)
		w.serve(nil, func(rw http.ResponseWriter, _ *http.Request) {
			rw.(http.Flusher).Flush() // so that it does not say how long it is
			_, _ = rw.Write(der)
		})
		for most, want := range map[int]revocation.Status{len(der): good, len(der) - 1: unavailable} {
			w.restart(func(c *revocation.Config) { c.MaxList = int64(most) })
			w.wants(t, want)
		}
	})
	t.Run("F21: an answer that says that it is longer than what comes", func(t *testing.T) {
		w := aWorld(t, byList)
		w.serve(nil, func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(rw, "short")
		})
		w.wants(t, unavailable)
	})
}
