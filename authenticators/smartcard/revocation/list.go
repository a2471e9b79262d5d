package revocation

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Why a list is no answer.
var (
	errList = errors.New("not a revocation list of this issuer")
	errPart = errors.New("a list of another kind or of other certificates")
)

// number is a serial number with zeros before it; RFC 5280 §4.1.2.2 allows 20
// bytes.
type number [20]byte

func compare(a, b number) int { return bytes.Compare(a[:], b[:]) }

func numberOf(n *big.Int) (number, bool) {
	var b number
	if n.Sign() < 0 || n.BitLen() > 8*len(b) {
		return b, false
	}
	n.FillBytes(b[:])
	return b, true
}

// list is a revocation list that its issuer signed.
type list struct {
	revoked []number // sorted
	made    time.Time
	until   time.Time
}

// parseList reads a list (RFC 5280 §5.1) that was got at address, in this
// order: did the issuer sign it, is it of this time, is it a whole list of the
// issuer's cards, what does it list. Entries are looked at last, and one at a
// time: what nobody signed costs no memory, and what was signed 20 bytes each.
func parseList(der []byte, address string, issuer *x509.Certificate, now time.Time) (*list, error) {
	tbs, head, entries, ok := split(der)
	if !ok {
		return nil, errList
	}
	parsed, err := x509.ParseRevocationList(head)
	if err != nil {
		return nil, errList // the parser's text may repeat what came
	}
	parsed.RawTBSRevocationList = tbs
	if !bytes.Equal(parsed.RawIssuer, issuer.RawSubject) {
		return nil, errList
	}
	if !strong(parsed.SignatureAlgorithm) || parsed.CheckSignatureFrom(issuer) != nil {
		return nil, errSigner
	}

	if parsed.NextUpdate.IsZero() || !current(parsed.ThisUpdate, parsed.NextUpdate, now) {
		return nil, errTimes
	}
	if !whole(parsed.Extensions, address) {
		return nil, errPart
	}
	revoked, err := numbers(entries)
	if err != nil {
		return nil, err
	}
	return &list{revoked, parsed.ThisUpdate, parsed.NextUpdate}, nil
}

// split cuts a list into what is signed, its entries, and the same list
// without entries: all of it but the entries is the standard library's to read,
// which would need ten times their size for them.
func split(der []byte) (tbs, head []byte, entries cryptobyte.String, ok bool) {
	input := cryptobyte.String(der)
	var outer, signed, rest cryptobyte.String
	if !input.ReadASN1(&outer, cbasn1.SEQUENCE) || !input.Empty() || !outer.ReadASN1Element(&signed, cbasn1.SEQUENCE) {
		return nil, nil, nil, false
	}
	tbs = signed
	if !signed.ReadASN1(&rest, cbasn1.SEQUENCE) {
		return nil, nil, nil, false
	}

	all := rest
	if !rest.SkipASN1(cbasn1.INTEGER) || !rest.SkipASN1(cbasn1.SEQUENCE) || !rest.SkipASN1(cbasn1.SEQUENCE) || !skipTime(&rest) {
		return nil, nil, nil, false
	}
	if next := rest; skipTime(&next) {
		rest = next // the time of the next list, which may be missing
	}
	before := all[:len(all)-len(rest)]
	if !rest.ReadOptionalASN1(&entries, nil, cbasn1.SEQUENCE) {
		return nil, nil, nil, false
	}
	after := rest
	if !rest.SkipOptionalASN1(cbasn1.Tag(0).ContextSpecific().Constructed()) || !rest.Empty() {
		return nil, nil, nil, false
	}
	return tbs, wrapped(before, after, outer), entries, true
}

// wrapped puts a list together again around what is left of its signed part.
func wrapped(before, after, rest []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(before)
			b.AddBytes(after)
		})
		b.AddBytes(rest)
	})
	return b.BytesOrPanic() // nothing in it is built that could fail
}

