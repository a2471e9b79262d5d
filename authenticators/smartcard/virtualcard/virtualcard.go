// Package virtualcard is a PIV card in software: one key with its certificate
// (slot 9A), a passcode that counts wrong tries, and nothing that leaves it
// but signatures. Development and tests put it in the place of a real one.
//
// It signs only inside Use: one transaction from the right passcode to the
// signature, after which the card has forgotten that it saw the passcode. Or it
// is put into a virtual reader with Insert, and then speaks as a card does:
// Process answers the commands of SP 800-73-4 that a sign-in needs, and those by
// which a holder changes the passcode. Keys are not made, and nothing is written.
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

// Tries is how many wrong passcodes in a row block a new card, and how many
// wrong PUKs its unblocking.
const Tries = 3

// Profile says what a card is to readers beside a PIV card.
type Profile string

// The profiles of cards.
const (
	Plain       Profile = ""            // nothing: SP 800-73-4 alone
	Yubico      Profile = "yubico"      // it says its version and number, as programs for keys of that maker ask
	Contactless Profile = "contactless" // it takes no passcode, as some do not without contacts
	Foreign     Profile = "foreign"     // it is no PIV card
)

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
	ATR         []byte            // answer to reset; nil means DefaultATR, and one byte 00 that it gives none
	Profile     Profile
	Passcode    string // 6 to 8 digits
	PUK         string // 8 digits; unblocks
	TriesLeft   *int   // 0 to Tries; nil means Tries
	PUKTries    *int   // likewise, of the PUK

	// OnChange, if set, is told the card anew whenever a passcode or the number
	// of tries has become another, in order, so that it can be kept. The card
	// is busy meanwhile: it must not use it.
	OnChange func(Config)
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
	busy  sync.Mutex // held from the passcode to the reset
	tries atomic.Int32

	// What is on it. Passcodes, and how many tries they have left, change while
	// it is busy; nothing else does.
	is Config
}

// New makes a card, or says what about c cannot be.
func New(c Config) (*Card, error) {
	c.TriesLeft, c.PUKTries = copied(c.TriesLeft), copied(c.PUKTries)
	switch {
	case c.Key == nil || c.Certificate == nil || !belongs(c.Certificate, c.Key):
		return nil, errors.New("make card: the certificate is not of the key")
	case !digits(c.Passcode, 6, 8):
		return nil, errors.New("make card: a passcode has 6 to 8 digits")
	case !digits(c.PUK, 8, 8):
		return nil, errors.New("make card: a PUK has 8 digits")
	case min(*c.TriesLeft, *c.PUKTries) < 0 || max(*c.TriesLeft, *c.PUKTries) > Tries:
		return nil, fmt.Errorf("make card: tries left are 0 to %d", Tries)
	}
	if c.ATR = slices.Clone(c.ATR); c.ATR == nil {
		c.ATR = DefaultATR()
	}
	if c.OnChange == nil {
		c.OnChange = func(Config) {}
	}
	card := &Card{is: c}
	card.tries.Store(int32(*c.TriesLeft)) //nolint:gosec // 0 to Tries
	return card, nil
}

func copied(tries *int) *int {
	if tries == nil {
		return new(Tries)
	}
	return new(*tries)
}

// LogValue hides the key, the passcode and the PUK.
func (*Card) LogValue() slog.Value { return slog.StringValue("[hidden]") }

// Format hides the key, the passcode and the PUK from every verb of fmt.
func (*Card) Format(out fmt.State, _ rune) { _, _ = io.WriteString(out, "[hidden]") }

// Certificate returns the certificate in slot 9A. It needs no passcode.
func (c *Card) Certificate() *x509.Certificate { return c.is.Certificate }

// GUID returns the card's GUID in upper-case hex.
func (c *Card) GUID() string { return strings.ToUpper(hex.EncodeToString(c.is.GUID[:])) }

// ATR returns the answer to reset in upper-case hex.
func (c *Card) ATR() string { return strings.ToUpper(hex.EncodeToString(c.is.ATR)) }

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

	lent := &lentKey{key: c.is.Key}
	defer lent.takeBack()
	return do(lent)
}

func (c *Card) verify(passcode string) error {
	return c.try(c.is.Passcode, passcode, c.is.TriesLeft)
}

// try compares a guess with what is right, and counts.
func (c *Card) try(right, guess string, left *int) error {
	switch {
	case *left == 0:
		return ErrBlocked
	case !same(right, guess):
		c.count(left, *left-1)
		return PINError{TriesLeft: *left}
	}
	c.count(left, Tries)
	return nil
}

func (c *Card) count(tries *int, left int) {
	if *tries != left {
		*tries = left
		c.changed()
	}
}

// changed tells of a change.
func (c *Card) changed() {
	c.tries.Store(int32(*c.is.TriesLeft)) //nolint:gosec // 0 to Tries
	told := c.is
	told.TriesLeft, told.PUKTries = copied(told.TriesLeft), copied(told.PUKTries)
	c.is.OnChange(told)
}

// change puts another passcode in the place of the right one. An error says that
// the one given was not it.
func (c *Card) change(passcode *string, given, instead string, tries *int) error {
	if err := c.try(*passcode, given, tries); err != nil {
		return err
	}
	*passcode = instead
	c.changed()
	return nil
}

// unblock gives the card a new passcode, with all its tries, for its PUK.
func (c *Card) unblock(puk, passcode string) error {
	if err := c.try(c.is.PUK, puk, c.is.PUKTries); err != nil {
		return err
	}
	c.is.Passcode, *c.is.TriesLeft = passcode, Tries
	c.changed()
	return nil
}

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
