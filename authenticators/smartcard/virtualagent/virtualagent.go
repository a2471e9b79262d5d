// Package virtualagent is the desk agent of the development service: it does
// in one process what lanyard-agent does at a desk, with a card in software.
//
// It has no short cut. The room gets a handle to redeem and the bytes of a
// signed message, and judges them as it judges everybody's.
package virtualagent

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// What the agent calls itself and its reader.
const (
	name    = "virtual"
	version = "1"
	reader  = "Virtual reader"
)

// ErrOtherIssuer says that the question came for another provider than the
// agent's own. Nothing was signed.
var ErrOtherIssuer = errors.New("the question is not of this agent's provider")

// Desk is the part of a smartcard.Room that faces desk agents.
type Desk interface {
	// Redeem returns the question behind handle, once.
	Redeem(ctx context.Context, handle string, agent smartcard.Agent) (challenge.Question, smartcard.Ahead, error)

	// Respond judges the signed message and returns the completion code.
	Respond(ctx context.Context, c smartcard.Caller, jws []byte, x5c [][]byte) (string, error)
}

var _ Desk = (*smartcard.Room)(nil)

// Agent signs for one provider. It keeps nothing between two runs.
type Agent struct {
	Desk   Desk
	Issuer string // the only one that it signs for
	Origin string // likewise
}

// Sign answers the question behind handle with card and returns what the
// browser needs to finish: the question's public name and the completion code.
//
// The passcode comes first, so that a wrong one (virtualcard.PINError) or a
// blocked card (virtualcard.ErrBlocked) leaves the handle for another try.
// ErrOtherIssuer, and every refusal and outage of the desk, come afterwards.
func (a Agent) Sign(ctx context.Context, handle string, card *virtualcard.Card, passcode string) (tx, completion string, err error) {
	var jws []byte
	var self smartcard.Caller
	err = card.Use(passcode, func(key crypto.Signer) error {
		p, err := a.redeem(ctx, handle, key.Public())
		if err != nil {
			return err
		}
		p.Card = challenge.Card{GUID: card.GUID(), ATR: card.ATR(), Serial: challenge.Serial(card.Certificate())}
		tx = p.Transaction
		self = smartcard.Caller{Transaction: tx, KeyThumbprint: p.AgentKey}
		jws, err = challenge.Sign(p, card.Certificate(), key)
		return err
	})
	if err != nil {
		return "", "", err
	}

	completion, err = a.Desk.Respond(ctx, self, jws, [][]byte{card.Certificate().Raw})
	if err != nil {
		return "", "", err
	}
	return tx, completion, nil
}

// redeem returns what the card shall sign, but for the card's own part.
func (a Agent) redeem(ctx context.Context, handle string, card crypto.PublicKey) (challenge.Payload, error) {
	alg, err := challenge.AlgFor(card)
	if err != nil {
		return challenge.Payload{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return challenge.Payload{}, fmt.Errorf("make agent's key: %w", err)
	}
	thumbprint, err := challenge.KeyThumbprint(&key.PublicKey)
	if err != nil {
		return challenge.Payload{}, err
	}
	nonce, err := random()
	if err != nil {
		return challenge.Payload{}, err
	}

	self := challenge.Agent{Name: name, Version: version, OS: runtime.GOOS}
	q, _, err := a.Desk.Redeem(ctx, handle, smartcard.Agent{
		Name: self.Name, Version: self.Version, OS: self.OS, KeyThumbprint: thumbprint,
	})
	if err != nil {
		return challenge.Payload{}, err
	}
	if q.Issuer != a.Issuer || q.Origin != a.Origin {
		return challenge.Payload{}, ErrOtherIssuer
	}
	if !slices.Contains(q.Algs, alg) {
		return challenge.Payload{}, fmt.Errorf("%w: the provider does not take %s", challenge.ErrSignature, alg)
	}

	p := q.Payload()
	p.ClientNonce, p.AgentKey = nonce, thumbprint
	p.Agent, p.Reader, p.PIN = self, reader, challenge.Host
	return p, nil
}

func random() (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(rand.Reader, b[:]); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}
