// Package desk is the agent's side of desk-auth/1: it redeems a handle, has a
// card sign one question, and gives the completion code to the browser at this
// desk alone.
//
// It keeps nothing but, where settings say so, what package gateway holds of the
// old service. Each sign-in is one run with a key of its own, or where something
// may be held with the key that goes with that, and what the
// service answers counts only where it is what this computer's settings say.
package desk

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
)

// Service is a sign-in service that this computer's settings know. Nothing of
// it is taken from a link or from an answer.
type Service struct {
	Alias  string // as links call it
	Issuer string // to the letter
	Origin string // of its pages, and of what the agent calls
	Bridge string // of its bridge to the old service; empty: none is used
}

// Check says what is wrong with s: its calls carry what signs people in.
func (s Service) Check() error {
	issuer, err1 := url.Parse(s.Issuer)
	origin, err2 := url.Parse(s.Origin)
	if err1 != nil || err2 != nil || origin.Host == "" || origin.Scheme+"://"+origin.Host != s.Origin || issuer.Host == "" {
		return fmt.Errorf("service %s: its issuer or origin is no address", s.Alias)
	}
	if origin.Scheme != "https" && (origin.Scheme != "http" || !isLoopback(issuer.Hostname()) || !isLoopback(origin.Hostname())) {
		return fmt.Errorf("service %s: it must be reached by https", s.Alias)
	}
	if s.Bridge == "" {
		return nil
	}
	bridge, err := url.Parse(s.Bridge)
	if err != nil || bridge.Host == "" || bridge.Scheme+"://"+bridge.Host != s.Bridge {
		return fmt.Errorf("service %s: its bridge is no address", s.Alias)
	}
	if bridge.Scheme != "https" && (bridge.Scheme != "http" || !isLoopback(issuer.Hostname()) || !isLoopback(bridge.Hostname())) {
		return fmt.Errorf("service %s: its bridge must be reached by https", s.Alias)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// What the service says to a call that it does not take.
var (
	// ErrGone says that the link was used already or is too old.
	ErrGone = errors.New("the link that started this was used already, or is too old")

	// ErrUnreachable says that the service did not answer.
	ErrUnreachable = errors.New("the sign-in service does not answer")

	// ErrOther says that the service is another than the settings name.
	ErrOther = errors.New("the question is not of the service that this computer knows")

	// ErrOver says that the service hears no more of this sign-in: it ended at
	// the page, or is another agent's.
	ErrOver = errors.New("the sign-in has ended at the service")
)

// Refused is a refusal in words that the service has for people.
type Refused struct {
	Code     string // of the message catalogue
	Words    string
	Language string // of the words; empty if the service does not say
}

// Error returns the words.
func (r Refused) Error() string { return r.Words }

// maxAnswer bounds what the service may answer.
const maxAnswer = 64 << 10

// run is one sign-in's conversation with the service.
type run struct {
	service  Service
	http     *http.Client
	key      *ecdsa.PrivateKey
	thumb    string
	proofs   jose.Signer
	question challenge.Question
	now      func() time.Time
	ahead    time.Duration // the service's clock, of ours
}

// newRun makes a key for one sign-in, if it is given none.
func newRun(s Service, key *ecdsa.PrivateKey, client *http.Client, now func() time.Time) (*run, error) {
	var err error
	if key == nil {
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, fmt.Errorf("make key: %w", err)
		}
	}
	r := &run{service: s, http: client, key: key, now: now}
	if r.thumb, err = challenge.KeyThumbprint(&key.PublicKey); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	r.proofs, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	return r, err
}

// redeem shows the handle, once, and learns the question.
func (r *run) redeem(ctx context.Context, handle string, self challenge.Agent, build string, port int) error {
	body, err := r.call(ctx, "/desk/v1/redeem", false, map[string]any{
		"h": handle, "port": port, "epk": jose.JSONWebKey{Key: &r.key.PublicKey},
		"agent": map[string]string{"name": self.Name, "version": self.Version, "os": self.OS, "build": build},
	})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, &r.question); err != nil {
		return errors.New("the service's question cannot be read")
	}
	q := r.question
	if q.Issuer != r.service.Issuer || q.Origin != r.service.Origin || q.DoneURL != r.service.Origin+donePath || q.Act != challenge.Login {
		return ErrOther
	}
	if !answerable(q) {
		return errors.New("the service's question cannot be read")
	}
	r.ahead = time.Unix(q.Now, 0).Sub(r.now())
	return nil
}

