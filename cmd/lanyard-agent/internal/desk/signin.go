package desk

import (
	"context"
	"crypto/ecdsa"
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
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/gateway"
	"github.com/lanyard-id/lanyard/cmd/lanyard-agent/internal/prompt"
)

// Scheme is that of the links which start a sign-in.
const Scheme = "lanyard-desk"

// Agent signs people in at this desk.
type Agent struct {
	Services []Service
	Cards    card.Source
	Prompt   prompt.Prompt
	HTTP     *http.Client
	Version  string
	Build    string
	Language string        // in which is spoken until the service says
	PINTimer time.Duration // how long card and passcode may take; 0: as long as the service says
	Now      func() time.Time

	// Gateway is that of the bridge to the old service, for services that have
	// one; nil: none is used.
	Gateway *gateway.Gateway

	// Follow is told of each link that comes to the desk. What it returns is told
	// what came of it, before the person is. It may be nil.
	Follow func(Link) func(error)

	// Peer says who may come for the completion code, by the two ends of their
	// connection.
	Peer func(peer, here net.Addr) error
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

// How a sign-in can end beside what cards, prompts and services say.
var (
	// ErrStopped says that the agent was told to stop.
	ErrStopped = errors.New("the agent was told to stop")

	// ErrTimeout says that card and passcode took too long.
	ErrTimeout = errors.New("the card or its passcode took too long")

	// ErrBusy says that another sign-in is under way at this desk.
	ErrBusy = errors.New("another sign-in is under way at this desk")

	// ErrAlone says that the browser did not come for the completion code.
	ErrAlone = errors.New("the browser did not come back")
)

// Ended says why nobody was signed in.
type Ended struct {
	Language string
	Words    string // for the person; empty where they know
	Err      error
}

// Error returns the reason.
func (e Ended) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e Ended) Unwrap() error { return e.Err }

// SignIn answers the question behind a link with the card of whoever sits here.
// It returns when the browser has come for the completion code, or with Ended,
// which the page is told too.
func (a Agent) SignIn(ctx context.Context, l Link) error {
	_, err := a.signIn(ctx, l)
	return err
}

// entered is a sign-in at which nobody was asked for anything: a session of the
// old service answered.
type entered struct{ language, words string }

func (a Agent) signIn(ctx context.Context, l Link) (entered, error) {
	r, b, err := a.begin(ctx, l)
	if err != nil {
		return entered{}, a.ended(r, "", err)
	}
	defer b.close() //nolint:contextcheck // it ends what it serves, whoever has gone

	within, end := context.WithCancelCause(ctx)
	defer end(nil)
	s := &signIn{agent: a, r: r, pulse: newPulse(within, r, end), screen: screen{prompt: a.Prompt, language: r.question.Language}}
	defer s.pulse.stop()
	defer s.screen.clear()
	if err := s.run(within, b); err != nil {
		err = because(within, err)
		s.screen.clear()
		words := ""
		if last, told := lastOf(err); told {
			words = s.pulse.finish(ctx, last)
		}
		return entered{}, a.ended(r, words, err)
	}
	return s.without(), nil
}

// without is what the person is told who was not asked for their card; zero if
// they were.
func (s *signIn) without() entered {
	if s.entered == "" {
		return entered{}
	}
	q := s.question()
	to := q.Application
	if to == "" {
		to = q.Service
	}
	const most = 120
	return entered{q.Language, fmt.Sprintf(prompt.In(q.Language).Entered, prompt.Line(to, most), prompt.Line(s.entered, most))}
}

// Refuse tells the page behind a link that this desk signs in somebody already.
func (a Agent) Refuse(ctx context.Context, l Link) error {
	r, b, err := a.begin(ctx, l)
	if err != nil {
		return err
	}
	b.close() //nolint:contextcheck // nobody comes
	ctx, cancel := context.WithTimeout(ctx, lastTime)
	defer cancel()
	_, err = r.report(ctx, report{State: agentBusy})
	return err
}

