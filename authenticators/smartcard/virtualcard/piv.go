package virtualcard

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"slices"
)

// The application's name, as it may be cut off at the right, and the part of it
// that the answer names (SP 800-73-4 part 1 §2.2).
var (
	application = []byte{0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00}
	provider    = application[:5]
)

// Data objects by their tags (SP 800-73-4 part 1 §4.3).
const (
	objDiscovery    = "\x7E"
	objHolder       = "\x5F\xC1\x02" // the card holder's unique identifier
	objCertificate  = "\x5F\xC1\x05" // of slot 9A
	objCapabilities = "\x5F\xC1\x07"
)

const (
	slot       = 0x9A
	passcodeID = 0x80
	pukID      = 0x81
)

// Algorithms (SP 800-78-4 table 6-2).
const (
	algRSA2048 = 0x07
	algP256    = 0x11
	algP384    = 0x14
)

func (p *Powered) selectApplication(c command) ([]byte, int) {
	if c.p1 != 0x04 || c.p2 != 0 {
		return nil, swParameters
	}
	if len(c.data) < len(provider) || !bytes.HasPrefix(application, c.data) || p.card.is.Profile == Foreign {
		return nil, swNotFound // and what was selected stays so
	}
	p.selected = true
	return tlv(0x61, tlv(0x4F, application[5:]), tlv(0x79, tlv(0x4F, provider))), swOK
}

// read is GET DATA (SP 800-73-4 part 2 §3.1.2).
func (p *Powered) read(c command) ([]byte, int) {
	if c.p1 != 0x3F || c.p2 != 0xFF {
		return nil, swParameters
	}
	if len(c.data) < 2 || c.data[0] != 0x5C || int(c.data[1]) != len(c.data)-2 {
		return nil, swWrongData
	}
	guid := p.card.is.GUID[:]
	switch string(c.data[2:]) {
	case objDiscovery:
		// The passcode is the application's own, and there is no other.
		return tlv(0x7E, tlv(0x4F, application), []byte{0x5F, 0x2F, 0x02, 0x40, 0x00}), swOK
	case objHolder:
		return tlv(0x53, tlv(0x30, notFederal), tlv(0x34, guid), tlv(0x35, []byte("20991231")), tlv(0x3E), tlv(0xFE)), swOK
	case objCertificate:
		return tlv(0x53, tlv(0x70, p.card.is.Certificate.Raw), tlv(0x71, []byte{0}), tlv(0xFE)), swOK
	case objCapabilities:
		id := slices.Concat([]byte{0xA0, 0x00, 0x00, 0x01, 0x16, 0xFF, 0x02}, guid[:14])
		return tlv(0x53, tlv(0xF0, id), tlv(0xF1, []byte{0x21}), tlv(0xF2, []byte{0x21}), tlv(0xF3), tlv(0xF4, []byte{0}), tlv(0xF5, []byte{0x10}),
			tlv(0xF6), tlv(0xF7), tlv(0xFA), tlv(0xFB), tlv(0xFC), tlv(0xFD), tlv(0xFE)), swOK
	}
	return nil, swNotFound
}

// notFederal begins a FASC-N with the agency 9999: who issues is no agency, and
// the GUID names the card (SP 800-73-4 part 1 §3.1.2).
var notFederal = append([]byte{0xD4, 0xE7, 0x39, 0xDA, 0x73, 0x9C}, make([]byte, 19)...)

// sign is GENERAL AUTHENTICATE with the key of slot 9A (SP 800-73-4 part 2
// §3.2.4 and appendix A).
func (p *Powered) sign(c command) ([]byte, int) {
	if c.p2 != slot {
		return nil, swNoReference
	}
	if !p.verified {
		return nil, swNoSecurity
	}
	block, ok := challengeOf(c.data)
	if !ok {
		return nil, swWrongData
	}
	alg, signature := signed(p.card.is.Key, block)
	if alg == 0 || alg != c.p1 {
		return nil, swParameters
	}
	if signature == nil {
		return nil, swWrongData
	}
	return tlv(0x7C, tlv(0x82, signature)), swOK
}

// signed returns the algorithm of a key, and what the key makes of a block, or
// nil if the block is none that it can sign.
func signed(key crypto.Signer, block []byte) (alg byte, signature []byte) {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		n := new(big.Int).SetBytes(block)
		if k.Size() != 256 || len(block) != 256 || n.Cmp(k.N) >= 0 {
			return algRSA2048, nil
		}
		// The card does the arithmetic alone: its reader's side pads.
		return algRSA2048, n.Exp(n, k.D, k.N).FillBytes(make([]byte, 256))
	case *ecdsa.PrivateKey:
		size := k.Params().BitSize / 8
		if alg = algP256; size == 48 {
			alg = algP384
		}
		if len(block) == 0 || len(block) > size {
			return alg, nil
		}
		signature, err := ecdsa.SignASN1(rand.Reader, k, block)
		if err != nil {
			return alg, nil
		}
		return alg, signature
	}
	return 0, nil
}

// challengeOf reads the template that asks for a signature: a challenge, and an
// empty response.
func challengeOf(data []byte) (challenge []byte, ok bool) {
	template, rest, ok := cut(data, 0x7C)
	if !ok || len(rest) > 0 {
		return nil, false
	}
	asked := false
	for len(template) > 0 {
		value, rest, ok := cut(template, template[0])
		switch {
		case !ok:
			return nil, false
		case template[0] == 0x81:
			challenge = value
		case template[0] == 0x82 && len(value) == 0:
			asked = true
		default:
			return nil, false
		}
		template = rest
	}
	return challenge, asked && challenge != nil
}

// tlv writes a value after its tag and length (ISO 7816-4 §5.2.2).
func tlv(tag byte, parts ...[]byte) []byte {
	value := slices.Concat(parts...)
	head := []byte{tag}
	switch n := len(value); {
	case n < 0x80:
		head = append(head, byte(n))
	case n < 0x100:
		head = append(head, 0x81, byte(n))
	default:
		head = append(head, 0x82, byte(n>>8), byte(n)) //nolint:gosec // a card holds less than 64 kB
	}
	return append(head, value...)
}

// cut reads the value of a tag at the beginning of b.
func cut(b []byte, tag byte) (value, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, nil, false
	}
	n, head := int(b[1]), 2
	switch {
	case n == 0x81 && len(b) > 2:
		n, head = int(b[2]), 3
	case n == 0x82 && len(b) > 3:
		n, head = int(b[2])<<8|int(b[3]), 4
	case n >= 0x80:
		return nil, nil, false
	}
	if len(b) < head+n {
		return nil, nil, false
	}
	return b[head : head+n], b[head+n:], true
}