// answerable says whether a card could sign the answer to q. Nobody is asked for
// a passcode in vain.
func answerable(q challenge.Question) bool {
	return challenge.IsText(q.Transaction) && challenge.IsText(q.ClientID) && challenge.IsDigest(q.ServerNonce) && challenge.IsDigest(q.Browser) && q.Expires > q.Now
}

// donePath is where the browser takes the completion code.
const donePath = "/desk/v1/done"

// report tells what happens at the desk, and returns what the page says of it.
func (r *run) report(ctx context.Context, now report) (said, error) {
	body, err := r.call(ctx, "/desk/v1/progress", true, now)
	if err != nil {
		return said{}, err
	}
	var words said
	if len(body) > 0 && json.Unmarshal(body, &words) != nil {
		return said{}, errors.New("the service's words cannot be read")
	}
	return words, nil
}

// response answers the question: what the card signed, or in its place a proof
// that its session at the old gateway lives.
type response struct {
	JWS   string   `json:"jws,omitempty"`
	X5C   [][]byte `json:"x5c,omitempty"`
	Proof string   `json:"proof,omitempty"`
}

// respond sends the answer and returns the completion code.
func (r *run) respond(ctx context.Context, a response) (string, error) {
	body, err := r.call(ctx, "/desk/v1/response", true, a)
	if err != nil {
		return "", err
	}
	var answer struct {
		Code string `json:"cc"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Code == "" {
		return "", errors.New("the service's answer cannot be read")
	}
	return answer.Code, nil
}

// call posts JSON to the service and returns what a good answer says. Calls
// after redeem carry a proof of this run's key.
func (r *run) call(ctx context.Context, path string, proven bool, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.service.Origin+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if proven {
		proof, err := r.proof(r.service.Origin + path)
		if err != nil {
			return nil, err
		}
		req.Header["DPoP"] = []string{proof} // as RFC 9449 spells it
	}
	resp, err := r.http.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return answer, nil
	}
	return nil, refusal(resp, answer)
}

// refusal says what an answer means that is not good.
func refusal(resp *http.Response, body []byte) error {
	words := problem(resp, body)
	switch {
	case resp.StatusCode == http.StatusGone:
		return ErrGone
	case resp.StatusCode == http.StatusUnauthorized:
		return ErrOver
	case resp.StatusCode >= 500: // of a server, or of what stands before it
		return fmt.Errorf("%w: %w", ErrUnreachable, words)
	default:
		return words
	}
}

// maxWords bounds what of a refusal is shown.
const maxWords = 1000

// problem reads the words of a refusal (RFC 9457).
func problem(resp *http.Response, body []byte) error {
	var p struct {
		Detail string `json:"detail"`
		Code   string `json:"code"`
	}
	if json.Unmarshal(body, &p) != nil || p.Detail == "" || len(p.Detail) > maxWords {
		return fmt.Errorf("the service answered with status %d", resp.StatusCode)
	}
	return Refused{Code: p.Code, Words: p.Detail, Language: resp.Header.Get("Content-Language")}
}

// proof makes an RFC 9449 proof for one call, tied to the question. Its time is
// the service's: a desk's own clock may be wrong.
func (r *run) proof(uri string) (string, error) {
	payload, err := json.Marshal(map[string]any{
		"jti": random(16), "htm": http.MethodPost, "htu": uri,
		"iat": r.now().Add(r.ahead).Unix(), "tx": r.question.Transaction,
	})
	if err != nil {
		return "", err
	}
	jws, err := r.proofs.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign proof: %w", err)
	}
	return jws.CompactSerialize()
}

// random returns n random bytes, base64url.
func random(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: crypto/rand
	return base64.RawURLEncoding.EncodeToString(b)
}

// NewClient returns what the agent calls services with. It follows no redirect:
// nothing may be sent where the settings do not say.
func NewClient() *http.Client {
	return &http.Client{
		Timeout:       callTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, MaxIdleConns: 2, IdleConnTimeout: time.Minute,
			TLSHandshakeTimeout: callTime},
	}
}
