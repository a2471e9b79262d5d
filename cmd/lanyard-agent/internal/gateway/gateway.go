// Package gateway is the agent's side of the bridge to the old service: while
// somebody shows their card at this desk it signs them in at the bridge's gateway
// too, as the old agents did, and holds the SSO token for them.
//
// The token is in this process alone, for the person whose desktop session this
// is, and goes to the bridge and nowhere else. With it goes a key of this process,
// which the card signs when it opens the session: for sign-ins at the service the
// token alone is worth nothing. It is given up when its card is
// taken out, when another person's card is shown, when the person signs out, when
// the agent ends, and when it has lived as long as the gateway gave it.
package gateway

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
)

// Where the bridge answers. Nothing of it is taken from an answer.
const (
	activatePath = "/login/authactivate"
	validatePath = "/login/authvalidate"
	logoutPath   = "/login/authlogout"
	rolePath     = "/saml/RoleSelectionGP.jsp"
	proofPath    = "/login/deskproof"
)

// callTime is the longest call. Nobody waits longer for the old world than for
// the new.
const callTime = 4 * time.Second

// A sign-in waits for a call for so long at most, unless its Config says otherwise,
// and where the bridge was silent none waits for it again for a while.
const (
	askTime   = 1500 * time.Millisecond
	quietTime = time.Minute
)

// Config is what a Gateway needs; all of it must be there but where it says so.
type Config struct {
	Base     string // of the bridge, as https://gas.hospital.example
	HTTP     *http.Client
	Version  string // of the agent
	Now      func() time.Time
	Patience time.Duration // how long a sign-in waits for a call; 0: 1.5 seconds
}

// Gateway is the bridge's gateway, as this desk sees it.
type Gateway struct {
	c      Config
	device string
	key    *ecdsa.PrivateKey
	work   sync.WaitGroup

	mu     sync.Mutex
	held   []held // the newest last: all of one person
	closed bool
	quiet  time.Time // until when a bridge that was silent is not asked
}

// held is a session of the old service.
type held struct {
	ticket, log, uid string
	since, ends      time.Time
	card             Card
	spent            bool               // the bridge says that nobody enters by it any more: it waits for its end
	forget           context.CancelFunc // stops looking out for its card
}

// mostHeld bounds how many sessions one person holds. The card opens one each time
// that it is shown, which is every quarter of an hour at least, and a session lives
// for hours where old applications keep it alive. The one too many ends with the
// browsers that came of it, so there must be room for those that somebody works in.
const mostHeld = 16

// New returns the gateway of a bridge.
func New(c Config) *Gateway {
	name, err := os.Hostname()
	if err != nil {
		name = ""
	}
	if name = regexp.MustCompile(`[^A-Za-z0-9._-]`).ReplaceAllString(name, ""); name == "" {
		name = "desk"
	}
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader) // never fails: crypto/rand
	return &Gateway{c: c, device: name[:min(len(name), 64)], key: key}
}

// Key is that which cards sign here. Who proves what is held proves this key too.
func (g *Gateway) Key() *ecdsa.PrivateKey { return g.key }

// Opening is a session that the card at this desk is about to open.
type Opening struct {
	g                    *Gateway
	log, uid             string
	challenge, signature string
	response             string
	certificate          []byte // of the card, DER
}

var twelveDigits = regexp.MustCompile(`^[0-9]{12}$`)

// holderOf is the uid in a card's certificate; "" if there is none.
func holderOf(c *x509.Certificate) string {
	for _, part := range c.Subject.Names {
		if text, ok := part.Value.(string); ok && twelveDigits.MatchString(text) {
			return text
		}
	}
	return ""
}

// challengeLen is how long a challenge is. Another is not signed.
const challengeLen = 32

// Open asks for a challenge for the card with that certificate. It is nil, with
// the reason, where there is none to be had: the person signs in without.
func (g *Gateway) Open(ctx context.Context, c *x509.Certificate) (*Opening, error) {
	o := &Opening{g: g, log: rand.Text()[:10], uid: holderOf(c)}
	if o.uid == "" {
		return nil, errors.New("the card does not say whose it is")
	}
	var said object
	if err := g.ask(ctx, func(ctx context.Context) (err error) {
		said, err = g.post(ctx, activatePath, o.log, "ACTIVATION")
		return err
	}); err != nil {
		return nil, err
	}
	o.challenge, o.signature = said.get("challenge"), said.get("signature")
	if raw, err := base64.StdEncoding.DecodeString(o.challenge); err != nil || len(raw) != challengeLen || o.signature == "" {
		return nil, errors.New("the bridge's challenge cannot be read")
	}
	return o, nil
}

