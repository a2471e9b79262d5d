package desk

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/authenticators/smartcard/challenge"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/card"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

// Scheme is that of the links which start a sign-in.
const Scheme = "lanyard-desk"

// returnTime is how long the browser may take to come for the completion code.
const returnTime = 60 * time.Second

// Agent signs people in at this desk.
type Agent struct {
	Services []Service
	Cards    card.Source
	Prompt   prompt.Prompt
	HTTP     *http.Client
	Version  string
	Build    string
	Peer     func(net.Addr) error // says who may come for the completion code
	Now      func() time.Time
}

// Link is what a link says: a handle, and for which service.
type Link struct{ Handle, Alias string }

// ParseLink reads the link that started the agent. Nothing else is in it.
func ParseLink(text string) (Link, error) {
	if len(text) > 2048 {
		return Link{}, errors.New("the link cannot be read")
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != Scheme || strings.TrimSuffix(u.Opaque+u.Host+u.Path, "/") != "start" {
		return Link{}, errors.New("the link cannot be read")
	}
	q := u.Query()
	l := Link{Handle: q.Get("h"), Alias: q.Get("i")}
	if !challenge.IsDigest(l.Handle) || l.Alias == "" || len(q["h"]) != 1 || len(q["i"]) != 1 {
		return Link{}, errors.New("the link cannot be read")
	}
	return l, nil
}

// SignIn answers the question behind a link with the card of whoever sits here.
// It returns when the browser has come for the completion code, or with the
// reason why nobody is signed in, which the page is told too.
func (a Agent) SignIn(ctx context.Context, l Link) error {
	i := slices.IndexFunc(a.Services, func(s Service) bool { return s.Alias == l.Alias })
	if i < 0 {
		return fmt.Errorf("%w: %s", ErrOther, l.Alias)
	}
	service := a.Services[i]
	if err := service.Check(); err != nil {
		return err
	}
	b, err := newBounce(ctx, service.Origin, a.Peer)
	if err != nil {
		return fmt.Errorf("listen for the browser: %w", err)
	}
	defer b.close() //nolint:contextcheck // it ends what it serves, whoever has gone
	r, err := newRun(service, a.HTTP, a.Now)
	if err != nil {
		return err
	}
	if err := r.redeem(ctx, l.Handle, a.self(), a.Build, b.port()); err != nil {
		return err
	}
	b.expect(r.question.Transaction)

	limited, cancel := context.WithTimeout(ctx, r.timeLeft())
	defer cancel()
	jws, certificate, err := a.sign(limited, r)
	if err != nil {
		r.tell(ctx, err)
		return err
	}
	completion, err := r.respond(ctx, jws, certificate.Raw)
	if err != nil {
		return err
	}
	b.lead(service.Origin+donePath, r.question.Transaction, completion)
	select {
	case <-b.done:
		return nil
	case <-time.After(returnTime):
		return errors.New("the browser did not come back")
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a Agent) self() challenge.Agent {
	return challenge.Agent{Name: "lanyard-agent", Version: a.Version, OS: runtime.GOOS}
}

// timeLeft is how long the card and the passcode may take: what the service
// gives, and never longer than its question lives.
func (r *run) timeLeft() time.Duration {
	left := min(time.Duration(r.question.PINTimer)*time.Second, time.Duration(r.question.Expires-r.question.Now)*time.Second)
	return max(left, time.Second)
}

// tell says why there is no signature, in the words of the protocol.
func (r *run) tell(ctx context.Context, why error) {
	state := ""
	switch {
	case errors.Is(why, prompt.ErrCancelled):
		state = "cancelled"
	case errors.Is(why, card.ErrBlocked):
		state = "pin_blocked"
	case errors.Is(why, card.ErrRemoved):
		state = "card_removed"
	case errors.Is(why, card.ErrUnsupported):
		state = "card_unsupported"
	case errors.Is(why, context.DeadlineExceeded):
		state = "timeout"
	default:
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	r.report(ctx, state, nil)
}

// sign has the card of whoever sits here sign the question.
func (a Agent) sign(ctx context.Context, r *run) (jws []byte, certificate *x509.Certificate, err error) {
	c, err := a.Cards.Wait(ctx, func(w card.Waiting) { r.report(ctx, string(w), nil) })
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = c.Close() }() // it has been reset
	about := c.About()
	r.report(ctx, "card_in", nil)
	alg, err := challenge.AlgFor(about.Certificate.PublicKey)
	if err != nil || !slices.Contains(r.question.Algs, alg) {
		return nil, nil, card.ErrUnsupported
	}
	if about.TriesLeft == 0 {
		return nil, nil, card.ErrBlocked
	}

	p := r.question.Payload()
	p.ClientNonce, p.AgentKey, p.Agent, p.Reader, p.PIN = random(32), r.thumb, a.self(), about.Reader, challenge.Host
	p.Card = challenge.Card{GUID: about.GUID, ATR: about.ATR, Serial: challenge.Serial(about.Certificate)}
	q := prompt.Question{Language: r.question.Language, Service: r.service.Alias, Application: r.question.ClientName, Code: r.question.DisplayCode,
		Holder: about.Holder(), TriesLeft: about.TriesLeft, Until: a.Now().Add(r.timeLeft())}
	for {
		r.report(ctx, "pin_prompt", nil)
		passcode, err := a.ask(ctx, c, q)
		if err != nil {
			return nil, nil, err
		}
		err = c.Use(passcode, func(key crypto.Signer) error {
			r.report(ctx, "signing", nil)
			jws, err = challenge.Sign(p, about.Certificate, key)
			return err
		})
		clear(passcode)
		wrong, again := errors.AsType[card.PINError](err)
		if err == nil || !again || wrong.TriesLeft == 0 {
			return jws, about.Certificate, err
		}
		r.report(ctx, "pin_wrong", &wrong.TriesLeft)
		q.Wrong, q.TriesLeft = fmt.Sprintf(prompt.In(q.Language).TriesLeft, wrong.TriesLeft), wrong.TriesLeft
	}
}

// ask asks for the passcode for as long as the card is there.
func (a Agent) ask(ctx context.Context, c card.Card, q prompt.Question) ([]byte, error) {
	asking, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-c.Gone():
			stop(card.ErrRemoved)
		case <-asking.Done():
		}
	}()
	passcode, err := a.Prompt.Ask(asking, q)
	if err != nil && errors.Is(context.Cause(asking), card.ErrRemoved) {
		return nil, card.ErrRemoved
	}
	return passcode, err
}
