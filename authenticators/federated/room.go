package federated

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/lanyard-id/lanyard/authenticators"
)

// purpose is what a question is for: an answer to one is none to the other.
type purpose string

const (
	signIn purpose = "sign-in"
	link   purpose = "link"
)

// question is what is kept until the browser comes back.
type question struct {
	For      purpose              `json:"for"`
	Login    authenticators.Login `json:"login"`             // for link, ID and Browser alone
	Subject  string               `json:"subject,omitempty"` // for link: who is signed in
	Nonce    string               `json:"nonce"`
	Verifier string               `json:"verifier"` // RFC 7636 §4.1
	Asked    time.Time            `json:"asked"`
}

// asked is what the browser is given.
type asked struct {
	Question string `json:"question"` // names it; the upstream knows it as state
	URL      string `json:"url"`      // where to send the browser
}

// Begin returns {question, url}: the browser is to go to url, at the upstream.
func (r *Room) Begin(ctx context.Context, login authenticators.Login) (json.RawMessage, error) {
	if login.ID == "" || login.Browser == "" {
		return nil, errors.New("begin: the login has no ID or no browser")
	}
	return r.ask(ctx, question{For: signIn, Login: login})
}

// ask keeps q and returns where the browser is to go with it.
func (r *Room) ask(ctx context.Context, q question) (json.RawMessage, error) {
	var random [3]string
	for i := range random {
		var b [32]byte
		if _, err := io.ReadFull(r.Rand, b[:]); err != nil {
			return nil, fmt.Errorf("read random bytes: %w", err)
		}
		random[i] = base64.RawURLEncoding.EncodeToString(b[:])
	}
	name := random[0]
	q.Nonce, q.Verifier, q.Asked = random[1], random[2], r.Now().UTC()

	m, err := r.upstream.metadata(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	kept, err := json.Marshal(q)
	if err != nil {
		return nil, fmt.Errorf("write question: %w", err)
	}
	if err := r.Questions.Ask(ctx, name, kept, q.Asked.Add(questionLife)); err != nil {
		return nil, fmt.Errorf("keep question: %w", err)
	}
	options := []oauth2.AuthCodeOption{
		oidc.Nonce(q.Nonce),
		oauth2.S256ChallengeOption(q.Verifier),
		oauth2.SetAuthURLParam("prompt", "login"),
		oauth2.SetAuthURLParam("max_age", strconv.Itoa(int(questionLife.Seconds()))),
	}
	if len(r.AAL2.ACR) > 0 {
		options = append(options, oauth2.SetAuthURLParam("acr_values", strings.Join(r.AAL2.ACR, " ")))
	}
	return json.Marshal(asked{name, r.client(m, q.For).AuthCodeURL(name, options...)})
}

// client is this room as the OAuth library knows it.
func (r *Room) client(m *metadata, why purpose) *oauth2.Config {
	back := r.RedirectURI
	if why == link {
		back = r.LinkURI
	}
	return &oauth2.Config{
		ClientID: r.ClientID, ClientSecret: r.ClientSecret, Endpoint: m.endpoint, RedirectURL: back,
		Scopes: append([]string{oidc.ScopeOpenID}, r.Scopes...),
	}
}

// Finish takes {state, code, iss} or {state, error, iss}, as the upstream gave
// them to the browser, and returns who signed in there.
func (r *Room) Finish(ctx context.Context, login authenticators.Login, raw json.RawMessage) (authenticators.Evidence, error) {
	_, e, err := r.Collect(ctx, raw, func(l authenticators.Login) error { return same(l.ID, login.ID, l.Browser, login.Browser) })
	return e, err
}

// Collect is Finish for who comes back from the upstream and has still to find
// the login: it returns that too. right judges whether it is the caller's; if it
// says no, its error is returned, nothing is asked of the upstream, and the
// question has ended all the same. A refusal comes with the login that the
// question was of, if there was one.
func (r *Room) Collect(ctx context.Context, raw json.RawMessage, right func(authenticators.Login) error) (authenticators.Login, authenticators.Evidence, error) {
	a, q, err := r.take(ctx, signIn, raw)
	if err == nil {
		err = right(q.Login)
	}
	if err != nil {
		return q.Login, authenticators.Evidence{}, fmt.Errorf("finish at the organisation: %w", err)
	}
	e, err := r.evidence(ctx, a, q)
	if err != nil {
		return q.Login, authenticators.Evidence{}, fmt.Errorf("finish at the organisation: %w", err)
	}
	return q.Login, e, nil
}

// take reads an answer and ends its question, whatever comes of the answer.
func (r *Room) take(ctx context.Context, why purpose, raw json.RawMessage) (answer, question, error) {
	a, err := parse(raw)
	if err != nil {
		return answer{}, question{}, err
	}
	kept, err := r.Questions.Take(ctx, a.State, r.Now())
	if err != nil {
		return answer{}, question{}, fmt.Errorf("take question: %w", err)
	}
	var q question
	if err := json.Unmarshal(kept, &q); err != nil {
		return answer{}, question{}, errors.New("take question: it cannot be read") // the decoder's text would repeat what is kept
	}
	if q.For != why {
		return answer{}, question{}, authenticators.ErrAnswer
	}
	if !r.Now().Before(q.Asked.Add(questionLife)) { // whatever the store thinks
		return answer{}, q, authenticators.ErrAnswer
	}
	return a, q, nil
}

// evidence is what an answer to q proves about somebody who is known here.
func (r *Room) evidence(ctx context.Context, a answer, q question) (authenticators.Evidence, error) {
	p, err := r.prove(ctx, a, q)
	if err != nil {
		return authenticators.Evidence{}, err
	}
	held, err := r.Held.ByHandle(ctx, authenticators.FederatedKind, r.handle(p.sub))
	switch {
	case errors.Is(err, authenticators.ErrNotHeld):
		return authenticators.Evidence{}, ErrUnlinked
	case err != nil:
		return authenticators.Evidence{}, fmt.Errorf("find who holds the account: %w", err)
	case held.State != authenticators.Active:
		return authenticators.Evidence{}, authenticators.ErrSuspended
	}
	once := sha256.Sum256([]byte(a.State))
	return authenticators.Evidence{
		Subject:       held.Subject,
		Method:        authenticators.Federated,
		Level:         min(held.Level, authenticators.AAL2),
		At:            p.at,
		Authenticator: held.Called(),
		Once:          base64.RawURLEncoding.EncodeToString(once[:]),
		Use:           &authenticators.Use{ID: held.ID},
	}, nil
}

// handle is by what an account is found: its subject at this upstream. Nothing
// in an issuer is a space, so no two accounts have one handle.
func (r *Room) handle(sub string) string { return r.Issuer + " " + sub }

// same compares pairs of what a question was bound to with what came.
func same(pairs ...string) error {
	equal := 1
	for i := 0; i+1 < len(pairs); i += 2 {
		equal &= subtle.ConstantTimeCompare([]byte(pairs[i]), []byte(pairs[i+1]))
	}
	if equal != 1 {
		return authenticators.ErrAnswer
	}
	return nil
}
