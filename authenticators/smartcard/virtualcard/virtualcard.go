// Package virtualcard is a PIV card in software: one key with its certificate
// (slot 9A), a passcode that counts wrong tries, and nothing that leaves it
// but signatures. Development and tests put it in the place of a real one.
//
// It signs only inside Use: one transaction from the right passcode to the
// signature, after which the card has forgotten that it saw the passcode. Or it
// is put into a virtual reader with Insert, and then speaks as a card does:
// Process answers the commands of SP 800-73-4 that a sign-in needs. Passcodes
// are not changed and keys not made.
package virtualcard

import (
	"crypto"
	"crypto/subtle"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Tries is how many wrong passcodes in a row block a new card.
const Tries = 3

// ErrBlocked says that too many wrong passcodes were tried. The right one does
// not help any more.
var ErrBlocked = errors.New("the card is blocked")

// ErrReset says that a signature was asked for after the transaction.
var ErrReset = errors.New("the card was reset and asks for its passcode again")

// PINError says that the passcode is wrong and how many tries are left; at
// zero the card is blocked, and errors.Is finds ErrBlocked.
type PINError struct{ TriesLeft int }

// Error says how many tries are left.
func (e PINError) Error() string {
	return fmt.Sprintf("the passcode is wrong, tries left: %d", e.TriesLeft)
}

// Is finds ErrBlocked in the try that blocked the card.
func (e PINError) Is(target error) bool { return target == ErrBlocked && e.TriesLeft == 0 }

// Config is what is on a card.
type Config struct {
	Key         crypto.Signer     // slot 9A; GenerateKey makes one
	Certificate *x509.Certificate // slot 9A; of that key
	GUID        [16]byte          // names the card (SP 800-73-4 part 1 §3.1.2)
	ATR         []byte            // answer to reset; nil means DefaultATR
	Passcode    string            // 6 to 8 digits
	PUK         string            // 8 digits; kept for unblocking
	TriesLeft   *int              // 0 to Tries; nil means Tries

	// OnTries, if set, is told each new number of tries left, in order, so
	// that it can be kept. The card is busy meanwhile: it must not use it.
	OnTries func(left int)
}

// LogValue hides the key, the passcode and the PUK.
func (Config) LogValue() slog.Value { return slog.StringValue("[hidden]") }

// Format hides the key, the passcode and the PUK from every verb of fmt.
func (Config) Format(out fmt.State, _ rune) { _, _ = io.WriteString(out, "[hidden]") }

// DefaultATR is the answer to reset of a card that speaks T=1 only, with the
// historical bytes "LANYARD1" (ISO 7816-3 §8.2).
func DefaultATR() []byte {
	atr := append([]byte{0x3B, 0x88, 0x01}, "LANYARD1"...)
	check := byte(0)
	for _, b := range atr[1:] {
		check ^= b
	}
	return append(atr, check)
}

// T0ATR is the answer to reset of a card that speaks T=0 only, with the same
// historical bytes. It has no check byte (ISO 7816-3 §8.2.5).
func T0ATR() []byte { return append([]byte{0x3B, 0x08}, "LANYARD1"...) }

// protocol returns the protocol that an answer to reset names first, which is
// T=0 if it names none (ISO 7816-3 §8.2.3).
func protocol(atr []byte) byte {
	if len(atr) < 2 || atr[1]&0x80 == 0 {
		return 0
	}
	at := 2
	for _, there := range []byte{0x10, 0x20, 0x40} { // TA1, TB1 and TC1 stand before TD1
		if atr[1]&there != 0 {
			at++
		}
	}
	if at >= len(atr) {
		return 0
	}
	return atr[at] & 0x0F
}

// Card is a card. It is safe for concurrent use; like a real one it serves one
// transaction at a time.
type Card struct {
	busy        sync.Mutex // held from the passcode to the reset
	tries       atomic.Int32
	key         crypto.Signer
	certificate *x509.Certificate
	guid        [16]byte
	atr         []byte
	passcode    string
	puk         string
	onTries     func(left int)
}

// New makes a card, or says what about c cannot be.
func New(c Config) (*Card, error) {
	left := Tries
	if c.TriesLeft != nil {
		left = *c.TriesLeft
	}
	switch {
	case c.Key == nil || c.Certificate == nil || !belongs(c.Certificate, c.Key):
		return nil, errors.New("make card: the certificate is not of the key")
	case !digits(c.Passcode, 6, 8):
		return nil, errors.New("make card: a passcode has 6 to 8 digits")
	case !digits(c.PUK, 8, 8):
		return nil, errors.New("make card: a PUK has 8 digits")
	case left < 0 || left > Tries:
		return nil, fmt.Errorf("make card: tries left are 0 to %d", Tries)
	}
	if c.ATR == nil {
		c.ATR = DefaultATR()
	}
	if c.OnTries == nil {
		c.OnTries = func(int) {}
	}

	card := &Card{
		key: c.Key, certificate: c.Certificate, guid: c.GUID, atr: slices.Clone(c.ATR),
		passcode: c.Passcode, puk: c.PUK, onTries: c.OnTries,
	}
	card.setTries(left)
	return card, nil
}

// LogValue hides the key, the passcode and the PUK.
func (*Card) LogValue() slog.Value { return slog.StringValue("[hidden]") }

// Format hides the key, the passcode and the PUK from every verb of fmt.
func (*Card) Format(out fmt.State, _ rune) { _, _ = io.WriteString(out, "[hidden]") }

// Certificate returns the certificate in slot 9A. It needs no passcode.
func (c *Card) Certificate() *x509.Certificate { return c.certificate }

// GUID returns the card's GUID in upper-case hex.
func (c *Card) GUID() string { return strings.ToUpper(hex.EncodeToString(c.guid[:])) }

// ATR returns the answer to reset in upper-case hex.
func (c *Card) ATR() string { return strings.ToUpper(hex.EncodeToString(c.atr)) }

// TriesLeft returns how many wrong passcodes are left before the card blocks.
func (c *Card) TriesLeft() int { return int(c.tries.Load()) }

// Verify tries a passcode and resets the card. A wrong one is a PINError and
// uses up a try; on a blocked card every one is ErrBlocked.
func (c *Card) Verify(passcode string) error {
	return c.Use(passcode, func(crypto.Signer) error { return nil })
}

// Use is one transaction: it tries the passcode as Verify does, lends the key
// to do, and resets the card. It returns what do returns. The key signs digests
// only, and after the reset every signature is ErrReset. While do runs the card
// serves nobody else: do must not use it but for its key.
func (c *Card) Use(passcode string, do func(crypto.Signer) error) error {
	c.busy.Lock()
	defer c.busy.Unlock()
	if err := c.verify(passcode); err != nil {
		return err
	}

	lent := &lentKey{key: c.key}
	defer lent.takeBack()
	return do(lent)
}

func (c *Card) verify(passcode string) error {
	left := c.TriesLeft()
	if left == 0 {
		return ErrBlocked
	}
	if !same(c.passcode, passcode) {
		c.count(left - 1)
		return PINError{TriesLeft: left - 1}
	}
	c.count(Tries)
	return nil
}

func (c *Card) count(left int) {
	if left != c.TriesLeft() {
		c.setTries(left)
		c.onTries(left)
	}
}

func (c *Card) setTries(left int) { c.tries.Store(int32(left)) } //nolint:gosec // 0 to Tries

// lentKey is the card's key for as long as one transaction lasts.
type lentKey struct {
	mu   sync.Mutex
	key  crypto.Signer
	over bool
}

// Public returns the public key.
func (k *lentKey) Public() crypto.PublicKey { return k.key.Public() }

// Sign signs a digest as crypto.Signer says.
func (k *lentKey) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		return nil, ErrReset
	}
	if h := opts.HashFunc(); h == 0 || len(digest) != h.Size() {
		return nil, errors.New("the card signs digests only")
	}
	return k.key.Sign(random, digest, opts)
}

func (k *lentKey) takeBack() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
}

// same compares passcodes in a time that does not tell where two differ. Both
// are filled up to eight bytes first, as a PIV card has them (SP 800-73-4 part
// 2 §2.4.3), so it does not tell the length either. The filling is no digit and
// must not be guessed as one.
func same(passcode, guess string) bool {
	return digits(guess, 6, 8) && subtle.ConstantTimeCompare(filled(passcode), filled(guess)) == 1
}

func filled(s string) []byte {
	b := []byte("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")
	copy(b, s)
	return b
}

func digits(s string, least, most int) bool {
	return len(s) >= least && len(s) <= most && strings.Trim(s, "0123456789") == ""
}

func belongs(certificate *x509.Certificate, key crypto.Signer) bool {
	k, ok := certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(key.Public())
}
