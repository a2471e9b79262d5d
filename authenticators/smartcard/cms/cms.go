// Package cms reads what a card signed for the gateway of the old service: CMS
// SignedData (RFC 5652) over a challenge, as the old agents send it.
//
// It knows no trust. Who asks judges the certificate first, and only then lets
// the signature be checked with its key: a stranger's key must not cost anything.
// All that comes is bounded before a parser sees it, and what the parser takes
// but nobody needs is refused.
package cms

import (
	"bytes"
	"crypto/subtle"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"slices"

	"github.com/smallstep/pkcs7"
)

// What an agent may send.
const (
	// MaxMessage bounds the message, in bytes, with its base64 and its header.
	MaxMessage      = 32 << 10
	maxCertificates = 8
	maxDepth        = 24 // of one value in another: certificates have some ten
	maxHeader       = 16 // lines
)

// ErrMessage is of all that is not a message with one signature of a kind that
// is taken. Its causes repeat nothing of what came.
var ErrMessage = errors.New("this is no CMS message with one signature that is taken")

// ErrSHA1 is of a message that would be good if SHA-1 were taken.
var ErrSHA1 = errors.New("the signature is made with SHA-1")

// Message is a message with one signature, which nobody has checked yet.
type Message struct {
	// Certificate is that of who says that they signed, DER.
	Certificate []byte

	parsed *pkcs7.PKCS7
}

var contentData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}

// digests are the digests that are taken, and whether they are SHA-1.
var digests = []algorithm{
	{pkcs7.OIDDigestAlgorithmSHA256, false}, {pkcs7.OIDDigestAlgorithmSHA384, false}, {pkcs7.OIDDigestAlgorithmSHA512, false},
	{pkcs7.OIDDigestAlgorithmSHA1, true},
}

// signatures are the algorithms of signatures that are taken. That of RSA which
// names no digest takes the one that is named beside it.
var signatures = []algorithm{
	{pkcs7.OIDEncryptionAlgorithmRSA, false}, {pkcs7.OIDEncryptionAlgorithmRSASHA256, false}, {pkcs7.OIDEncryptionAlgorithmRSASHA384, false},
	{pkcs7.OIDEncryptionAlgorithmRSASHA512, false}, {pkcs7.OIDDigestAlgorithmECDSASHA256, false}, {pkcs7.OIDDigestAlgorithmECDSASHA384, false},
	{pkcs7.OIDEncryptionAlgorithmRSASHA1, true}, {pkcs7.OIDDigestAlgorithmECDSASHA1, true},
}

type algorithm struct {
	oid  asn1.ObjectIdentifier
	sha1 bool
}

// Parse reads a message: DER, or base64 of it behind the header of a mail, as
// the old agents write it. ErrSHA1 comes with the message.
func Parse(raw []byte) (Message, error) {
	der, ok := unwrap(raw)
	if !ok || !shallow(der, maxDepth) {
		return Message{}, ErrMessage
	}
	p7, err := pkcs7.Parse(der)
	if err != nil || len(p7.Signers) != 1 || len(p7.Certificates) == 0 || len(p7.Certificates) > maxCertificates || len(p7.CRLs) != 0 {
		return Message{}, ErrMessage
	}
	signer := p7.Signers[0]
	if signer.IssuerAndSerialNumber.SerialNumber == nil {
		return Message{}, ErrMessage
	}
	leaf := p7.GetOnlySigner()
	digest, known1 := lookUp(digests, signer.DigestAlgorithm.Algorithm)
	signed, known2 := lookUp(signatures, signer.DigestEncryptionAlgorithm.Algorithm)
	if leaf == nil || !known1 || !known2 {
		return Message{}, ErrMessage
	}
	// RFC 5652 §5.3: with signed attributes there is one content type, and it is
	// that of the content. Two of one kind could be read in two ways.
	if len(signer.AuthenticatedAttributes) > 0 {
		var kind asn1.ObjectIdentifier
		if p7.UnmarshalSignedAttribute(pkcs7.OIDAttributeContentType, &kind) != nil || !kind.Equal(contentData) {
			return Message{}, ErrMessage
		}
		var seen []string
		for _, a := range signer.AuthenticatedAttributes {
			if slices.Contains(seen, a.Type.String()) {
				return Message{}, ErrMessage
			}
			seen = append(seen, a.Type.String())
		}
	}
	m := Message{Certificate: leaf.Raw, parsed: p7}
	if digest || signed {
		return m, ErrSHA1
	}
	return m, nil
}

// Verify says whether the signature of m is of leaf's key, over one of contents.
// leaf must be the certificate of m. The content may be left out of a message.
func (m Message) Verify(leaf *x509.Certificate, contents ...[]byte) bool {
	if !bytes.Equal(leaf.Raw, m.Certificate) {
		return false
	}
	for _, content := range contents {
		p7 := *m.parsed
		if len(p7.Content) > 0 && subtle.ConstantTimeCompare(p7.Content, content) != 1 {
			continue
		}
		p7.Content, p7.Certificates = content, []*x509.Certificate{leaf}
		if p7.Verify() == nil {
			return true
		}
	}
	return false
}

func lookUp(all []algorithm, oid asn1.ObjectIdentifier) (sha1, known bool) {
	i := slices.IndexFunc(all, func(a algorithm) bool { return a.oid.Equal(oid) })
	return i >= 0 && all[i].sha1, i >= 0
}

// unwrap returns the DER of a message.
func unwrap(raw []byte) ([]byte, bool) {
	const sequence = 0x30
	if len(raw) == 0 || len(raw) > MaxMessage {
		return nil, false
	}
	if raw[0] == sequence {
		return raw, true
	}
	body := raw
	for range maxHeader {
		line, rest, ok := bytes.Cut(body, []byte("\n"))
		if !bytes.Contains(line, []byte(":")) && !bytes.HasPrefix(line, []byte(" ")) && !bytes.HasPrefix(line, []byte("\t")) {
			break // no header, or its end
		}
		if !ok {
			return nil, false
		}
		body = rest
	}
	text := bytes.Map(func(r rune) rune {
		if r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, body)
	der, err := base64.StdEncoding.AppendDecode(nil, text)
	return der, err == nil && len(der) > 0 && der[0] == sequence
}

// shallow says whether der is DER throughout and no value of it stands in more
// than depth others: the parser goes into them one by one, and copies each.
func shallow(der []byte, depth int) bool {
	if depth == 0 {
		return false
	}
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil || v.IsCompound && !shallow(v.Bytes, depth-1) {
			return false
		}
		der = rest
	}
	return true
}
