package revocation

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

var noon = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

// pair is an issuer with a card of it.
type pair struct {
	issuer, leaf *x509.Certificate
	key          crypto.Signer
}

func aPair(t testing.TB) pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Cards"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: noon, NotAfter: noon.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	certificate := func(template, parent *x509.Certificate) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	issuer := certificate(template, template)
	return pair{issuer, certificate(&x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: noon, NotAfter: noon.AddDate(1, 0, 0)}, issuer), key}
}

// list signs a list of n entries.
func (p pair) list(t testing.TB, n int) []byte {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: noon, NextUpdate: noon.Add(time.Hour)}
	for i := range n {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: big.NewInt(int64(1000 + i)), RevocationTime: noon, ReasonCode: i % 7})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, p.issuer, p.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestListMemory measures what reading a list of 60,000 cards takes.
func TestListMemory(t *testing.T) {
	const entries = 60_000
	p := aPair(t)
	der := p.list(t, entries)
	foreign := aPair(t)
	taken := func(do func()) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		do()
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	t.Run("F21: a list that nobody signed costs no more than its size", func(t *testing.T) {
		var err error
		if n := taken(func() { _, err = parseList(der, "", foreign.issuer, noon) }); err == nil || n > uint64(len(der)) {
			t.Errorf("%v; %d bytes were taken for %d", err, n, len(der))
		}
	})
	t.Run("F21: a list that was signed costs little more than its serial numbers", func(t *testing.T) {
		var l *list
		var err error
		n := taken(func() { l, err = parseList(der, "", p.issuer, noon) })
		if err != nil || len(l.revoked) != entries || n > 8*entries*uint64(len(number{})) {
			t.Errorf("%v; %d bytes were taken for %d", err, n, len(der))
		}
	})
}

// FuzzList holds our reading of entries against the standard library's: where
// both can read a list, they read the same.
func FuzzList(f *testing.F) {
	p := aPair(f)
	for _, n := range []int{0, 1, 3} {
		f.Add(p.list(f, n))
	}
	f.Add([]byte{0x30, 0})
	f.Fuzz(func(t *testing.T, der []byte) {
		if len(der) > 1<<16 {
			return
		}
		if l, err := parseList(der, "", p.issuer, noon); err == nil && l == nil {
			t.Error("there is neither a list nor an error")
		}
		_, head, entries, ok := split(der)
		if !ok {
			return
		}
		ours, err := numbers(entries)
		if err != nil {
			return
		}
		if _, err := x509.ParseRevocationList(head); err != nil {
			return
		}
		theirs, err := x509.ParseRevocationList(der)
		if err != nil {
			return
		}
		var want []number
		for _, e := range theirs.RevokedCertificateEntries {
			if serial, ok := numberOf(e.SerialNumber); ok {
				want = append(want, serial)
			}
		}
		slices.SortFunc(want, compare)
		if !slices.Equal(ours, want) {
			t.Errorf("read %x, the standard library %x", ours, want)
		}
	})
}

// FuzzResponse changes a signed response: what is still taken must be what was
// signed.
func FuzzResponse(f *testing.F) {
	p := aPair(f)
	for _, status := range []int{ocsp.Good, ocsp.Revoked, ocsp.Unknown} {
		der, err := ocsp.CreateResponse(p.issuer, p.issuer, ocsp.Response{
			Status: status, SerialNumber: p.leaf.SerialNumber, ThisUpdate: noon, NextUpdate: noon.Add(time.Hour), RevokedAt: noon,
		}, p.key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(der)
	}
	f.Add(ocsp.TryLaterErrorResponse)
	f.Fuzz(func(t *testing.T, der []byte) {
		if len(der) > maxResponse {
			return
		}
		a, err := response{leaf: p.leaf, issuer: p.issuer, nonce: []byte("nonce")}.judge(der, noon)
		if err != nil {
			if a != (answer{}) {
				t.Errorf("%v, and yet %+v", err, a)
			}
			return
		}
		again, err := ocsp.ParseResponseForCert(der, p.leaf, nil)
		if err != nil || again.CheckSignatureFrom(p.issuer) != nil {
			t.Errorf("taken, and not signed: %v", err)
		}
	})
}

// FuzzPoint reads what a list says of itself.
func FuzzPoint(f *testing.F) {
	f.Add([]byte{0x30, 0})
	f.Add([]byte{0x30, 3, 0x81, 1, 0xFF})
	f.Add(append([]byte{0x30, 14, 0xA0, 12, 0xA0, 10, 0x86, 8}, "http://a"...))
	f.Fuzz(func(t *testing.T, value []byte) {
		const address = "http://a"
		plain := bytes.Equal(value, []byte{0x30, 0}) || bytes.Equal(value, []byte{0x30, 3, 0x81, 1, 0xFF})
		if covers(value, address) && !plain && !bytes.Contains(value, []byte(address)) {
			t.Errorf("%x covers %s", value, address)
		}
	})
}

func TestAnswersAreBounded(t *testing.T) {
	t.Run("own rule: memory has an end, and what was revoked is forgotten last", func(t *testing.T) {
		var s answers
		name := func(i int) (n certificate) { big.NewInt(int64(i)).FillBytes(n[:]); return n }
		for i := range maxAnswers + 100 {
			status := Good
			if i < maxAnswers/2 {
				status = Revoked
			}
			s.put(name(i), answer{status, noon, noon.Add(time.Hour), noon}, noon)
		}
		if n := len(s.kept); n != maxAnswers {
			t.Errorf("%d answers are kept, want %d", n, maxAnswers)
		}
		for i := range maxAnswers / 2 {
			if _, ok := s.usable(name(i), noon); !ok {
				t.Fatal("what was revoked is forgotten")
			}
		}
	})
	t.Run("own rule: lists have an end too", func(t *testing.T) {
		var s lists
		for i := range maxLists + 3 {
			s.put(source{address: string(rune('a' + i))}, &list{}, noon)
		}
		if n := len(s.kept); n != maxLists {
			t.Errorf("%d lists are kept, want %d", n, maxLists)
		}
	})
}

func TestPanic(t *testing.T) {
	t.Run("own rule: what falls over a stranger's bytes does not end the server", func(t *testing.T) {
		var f flights[int, int]
		for range 2 {
			if _, err := f.do(t.Context(), 1, func(_ context.Context) (int, error) { panic("fell over") }); err == nil {
				t.Error("do() has no error")
			}
		}
	})
}
