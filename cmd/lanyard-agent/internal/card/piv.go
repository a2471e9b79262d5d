package card

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Commands of SP 800-73-4 part 2 §3.
const (
	insVerify       = 0x20
	insAuthenticate = 0x87
	insSelect       = 0xA4
	insData         = 0xCB
)

const (
	slot       = 0x9A // the key to sign in with
	passcodeID = 0x80 // the application's own passcode
)

// pivName names the application, without its version (SP 800-73-4 part 1 §2.2).
var pivName = []byte{0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00}

// Data objects (SP 800-73-4 part 1 §4.3).
var (
	objHolder      = []byte{0x5F, 0xC1, 0x02}
	objCertificate = []byte{0x5F, 0xC1, 0x05}
)

// maxCertificate bounds a certificate that a card has compressed.
const maxCertificate = 16 << 10

// selectPIV makes the card answer as SP 800-73-4 says. Where it does not it is
// another kind of card.
func selectPIV(c connection) error {
	_, sw, err := exchange(c, insSelect, 0x04, 0, pivName, true)
	if err == nil && sw != swOK {
		return fmt.Errorf("%w: %w", ErrUnsupported, sw)
	}
	return err
}

// readAbout reads what the card shows to everybody. The application has been
// selected.
func readAbout(c connection) (About, error) {
	guid, err := readGUID(c)
	if err != nil {
		return About{}, err
	}
	object, err := readObject(c, objCertificate)
	if err != nil {
		return About{}, err
	}
	certificate, err := certificateIn(object)
	if err != nil {
		return About{}, err
	}
	left, err := readTries(c)
	return About{GUID: guid, Certificate: certificate, TriesLeft: left}, err
}

func readGUID(c connection) (string, error) {
	object, err := readObject(c, objHolder)
	if err != nil {
		return "", err
	}
	guid, ok := field(object, 0x34)
	if !ok || len(guid) != 16 {
		return "", fmt.Errorf("%w: it has no GUID", ErrUnsupported)
	}
	return strings.ToUpper(hex.EncodeToString(guid)), nil
}

// readObject is GET DATA (SP 800-73-4 part 2 §3.1.2).
func readObject(c connection, tag []byte) ([]byte, error) {
	asked := slices.Concat([]byte{0x5C, byte(len(tag))}, tag) //nolint:gosec // three bytes
	data, sw, err := exchange(c, insData, 0x3F, 0xFF, asked, true)
	if err != nil {
		return nil, err
	}
	object, ok := field(data, 0x53)
	if sw != swOK || !ok {
		return nil, fmt.Errorf("%w: no object %X: %w", ErrUnsupported, tag, sw)
	}
	return object, nil
}

// certificateIn reads a certificate, which a card may have compressed
// (SP 800-73-4 part 1 appendix A). Which bit says so has been read in two ways,
// and there are cards of both.
func certificateIn(object []byte) (*x509.Certificate, error) {
	der, ok := field(object, 0x70)
	if info, _ := field(object, 0x71); ok && len(info) == 1 && info[0]&0x81 != 0 {
		unpacked, err := gzip.NewReader(bytes.NewReader(der))
		if err == nil {
			der, err = io.ReadAll(io.LimitReader(unpacked, maxCertificate))
		}
		ok = err == nil
	}
	certificate, err := x509.ParseCertificate(der)
	if !ok || err != nil {
		return nil, fmt.Errorf("%w: its certificate cannot be read", ErrUnsupported)
	}
	if algorithmOf(certificate) == 0 {
		return nil, fmt.Errorf("%w: its key is of another kind", ErrUnsupported)
	}
	return certificate, nil
}

// algorithmOf returns what a card calls the algorithm of its key (SP 800-78-4
// table 6-2), or nought for one that nobody signs in with.
func algorithmOf(c *x509.Certificate) byte {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() == 2048 {
			return 0x07
		}
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return 0x11
		case elliptic.P384():
			return 0x14
		}
	}
	return 0
}

// readTries asks for the passcode's counter, which costs no try (SP 800-73-4
// part 2 §3.2.1). To a card that still trusts another program it has to be said
// that it shall not.
func readTries(c connection) (int, error) {
	_, sw, err := exchange(c, insVerify, 0, passcodeID, nil, false)
	if err == nil && sw == swOK {
		if _, _, err = exchange(c, insVerify, 0xFF, passcodeID, nil, false); err == nil {
			_, sw, err = exchange(c, insVerify, 0, passcodeID, nil, false)
		}
	}
	switch {
	case err != nil:
		return 0, err
	case sw == swBlocked:
		return 0, nil
	case sw == swNoSecurity || sw == swNotNow:
		return 0, fmt.Errorf("%w: %w", ErrContactless, sw)
	case sw&0xFFF0 == 0x63C0:
		return int(sw & 0x0F), nil
	}
	return 0, fmt.Errorf("%w: no counter: %w", ErrUnsupported, sw)
}

// verify tries a passcode. One that no card can have costs no try.
func verify(c connection, passcode []byte) error {
	if len(passcode) < 6 || len(passcode) > 8 {
		return noTry(c)
	}
	padded := []byte("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")
	copy(padded, passcode)
	_, sw, err := exchange(c, insVerify, 0, passcodeID, padded, false)
	clear(padded)
	switch {
	case err != nil:
		return err
	case sw == swOK:
		return nil
	case sw == swBlocked:
		return ErrBlocked
	case sw == swWrong:
		return noTry(c)
	case sw == swNoSecurity || sw == swNotNow:
		return fmt.Errorf("%w: %w", ErrContactless, sw)
	case sw&0xFFF0 == 0x63C0:
		return PINError{TriesLeft: int(sw & 0x0F)}
	}
	return fmt.Errorf("try passcode: %w", sw)
}

// noTry says that a passcode is wrong, and that as many tries are left as were.
func noTry(c connection) error {
	left, err := readTries(c)
	if err != nil {
		return err
	}
	if left == 0 {
		return ErrBlocked
	}
	return PINError{TriesLeft: left}
}