// ask makes a call that a sign-in waits for.
func (g *Gateway) ask(ctx context.Context, call func(context.Context) error) error {
	if g.isQuiet() {
		return errors.New("the bridge did not answer a moment ago")
	}
	asking, cancel := context.WithTimeout(ctx, cmp.Or(g.c.Patience, askTime))
	defer cancel()
	err := call(asking)
	if err != nil && asking.Err() != nil && ctx.Err() == nil {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.quiet = g.c.Now().Add(quietTime)
	}
	return err
}

func (g *Gateway) isQuiet() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.c.Now().Before(g.quiet)
}

// Meets is told whose card is shown at this desk: what is held for anybody else
// ends, whatever the bridge or the service makes of this card.
func (g *Gateway) Meets(c *x509.Certificate) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || len(g.held) == 0 || g.held[0].uid == holderOf(c) {
		return
	}
	over := g.held
	g.held = nil
	g.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), callTime)
		defer cancel()
		_ = g.leave(ctx, over) // what does not reach the bridge ends by itself
	})
}

// Sign has the card sign the challenge, with the address of the bridge as this
// computer's settings have it and the key of this process.
func (o *Opening) Sign(c *x509.Certificate, key crypto.Signer) error {
	raw, err := base64.StdEncoding.DecodeString(o.challenge)
	if err != nil {
		return err
	}
	thumb, err := challenge.KeyThumbprint(&o.g.key.PublicKey)
	if err != nil {
		return err
	}
	jws, err := challenge.SignOpening(challenge.Opening{Version: challenge.Version, Gateway: o.g.c.Base, Nonce: base64.RawURLEncoding.EncodeToString(raw), AgentKey: thumb}, c, key)
	if err != nil {
		return err
	}
	o.response, o.certificate = string(jws), c.Raw
	return nil
}

// Card is the card that opened a session, as it stands at this desk.
type Card struct {
	Holder string                     // the name on it
	Gone   func(context.Context)      // returns when it was taken out, or its context is done
	Alone  func(context.Context) bool // says whether it is there, and no other card
}

// Finish shows what the card has signed and holds the session that it opened, in
// the background.
func (o *Opening) Finish(c Card) {
	g := o.g
	g.mu.Lock()
	defer g.mu.Unlock()
	if o.response == "" || g.closed {
		return
	}
	g.work.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*callTime)
		defer cancel()
		if err := o.finish(ctx, c); err != nil {
			return // the next card opens one; a refusal is in the service's journal
		}
	})
}

func (o *Opening) finish(ctx context.Context, c Card) error {
	said, err := o.g.post(ctx, validatePath, o.log, "AUTHENTICATION", param{Name: "challenge", Text: o.challenge}, param{Name: "signature", Text: o.signature},
		param{Name: "uid", Text: o.uid}, param{Name: "card_type", Text: "p11"}, param{Name: "response", Encoding: "jws", Text: o.response},
		param{Name: "certificate", Text: base64.StdEncoding.EncodeToString(o.certificate)}, param{Name: "mobility", Text: "0"})
	if err != nil {
		return err
	}
	ticket := said.get("sso_ticket")
	minutes, err := strconv.Atoi(said.get("sso_max_session_time"))
	if err != nil || minutes < 1 || ticket == "" || len(ticket) > 256 {
		return errors.New("the bridge's answer cannot be read")
	}
	if roles := said.roles(); len(roles) == 1 { // of several its person chooses where they work
		form := url.Values{"token": {ticket}, "selectedRoleUid": {roles[0]}, "ssbMode": {"0"}, "fallbackStatus": {"0"}, "gacVersion": {o.g.c.Version}}
		_, _ = o.g.send(ctx, rolePath, "application/x-www-form-urlencoded", []byte(form.Encode())) // no token stands in an address
	}
	watching, forget := context.WithCancel(context.WithoutCancel(ctx))
	now := o.g.c.Now()
	h := held{ticket: ticket, log: o.log, uid: o.uid, since: now, ends: now.Add(time.Duration(min(minutes, 24*60)) * time.Minute), forget: forget, card: c}
	o.g.hold(ctx, h)
	o.g.work.Go(func() {
		c.Gone(watching)
		if watching.Err() == nil {
			end, cancel := context.WithTimeout(context.WithoutCancel(watching), callTime)
			defer cancel()
			_ = o.g.End(end) // what does not reach the bridge ends by itself
		}
	})
	return nil
}

