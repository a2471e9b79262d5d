// Package card is what the agent may ask of a card: who it says it is, how many
// tries its passcode has left, and one signature after the passcode.
//
// A Source finds cards: in the readers of this computer, and for development in
// a file. The cards are PIV cards (SP 800-73-4), with an RSA-2048, P-256 or
// P-384 key to sign in with. What is asked of a card is one transaction, after
// which the card has forgotten that it saw the passcode. Every failure is typed,
// because each has its own words.
package card

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
)

// Card is a card that is there.
type Card interface {
	// About says what can be read without a passcode.
	About() About

	// Use tries the passcode, lends the key to do and resets the card. A wrong
	// passcode is a PINError, a locked card ErrBlocked, a card that is gone
	// ErrRemoved.
	Use(passcode []byte, do func(crypto.Signer) error) error

	// Gone is closed when the card was taken out. It is nil for a card that
	// nobody can take out.
	Gone() <-chan struct{}

	// Close lets go of the card.
	Close() error
}

// About is what a card shows to everybody.
type About struct {
	Reader      string // the reader's name
	GUID        string // upper-case hex, of the CHUID (SP 800-73-4 part 1 §3.1.2)
	ATR         string // upper-case hex (ISO 7816-3)
	Certificate *x509.Certificate
	TriesLeft   int

	events uint32 // of its reader when it was found
}

// Holder is the name in the card's certificate, to show to its holder.
func (a About) Holder() string { return a.Certificate.Subject.CommonName }

// same says whether both are of one card. Two that were badly made may have one
// GUID: they have a certificate each.
func (a About) same(b About) bool { return a.GUID == b.GUID && a.Certificate.Equal(b.Certificate) }

// Source is where cards are.
type Source interface {
	// Wait waits for a card until ctx is done. tell hears what it waits for,
	// once for each change.
	Wait(ctx context.Context, tell func(Waiting)) (Card, error)
}

// Waiting is what a source waits for.
type Waiting string

// What a source can wait for, in the words of desk-auth/1.
const (
	ForReader   Waiting = "no_reader"
	ForCard     Waiting = "wait_card"
	ForReadable Waiting = "card_unreadable"  // the one that is there does not answer
	ForRelease  Waiting = "card_busy"        // another program keeps it to itself
	ForOther    Waiting = "card_unsupported" // the one that is there cannot sign in
)

// What can be wrong with a card.
var (
	ErrBlocked     = errors.New("the card is locked")
	ErrRemoved     = errors.New("the card was removed")
	ErrUnreadable  = errors.New("the card does not answer")
	ErrUnsupported = errors.New("this is no card that can sign in")

	// ErrContactless says that a card takes no passcode through this reader,
	// as some do not without contacts. errors.Is finds ErrUnsupported in it.
	ErrContactless = fmt.Errorf("%w here: it takes its passcode in a reader with contacts only", ErrUnsupported)
)

// PINError says that the passcode is wrong and how many tries are left. At zero
// the card is locked, and errors.Is finds ErrBlocked.
type PINError struct{ TriesLeft int }

// Error says how many tries are left.
func (e PINError) Error() string { return fmt.Sprintf("wrong passcode, tries left: %d", e.TriesLeft) }

// Is finds ErrBlocked in the try that locked the card.
func (e PINError) Is(target error) bool { return target == ErrBlocked && e.TriesLeft == 0 }