// begin redeems a link, and waits for the browser from then on. Once it has
// begun the agent is not stopped in the middle: a question that nobody knows of
// could be refused by nobody.
func (a Agent) begin(ctx context.Context, l Link) (*run, *bounce, error) {
	if ctx.Err() != nil {
		return nil, nil, ErrStopped
	}
	i := slices.IndexFunc(a.Services, func(s Service) bool { return s.Alias == l.Alias })
	if i < 0 {
		return nil, nil, fmt.Errorf("%w: %s", ErrOther, l.Alias)
	}
	service := a.Services[i]
	if err := service.Check(); err != nil {
		return nil, nil, err
	}
	r, err := newRun(service, a.key(service.Bridge), a.HTTP, a.Now)
	if err != nil {
		return nil, nil, err
	}
	b, err := newBounce(ctx, service.Origin, a.Peer)
	if err != nil {
		return nil, nil, fmt.Errorf("listen for the browser: %w", err)
	}
	if err := r.redeem(context.WithoutCancel(ctx), l.Handle, a.self(), a.Build, b.port()); err != nil {
		b.close() //nolint:contextcheck // nobody comes
		return nil, nil, err
	}
	b.expect(r.question.Transaction)
	return r, b, nil
}

// key is what a sign-in at a service with that bridge proves: what is held of the
// old service is shown with no other. nil is one of its own.
func (a Agent) key(bridge string) *ecdsa.PrivateKey {
	if a.Gateway == nil || bridge == "" {
		return nil
	}
	return a.Gateway.Key()
}

func (a Agent) self() challenge.Agent {
	return challenge.Agent{Name: "lanyard-agent", Version: a.Version, OS: runtime.GOOS}
}

// timeLeft is how long the card and the passcode may take: what the service and
// this computer give, and never longer than the question lives.
func (a Agent) timeLeft(q challenge.Question) time.Duration {
	left := min(time.Duration(q.PINTimer)*time.Second, time.Duration(q.Expires-q.Now)*time.Second)
	if a.PINTimer > 0 {
		left = min(left, a.PINTimer)
	}
	return max(left, time.Second)
}

// because returns why a sign-in ended: what ended it as a whole, where there is
// something, and what went wrong last where there is not.
func because(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case cause == nil && errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, ErrUnreachable):
		return ErrTimeout
	case cause == nil:
		return err
	case errors.Is(cause, context.Canceled):
		return ErrStopped
	default:
		return cause
	}
}

// lastOf is the last that the service is told of a sign-in that ended with err,
// if it does not know.
func lastOf(err error) (doing, bool) {
	_, refused := errors.AsType[Refused](err)
	switch {
	case refused, errors.Is(err, ErrOver), errors.Is(err, ErrUnreachable):
		return "", false
	case errors.Is(err, prompt.ErrCancelled):
		return cancelled, true
	case errors.Is(err, card.ErrBlocked):
		return pinBlocked, true
	case errors.Is(err, ErrTimeout):
		return timedOut, true
	default:
		return agentStopped, true
	}
}

// ended says why nobody was signed in, in the service's words where it has some.
func (a Agent) ended(r *run, words string, err error) error {
	language := a.Language
	if r != nil {
		language = r.question.Language
	}
	refused, isRefused := errors.AsType[Refused](err)
	own := prompt.In(language)
	switch {
	case isRefused:
		words = refused.Words
		if refused.Language != "" {
			language = refused.Language
		}
	case errors.Is(err, prompt.ErrCancelled), errors.Is(err, ErrStopped):
		words = ""
	case errors.Is(err, card.ErrBlocked), errors.Is(err, ErrTimeout):
		if words == "" {
			words = own.Over
		}
	case errors.Is(err, ErrUnreachable):
		words = own.Unreachable
	case errors.Is(err, ErrGone):
		words = own.Gone
	case errors.Is(err, ErrOther):
		words = own.Stranded
	case errors.Is(err, ErrOver):
		words = own.Over
	case errors.Is(err, ErrAlone):
		words = own.Alone
	case errors.Is(err, card.ErrNoReaders):
		words = own.NoReaders
	default:
		words = own.Failed
	}
	return Ended{Language: language, Words: words, Err: err}
}
