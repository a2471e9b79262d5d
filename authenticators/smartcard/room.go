package smartcard

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
)

// How long each step may take, by desk-auth/1.
const (
	questionLife   = 300 * time.Second // from Begin to the card's signature
	handleLife     = 60 * time.Second  // from Begin to Redeem
	completionLife = 60 * time.Second  // from the signature to Finish
)

// Config is what a Room needs. All of it must be there but where it says so.
type Config struct {
	Issuer string // the provider, as its configuration spells it
	Origin string // its web origin, where the sign-in page is

	Roots         *x509.CertPool  // the card authorities' roots; nil or empty refuses every card
	Intermediates *x509.CertPool  // what stands between them and cards; may be nil
	Policies      []x509.OID      // a path is good with one of them only; empty asks for none
	Algs          []challenge.Alg // what cards may sign with; empty means ES256, ES384, PS256

	// Soft takes a card although nobody can say whether its certificate was
	// revoked: for AAL2 at most, and with the flag Unchecked. Without it such
	// a card is refused. A revoked card, and one that its own authority does
	// not know, is refused either way.
	Soft bool

	Transactions Transactions
	Cards        Cards
	Rules        Rules
	Revocation   Revocation
	Now          func() time.Time
	Rand         io.Reader // nil means crypto/rand

	// Seen is told of each agent whose answer was good, with what it proved; nil:
	// nobody is.
	Seen func(ctx context.Context, a Agent, e authenticators.Evidence)
}

// Room signs people in by card. It is safe for concurrent use.
type Room struct {
	issuer, origin string
	trust          trust
	algs           []challenge.Alg
	transactions   Transactions
	cards          Cards
	rules          Rules
	revocation     Revocation
	soft           bool
	now            func() time.Time
	rand           io.Reader
	seen           func(context.Context, Agent, authenticators.Evidence)
}

var _ authenticators.Room = (*Room)(nil)

// New returns a room, or an error that names what c lacks.
func New(c Config) (*Room, error) {
	switch {
	case c.Issuer == "" || c.Origin == "":
		return nil, errors.New("smartcard room: no issuer or origin")
	case c.Transactions == nil || c.Cards == nil || c.Rules == nil || c.Revocation == nil || c.Now == nil:
		return nil, errors.New("smartcard room: no transactions, cards, rules, revocation or clock")
	}
	if len(c.Algs) == 0 {
		c.Algs = []challenge.Alg{challenge.ES256, challenge.ES384, challenge.PS256}
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	return &Room{
		issuer: c.Issuer, origin: c.Origin,
		trust: newTrust(c.Roots, c.Intermediates, c.Policies), algs: slices.Clone(c.Algs),
		transactions: c.Transactions, cards: c.Cards, rules: c.Rules, revocation: c.Revocation, soft: c.Soft,
		now: c.Now, rand: c.Rand, seen: c.Seen,
	}, nil
}

// nameOf returns the public name of the transaction with that handle. Who
// shows the handle finds the transaction by it, so that nothing else need be
// kept; the name does not lead back.
func nameOf(handle string) string {
	sum := sha256.Sum256([]byte("desk-auth/1 tx " + handle))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// question is what Begin gives to the browser.
type question struct {
	Transaction string    `json:"tx"`           // names the question, for Finish
	Handle      string    `json:"handle"`       // what the page starts the agent with: once, within a minute
	DisplayCode string    `json:"display_code"` // four digits to compare with the prompt
	Expires     time.Time `json:"expires"`      // when the question ends
}

// answer is what the browser brings back.
type answer struct {
	Transaction string `json:"tx"`
	Completion  string `json:"completion"` // what Respond gave to the agent
}

// Begin opens a question and returns {tx, handle, display_code, expires}. It
// needs the login's ID and the hash of its browser's secret, to which the
// answer is bound.
func (r *Room) Begin(ctx context.Context, login authenticators.Login) (json.RawMessage, error) {
	if login.ID == "" || !challenge.IsDigest(login.Browser) {
		return nil, errors.New("begin: the login has no ID or no browser")
	}
	now := r.now()
	handle, err1 := r.random()
	nonce, err2 := r.random()
	code, err3 := r.displayCode()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}

	t := Transaction{
		ID:          nameOf(handle),
		Login:       login.ID,
		Browser:     login.Browser,
		ClientID:    login.ClientID,
		ClientName:  login.ClientName,
		Act:         challenge.Login,
		ServerNonce: nonce,
		DisplayCode: code,
		Language:    login.Language,
		Former:      login.Former,
		Expires:     now.Add(questionLife).UTC().Truncate(time.Second), // the message has whole seconds
	}
	if err := r.transactions.Open(ctx, t, now.Add(handleLife)); err != nil {
		return nil, fmt.Errorf("open question: %w", err)
	}
	return json.Marshal(question{Transaction: t.ID, Handle: handle, DisplayCode: code, Expires: t.Expires})
}

// Finish takes {tx, completion} and returns what the card proved. It works
// once, within a minute of the signature, in the browser that began. A wrong
// code, login or browser ends the question: ErrAnswer.
func (r *Room) Finish(ctx context.Context, login authenticators.Login, raw json.RawMessage) (authenticators.Evidence, error) {
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		return authenticators.Evidence{}, authenticators.ErrAnswer // the decoder's text would repeat what came
	}
	_, e, err := r.Collect(ctx, a.Transaction, a.Completion, func(asked authenticators.Login) error {
		if subtle.ConstantTimeCompare([]byte(asked.ID), []byte(login.ID))&
			subtle.ConstantTimeCompare([]byte(asked.Browser), []byte(login.Browser)) != 1 {
			return authenticators.ErrAnswer
		}
		return nil
	})
	return e, err
}

// Collect is Finish for who comes back with a completion code and has still to
// find the login: it returns that too. right judges whether it is the caller's:
// if it says no, its error is returned and the question has ended all the same.
// A refusal comes with the login that the question was of, if there was one.
func (r *Room) Collect(ctx context.Context, tx, completion string, right func(authenticators.Login) error) (authenticators.Login, authenticators.Evidence, error) {
	t, e, err := r.transactions.Complete(ctx, tx, completion, r.now())
	l := authenticators.Login{ID: t.Login, Browser: t.Browser, ClientID: t.ClientID, ClientName: t.ClientName}
	if t.ID != "" { // whose it is comes first, whatever was wrong with it
		if no := right(l); no != nil {
			err = no
		}
	}
	if err != nil {
		return l, authenticators.Evidence{}, fmt.Errorf("complete sign-in: %w", err)
	}
	return l, e, nil
}

// random returns 256 random bits in base64url.
func (r *Room) random() (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(r.rand, b[:]); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

func (r *Room) displayCode() (string, error) {
	n, err := rand.Int(r.rand, big.NewInt(10_000))
	if err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return fmt.Sprintf("%04d", n), nil
}