// numbers reads the serial numbers of entries. RFC 5280 §5.3: a list with a
// critical extension of an entry that is not understood must not be used; the
// only one that is defined says that the entry is another issuer's.
func numbers(entries cryptobyte.String) ([]number, error) {
	var all []number
	var n big.Int
	for !entries.Empty() {
		var entry, extensions cryptobyte.String
		var more bool
		if !entries.ReadASN1(&entry, cbasn1.SEQUENCE) || !entry.ReadASN1Integer(&n) || !skipTime(&entry) ||
			!entry.ReadOptionalASN1(&extensions, &more, cbasn1.SEQUENCE) || !entry.Empty() {
			return nil, errList
		}
		for !extensions.Empty() {
			critical, ok := readCritical(&extensions)
			if !ok {
				return nil, errList
			}
			if critical {
				return nil, errPart
			}
		}
		if serial, ok := numberOf(&n); ok { // a longer one is no certificate's that is asked about
			all = append(all, serial)
		}
	}
	slices.SortFunc(all, compare)
	return all, nil
}

func skipTime(s *cryptobyte.String) bool {
	var tag cbasn1.Tag
	return s.ReadAnyASN1(new(cryptobyte.String), &tag) && (tag == cbasn1.UTCTime || tag == cbasn1.GeneralizedTime)
}

// readCritical reads an extension and returns whether it is critical.
func readCritical(s *cryptobyte.String) (critical, ok bool) {
	var extension cryptobyte.String
	ok = s.ReadASN1(&extension, cbasn1.SEQUENCE) &&
		extension.SkipASN1(cbasn1.OBJECT_IDENTIFIER) &&
		(!extension.PeekASN1Tag(cbasn1.BOOLEAN) || extension.ReadASN1Boolean(&critical)) &&
		extension.SkipASN1(cbasn1.OCTET_STRING) && extension.Empty()
	return critical, ok
}

// Extensions of a list that are understood, RFC 5280 §5.2.
var (
	authorityKeyOID = asn1.ObjectIdentifier{2, 5, 29, 35}
	listNumberOID   = asn1.ObjectIdentifier{2, 5, 29, 20}
	deltaOID        = asn1.ObjectIdentifier{2, 5, 29, 27}
	pointOID        = asn1.ObjectIdentifier{2, 5, 29, 28}
)

// whole says whether a list with these extensions speaks of every card that
// names address, for every reason: it is no list of changes, not one of other
// certificates, of some reasons or of another issuer's, and not the list of
// another address in the place of this one.
func whole(extensions []pkix.Extension, address string) bool {
	for _, e := range extensions {
		switch {
		case e.Id.Equal(authorityKeyOID), e.Id.Equal(listNumberOID):
		case e.Id.Equal(deltaOID):
			return false
		case e.Id.Equal(pointOID):
			if !covers(e.Value, address) {
				return false
			}
		case e.Critical:
			return false
		}
	}
	return true
}

// covers says whether an issuing distribution point (RFC 5280 §5.2.5) leaves
// the list what it must be for a card that names address. Apart from that name
// it may say that the list is of people's certificates alone; everything else
// that it could say makes the list a part of one, or another's.
func covers(value []byte, address string) bool {
	tagged := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific() }
	input := cryptobyte.String(value)
	var point, name, full, users cryptobyte.String
	var named, only bool
	if !input.ReadASN1(&point, cbasn1.SEQUENCE) || !input.Empty() ||
		!point.ReadOptionalASN1(&name, &named, tagged(0).Constructed()) ||
		!point.ReadOptionalASN1(&users, &only, tagged(1)) || only && string(users) != "\xFF" || !point.Empty() {
		return false
	}
	if !named {
		return true
	}

	if !name.ReadASN1(&full, tagged(0).Constructed()) || !name.Empty() {
		return false // a name in parts, that only the issuer's own name makes whole
	}
	for !full.Empty() {
		var one cryptobyte.String
		var tag cbasn1.Tag
		if !full.ReadAnyASN1(&one, &tag) {
			return false
		}
		if tag == tagged(6) && string(one) == address { // a URI, RFC 5280 §4.2.1.6
			return true
		}
	}
	return false
}
