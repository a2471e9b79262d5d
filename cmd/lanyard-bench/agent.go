package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/authenticators/smartcard/virtualcard"
)

// agent is the desk agent of one sign-in, with a card in software. It does by
// HTTP all that a real one does, and keeps nothing afterwards.
type agent struct {
	site     *site
	card     *virtualcard.Card
	passcode string

	key        *ecdsa.PrivateKey // of this run; thumbprint is its name
	thumbprint string
	proofs     jose.Signer // by key
	question   challenge.Question
}

// What the agent says of itself.
var self = challenge.Agent{Name: "lanyard-bench", Version: "1.0.0", OS: "linux"}

// donePort is where a browser would come back to. Nothing listens there: the
// person of this rig carries the completion code themselves.
const donePort = 49152

func newAgent(s *site, card *virtualcard.Card, passcode string) (*agent, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make agent's key: %w", err)
	}
	a := &agent{site: s, card: card, passcode: passcode, key: key}
	if a.thumbprint, err = challenge.KeyThumbprint(&key.PublicKey); err != nil {
		return nil, err
	}
	a.proofs, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key},
		(&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt"))
	return a, err
}

// redeem shows the handle that the page's link carried.
func (a *agent) redeem(ctx context.Context, handle string) (answer, error) {
	body, err := json.Marshal(map[string]any{
		"h": handle, "agent": self, "port": donePort,
		"epk": jose.JSONWebKey{Key: &a.key.PublicKey},
	})
	if err != nil {
		return answer{}, err
	}
	got, err := a.site.ask(ctx, http.MethodPost, "/desk/v1/redeem", asJSON(), string(body))
	if err != nil || got.status != http.StatusOK {
		return got, err
	}
	if err := json.Unmarshal(got.body, &a.question); err != nil {
		return got, fmt.Errorf("read question: %w", err)
	}
	return got, nil
}

// sign has the card answer the question.
func (a *agent) sign() (jws []byte, err error) {
	p := a.question.Payload()
	nonce := make([]byte, 32)
	rand.Read(nonce) // never fails: crypto/rand ends the program instead
	p.ClientNonce, p.AgentKey = base64.RawURLEncoding.EncodeToString(nonce), a.thumbprint
	p.Agent, p.Reader, p.PIN = self, "Virtual reader", challenge.Host
	certificate := a.card.Certificate()
	p.Card = challenge.Card{GUID: a.card.GUID(), ATR: a.card.ATR(), Serial: challenge.Serial(certificate)}
	err = a.card.Use(a.passcode, func(key crypto.Signer) error {
		jws, err = challenge.Sign(p, certificate, key)
		return err
	})
	return jws, err
}

// respond sends the signed message. The answer carries the completion code.
func (a *agent) respond(ctx context.Context, jws []byte) (answer, error) {
	proof, err := a.proof(http.MethodPost, "/desk/v1/response")
	if err != nil {
		return answer{}, err
	}
	body, err := json.Marshal(map[string]any{
		"jws": string(jws),
		"x5c": []string{base64.StdEncoding.EncodeToString(a.card.Certificate().Raw)},
	})
	if err != nil {
		return answer{}, err
	}
	header := asJSON()
	header["DPoP"] = []string{proof} // the name as RFC 9449 spells it
	return a.site.ask(ctx, http.MethodPost, "/desk/v1/response", header, string(body))
}

// proof makes an RFC 9449 proof for one request, tied to the question.
func (a *agent) proof(method, path string) (string, error) {
	id := make([]byte, 16)
	rand.Read(id)
	payload, err := json.Marshal(map[string]any{
		"jti": base64.RawURLEncoding.EncodeToString(id), "htm": method, "iat": time.Now().Unix(),
		"htu": a.site.issuer.Scheme + "://" + a.site.issuer.Host + path,
		"tx":  a.question.Transaction,
	})
	if err != nil {
		return "", err
	}
	jws, err := a.proofs.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign proof: %w", err)
	}
	return jws.CompactSerialize()
}

// completion reads the code that the answer to a signature carries.
func completion(a answer) (string, error) {
	var said struct {
		Code string `json:"cc"`
	}
	if a.status != http.StatusOK {
		return "", problem("send the card's signature", a)
	}
	if err := json.Unmarshal(a.body, &said); err != nil || said.Code == "" {
		return "", errors.New("the answer to the card's signature has no completion code")
	}
	return said.Code, nil
}

// handleIn returns the handle in the link that starts a desk agent.
func handleIn(link string) (string, error) {
	u, err := url.Parse(link)
	if err != nil {
		return "", fmt.Errorf("read the agent's link: %w", err)
	}
	if handle := u.Query().Get("h"); handle != "" {
		return handle, nil
	}
	return "", errors.New("the page has no link that starts a desk agent")
}

func asJSON() http.Header { return http.Header{"Content-Type": []string{"application/json"}} }
