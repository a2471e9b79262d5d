package smartcard

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lanyard-id/lanyard/authenticators"
)

// ErrFormerOnly refuses a card where the application takes nothing but a session
// that it opened at the old service before.
const ErrFormerOnly authenticators.Refusal = "the application takes only a session of the old service, and the desk holds none that will do"

// proofLife is how long a proof may be shown. Its agent does that at once.
const proofLife = 30 * time.Second

// FormerSessions are those that cards opened at the gateway of the old service.
type FormerSessions interface {
	// KeyOf returns the key of the session of an SSO token, living or not. It is
	// no secret.
	KeyOf(token string) string

	// Worth returns what the live session with that key proves now, if it is one
	// that f takes and the agent whose key has that thumbprint opened it:
	// authenticators.ErrAnswer if not.
	Worth(ctx context.Context, key, agent string, f authenticators.Former) (authenticators.Evidence, error)
}

// ProofsConfig is what Proofs need beside their room; all of it must be there
// but where it says so.
type ProofsConfig struct {
	Questions authenticators.Questions
	Desks     Desks
	Sessions  FormerSessions
	Off       func(client string) bool                                            // says that an application has none taken for it any more
	Used      func(ctx context.Context, client string, e authenticators.Evidence) // is told of each that was taken; nil: nobody is
}

// Proofs let a person into applications of ours by the session that their card
// opened at the gateway of the old service, from the same desk. The agent that
// holds its SSO token shows it where the gateway is, and gets a proof of it: for
// one question, for its own key, once and for seconds. That key the card signed
// when it opened the session: the SSO token alone is worth nothing here. It answers desk-auth/1
// with that in place of a card's signature. The SSO token itself goes nowhere
// else, and everything around the answer is as with a card: the completion code
// is for the agent alone, and worth nothing but in the browser that began.
type Proofs struct {
	room *Room
	c    ProofsConfig
}

// NewProofs returns those that answer the questions of a room.
func NewProofs(r *Room, c ProofsConfig) *Proofs { return &Proofs{r, c} }

// proved is what a proof stands for.
type proved struct {
	Transaction string `json:"tx"`
	Key         string `json:"key"` // the thumbprint of the agent's
	Session     string `json:"session"`
}

// Give returns a proof of the session of an SSO token for the question that c
// redeemed and has not answered. ErrAnswer if there is no such question, or if it
// does not take that session.
func (ps *Proofs) Give(ctx context.Context, c Caller, token string) (string, error) {
	now := ps.room.now()
	d, err := ps.c.Desks.Desk(ctx, c.Transaction, now)
	if err != nil {
		return "", fmt.Errorf("look at question: %w", err)
	}
	if d.Stage != Redeemed || subtle.ConstantTimeCompare([]byte(d.Agent.KeyThumbprint), []byte(c.KeyThumbprint)) != 1 {
		return "", ErrNotAsked
	}
	session := ps.c.Sessions.KeyOf(token)
	if _, err := ps.worth(ctx, session, c, d.Transaction); err != nil {
		return "", err
	}
	proof, err := ps.room.random()
	if err != nil {
		return "", fmt.Errorf("make proof: %w", err)
	}
	kept, err := json.Marshal(proved{Transaction: d.ID, Key: d.Agent.KeyThumbprint, Session: session})
	if err != nil {
		return "", fmt.Errorf("encode proof: %w", err)
	}
	return proof, ps.c.Questions.Ask(ctx, proof, kept, now.Add(proofLife))
}

// Respond is Respond of a room, with a proof in place of the card's signature.
// The session behind it is judged once more. Question and proof are used up
// whatever the outcome.
func (ps *Proofs) Respond(ctx context.Context, c Caller, proof string) (string, error) {
	now := ps.room.now()
	t, err := ps.room.transactions.Answer(ctx, c, now)
	if errors.Is(err, authenticators.ErrAnswer) {
		return "", fmt.Errorf("%w: %w", ErrNotAsked, authenticators.ErrAnswer)
	}
	if err != nil {
		return "", fmt.Errorf("take question: %w", err)
	}
	kept, err := ps.c.Questions.Take(ctx, proof, now)
	if err != nil {
		return "", fmt.Errorf("take proof: %w", err)
	}
	var of proved
	if err := json.Unmarshal(kept, &of); err != nil {
		return "", fmt.Errorf("read proof: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(of.Transaction), []byte(t.ID))&subtle.ConstantTimeCompare([]byte(of.Key), []byte(c.KeyThumbprint)) != 1 {
		return "", refuse(errors.New("the proof is another question's"))
	}
	e, err := ps.worth(ctx, of.Session, c, t)
	if err != nil {
		return "", err
	}
	once := sha256.Sum256([]byte("cis1 proof " + proof))
	e.Once = base64.RawURLEncoding.EncodeToString(once[:])
	completion, err := ps.room.settle(ctx, t, e, now)
	if err == nil && ps.c.Used != nil {
		ps.c.Used(ctx, t.ClientID, e)
	}
	return completion, err
}

// worth returns what a session of agent c proves to the application of t.
func (ps *Proofs) worth(ctx context.Context, session string, c Caller, t Transaction) (authenticators.Evidence, error) {
	if ps.c.Off(t.ClientID) {
		return authenticators.Evidence{}, refuse(errors.New("the application is switched off"))
	}
	return ps.c.Sessions.Worth(ctx, session, c.KeyThumbprint, t.Former)
}
