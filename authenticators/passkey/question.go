package passkey

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/lanyard-id/lanyard/authenticators"
)

const (
	questionLife = 300 * time.Second
	maxAnswer    = 64 << 10 // attestations with four certificates have a tenth of it
)

// What a question is asked for. An answer to one is none to the other.
const (
	toSignIn = "sign-in"
	toEnrol  = "enrolment"
)

// question is what is kept of what was asked. It is ours, and not the
// library's, whose form changes between releases.
type question struct {
	Purpose   string `json:"purpose"`
	ID        string `json:"id"` // of the login or of the enrolment
	Browser   string `json:"browser"`
	Subject   string `json:"subject,omitempty"` // who enrols; nobody is known who signs in
	Challenge []byte `json:"challenge"`
	User      []byte `json:"user,omitempty"` // by what the key is to know who enrols
}

// asked is what the browser gets: its name, and what to hand to
// PublicKeyCredential.parseRequestOptionsFromJSON or
// parseCreationOptionsFromJSON.
type asked struct {
	Question  string `json:"question"`
	PublicKey any    `json:"publicKey"`
}

// answer is what it brings back: the name, and what toJSON of the
// PublicKeyCredential gave.
type answer struct {
	Question   string          `json:"question"`
	Credential json.RawMessage `json:"credential"`
}

// ask keeps q, with a challenge, and returns its name and the challenge.
func (r *Room) ask(ctx context.Context, q question) (name string, challenge []byte, err error) {
	if q.ID == "" || q.Browser == "" {
		return "", nil, errors.New("ask: nothing and no browser to which an answer would belong")
	}
	random, err1 := r.random()
	q.Challenge, err = r.random()
	if err := errors.Join(err1, err); err != nil {
		return "", nil, fmt.Errorf("ask: %w", err)
	}
	name = base64.RawURLEncoding.EncodeToString(random)
	kept, err := json.Marshal(q)
	if err != nil {
		return "", nil, fmt.Errorf("ask: %w", err)
	}
	if err := r.questions.Ask(ctx, name, kept, r.now().Add(questionLife)); err != nil {
		return "", nil, fmt.Errorf("keep question: %w", err)
	}
	return name, q.Challenge, nil
}

// take reads an answer and returns the question that it answers, which is
// nobody's any more. The question must be of the purpose, act, browser and
// person of want.
func (r *Room) take(ctx context.Context, raw json.RawMessage, want question) (question, json.RawMessage, error) {
	var a answer
	if len(raw) > maxAnswer || json.Unmarshal(raw, &a) != nil { // the decoder's text would repeat what came
		return question{}, nil, authenticators.ErrAnswer
	}
	if b, err := base64.RawURLEncoding.DecodeString(a.Question); err != nil || len(b) != 32 {
		return question{}, nil, authenticators.ErrAnswer
	}
	kept, err := r.questions.Take(ctx, a.Question, r.now())
	if err != nil {
		return question{}, nil, fmt.Errorf("take question: %w", err)
	}
	var q question
	if err := json.Unmarshal(kept, &q); err != nil {
		return question{}, nil, errors.New("take question: what was kept is no question")
	}
	if subtle.ConstantTimeCompare([]byte(q.Purpose), []byte(want.Purpose))&
		subtle.ConstantTimeCompare([]byte(q.ID), []byte(want.ID))&
		subtle.ConstantTimeCompare([]byte(q.Browser), []byte(want.Browser))&
		subtle.ConstantTimeCompare([]byte(q.Subject), []byte(want.Subject)) != 1 {
		return question{}, nil, authenticators.ErrAnswer
	}
	return q, a.Credential, nil
}

// look is the look at an answer that comes before anybody's key is looked for:
// was it given to a page of ours, on its own, and did the key verify its
// person, this time? The library compares origins by scheme and host; a
// browser spells them in one way, so we compare them to the letter.
func (r *Room) look(client protocol.CollectedClientData, flags protocol.AuthenticatorFlags) error {
	if !slices.Contains(r.origins, client.Origin) || client.CrossOrigin || client.TopOrigin != "" {
		return ErrOrigin
	}
	if !flags.HasUserVerified() {
		return ErrUnverified
	}
	return nil
}

// random returns 256 random bits.
func (r *Room) random() ([]byte, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(r.rand, b); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	return b, nil
}
