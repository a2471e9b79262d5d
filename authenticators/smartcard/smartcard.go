// Package smartcard asks a card to sign one question and judges the answer.
//
// It is the server's side of desk-auth/1 without its HTTP: Begin opens a
// transaction, the desk agent redeems its handle, shows the card's signature
// with Respond, and gets a completion code that only the browser which began
// can use (Finish). The message that is signed is in package challenge, which
// the agent shares. It never sees a passcode, and it trusts nothing that an
// agent says about a card: only the certificate and the signature count.
package smartcard

import (
	"context"
	"crypto/x509"
	"errors"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/revocation"
)

// Transaction is one question on its way through desk-auth/1.
type Transaction struct {
	ID          string    `json:"id"`           // public: names the transaction in every call
	Login       string    `json:"login"`        // the login it belongs to
	Browser     string    `json:"browser"`      // bsh: base64url SHA-256 of the browser's secret
	ClientID    string    `json:"client_id"`    // the application that asks
	ClientName  string    `json:"client_name"`  // its name, for the prompt
	Act         string    `json:"act"`          // what the signature is for: "login"
	ServerNonce string    `json:"sn"`           // 256 random bits, base64url
	DisplayCode string    `json:"display_code"` // four digits that page and prompt both show
	Language    string    `json:"lang"`         // in which the person is spoken to
	Expires     time.Time `json:"expires"`

	Former authenticators.Former `json:"former,omitzero"` // which session of the old service would do in place of the card

	Agent Agent `json:"agent,omitzero"` // who redeemed the handle; zero until somebody did
}

// Transactions keeps questions until they are answered or too old. Every
// method decides in one atomic step: two servers may ask at the same instant.
// Handles are not kept, since a transaction's ID is made of its handle, and
// completion codes as hashes only.
type Transactions interface {
	// Open keeps t until t.Expires. It can be redeemed before redeemable. The
	// one that its login opened before ends: a login has one at a time.
	Open(ctx context.Context, t Transaction, redeemable time.Time) error

	// Redeem gives transaction id to the first who asks, and writes a into
	// it; everybody else gets authenticators.ErrAnswer.
	Redeem(ctx context.Context, id string, a Agent, now time.Time) (Transaction, error)

	// Answer takes the question that c redeemed: the first gets it, and
	// everybody after gets authenticators.ErrAnswer. So does whoever has
	// another key than the one that redeemed, and takes nothing.
	Answer(ctx context.Context, c Caller, now time.Time) (Transaction, error)

	// Settle keeps what the answer to t proved until expires, for whoever
	// shows the completion code.
	Settle(ctx context.Context, t Transaction, completion string, e authenticators.Evidence, expires time.Time) error

	// Complete ends transaction id, and gives its evidence to who shows its
	// completion code. With any other code, and before there is one, it is
	// authenticators.ErrAnswer with the transaction, so that it can be said
	// whose it was; after its end it is ErrAnswer with none.
	Complete(ctx context.Context, id, completion string, now time.Time) (Transaction, authenticators.Evidence, error)
}

// Card is what the registry knows of a card.
type Card struct {
	Serial string // the certificate's serial number, upper-case hex, as registered
	Series int
	State  State
	Holder string // the person's uid
}

// State says whether a card may be used.
type State string

// The states of a card.
const (
	Active    State = "active"
	Suspended State = "suspended"
	Blocked   State = "blocked"
	Revoked   State = "revoked"
)

// Cards finds a card by what its certificate says.
type Cards interface {
	// CardByCertificate returns the card with that certificate: issuer is the
	// upper-case hex SHA-256 of the issuing authority's public key
	// (SubjectPublicKeyInfo), serial the certificate's serial number in
	// upper-case hex, an even number of digits. ErrNotRegistered if there is
	// none. Never by a name: names repeat.
	CardByCertificate(ctx context.Context, issuer, serial string) (Card, error)
}

// Rules say which cards and agents are no longer taken.
type Rules interface {
	// BlockedFrom returns the instant from which on cards of that series are
	// refused, in the time zone whose day it begins. ok is false if there is
	// none.
	BlockedFrom(ctx context.Context, series int) (from time.Time, ok bool, err error)

	// AgentRules returns the rules about a program at desks, by the name that it
	// gives itself.
	AgentRules(ctx context.Context, product string) ([]AgentRule, error)

	// WarnDays are how many days before an end people are told, in any order.
	WarnDays(ctx context.Context) ([]int, error)
}

// Revocation says whether a certificate was revoked.
type Revocation interface {
	// Check returns what is known of leaf, which issuer has issued. The error
	// goes with revocation.Unavailable alone and says why, for the log.
	Check(ctx context.Context, leaf, issuer *x509.Certificate) (revocation.Status, error)
}

var _ Revocation = (*revocation.Checker)(nil)

// Unchecked is the flag of evidence that was given although nobody could say
// whether the card's certificate was revoked.
const Unchecked = "revocation_unchecked"

// Refusals of a card. Each has a text of its own for the person.
const (
	ErrNotRegistered authenticators.Refusal = "the card is not registered"
	ErrSuspended     authenticators.Refusal = "the card is suspended"
	ErrBlocked       authenticators.Refusal = "the card is blocked"
	ErrRevoked       authenticators.Refusal = "the card is revoked"
	ErrExpired       authenticators.Refusal = "the card's certificate has ended"
	ErrNotYetValid   authenticators.Refusal = "the card's certificate is not valid yet"
	ErrUntrusted     authenticators.Refusal = "the card's certificate is not of a trusted authority or not for signing in"
	ErrUnchecked     authenticators.Refusal = "nobody could say whether the card's certificate is revoked"
	ErrSeries        authenticators.Refusal = "cards of this series are no longer taken"
)

// Known is a refusal of a card that the registry knows, with whose it is, for the
// journal. That a trusted authority issued its certificate was proved; that the
// card itself was there only what it signs proves.
type Known struct {
	error
	card Card
}

// Unwrap returns the refusal.
func (k Known) Unwrap() error { return k.error }

// Subject is the person whose card it is.
func (k Known) Subject() string { return k.card.Holder }

// Authenticator names the card as evidence does.
func (k Known) Authenticator() string { return "card:" + k.card.Serial }

// refused is a refusal of c, with whose it is. An outage stays as it is.
func (c Card) refused(why error) error {
	if c.Holder == "" || !errors.Is(why, authenticators.ErrRefused) {
		return why
	}
	return Known{why, c}
}

// SeriesEnded is ErrSeries with the instant from which on it is so.
type SeriesEnded struct{ From time.Time }

// Error returns the reason.
func (SeriesEnded) Error() string { return ErrSeries.Error() }

// Is makes every SeriesEnded an ErrSeries, and so a refusal.
func (SeriesEnded) Is(target error) bool {
	return target == ErrSeries || target == authenticators.ErrRefused
}

// Ended is ErrExpired with the time at which the certificate, or one above it,
// ended.
type Ended struct{ At time.Time }

// Error returns the reason.
func (Ended) Error() string { return ErrExpired.Error() }

// Is makes every Ended an ErrExpired, and so a refusal.
func (Ended) Is(target error) bool {
	return target == ErrExpired || target == authenticators.ErrRefused
}