// hold keeps a session. Those of another person end, and so does the oldest where
// there are too many.
func (g *Gateway) hold(ctx context.Context, h held) {
	g.mu.Lock()
	over := []held{}
	if g.closed {
		over = append(over, h)
	} else {
		if len(g.held) > 0 && g.held[0].uid != h.uid {
			over, g.held = g.held, nil
		}
		if g.held = append(g.held, h); len(g.held) > mostHeld {
			over, g.held = append(over, g.held[0]), g.held[1:]
		}
	}
	g.mu.Unlock()
	_ = g.leave(ctx, over) // what does not reach the bridge ends by itself
}

// Holds says whether a session is held that may still live, and a bridge answers
// for it as far as is known.
func (g *Gateway) Holds() bool {
	h := g.newest()
	return h.ticket != "" && !h.spent && !g.isQuiet()
}

// Enters says whose session is held, if one is that may let them in: whose card
// opened it, and is the only one at this desk. Where another lies there too, nobody
// knows whose turn it is.
func (g *Gateway) Enters(ctx context.Context) (holder string, ok bool) {
	h := g.newest()
	if !g.Holds() || h.card.Alone == nil || !h.card.Alone(ctx) {
		return "", false
	}
	return h.card.Holder, true
}

// Standing is how a desk stands with the old service.
type Standing struct {
	Since  time.Time `json:"since,omitzero"`   // when the session that is held was opened; zero: none is
	Silent bool      `json:"silent,omitempty"` // the bridge did not answer a moment ago
}

// Standing says how this desk stands, and nothing of who signed in.
func (g *Gateway) Standing() Standing { return Standing{g.newest().since, g.isQuiet()} }

// newest is the session that is shown; zero if none is held that may still live.
func (g *Gateway) newest() held {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.held) == 0 || !g.c.Now().Before(g.held[len(g.held)-1].ends) {
		return held{}
	}
	return g.held[len(g.held)-1]
}

// Proof returns a one-time proof of the session that is held, for the question
// that dpop makes a proof of possession for. It is "" where there is none to be
// had: then the card is asked for.
func (g *Gateway) Proof(ctx context.Context, dpop func(uri string) (string, error)) string {
	h := g.newest()
	if h.ticket == "" || h.spent {
		return ""
	}
	var answer struct {
		Proof string `json:"proof"`
		Error string `json:"error"`
	}
	err := g.ask(ctx, func(ctx context.Context) error {
		raw, err := g.askProof(ctx, h.ticket, dpop)
		_ = json.Unmarshal(raw, &answer) // what cannot be read says nothing
		return err
	})
	if answer.Error == over {
		g.spend(h.ticket)
	}
	if err != nil || len(answer.Proof) > 256 {
		return ""
	}
	return answer.Proof
}

// over is what the bridge says of a session by which nobody enters any more,
// whatever is asked.
const over = "session_over"

// spend asks no more with a ticket. The session is not ended: what was entered by
// it may go on.
func (g *Gateway) spend(ticket string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.held {
		if g.held[i].ticket == ticket {
			g.held[i].spent = true
		}
	}
}

func (g *Gateway) askProof(ctx context.Context, ticket string, dpop func(uri string) (string, error)) ([]byte, error) {
	at := g.c.Base + proofPath
	proof, err := dpop(at)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]string{"sso_ticket": ticket})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header["DPoP"] = []string{proof} // as RFC 9449 spells it
	return g.do(req)
}

// End gives up all that is held, and has the bridge end it. An error says that it
// did not: then it ends there by itself.
func (g *Gateway) End(ctx context.Context) error {
	g.mu.Lock()
	over := g.held
	g.held = nil
	g.mu.Unlock()
	return g.leave(ctx, over)
}

// Close is End for good.
func (g *Gateway) Close(ctx context.Context) {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	_ = g.End(ctx) // nobody is there to be told
	g.work.Wait()
}

// alreadyOver is what the bridge says of a session that has ended there.
const alreadyOver = "OLD-03"

// leave signs out at the bridge.
func (g *Gateway) leave(ctx context.Context, over []held) error {
	failed := make([]error, len(over))
	var calls sync.WaitGroup
	for i, h := range over {
		h.forget()
		calls.Go(func() {
			said, err := g.post(ctx, logoutPath, h.log, "LOGOUT", param{Name: "sso_ticket", Text: h.ticket}, param{Name: "uid", Text: h.uid})
			if said.get("error_code") != alreadyOver {
				failed[i] = err
			}
		})
	}
	calls.Wait()
	return errors.Join(failed...)
}
