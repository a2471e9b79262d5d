// Package federated signs people in at their organisation's own OpenID Connect
// provider, the upstream: what CIS2 calls NHS.net Connect.
//
// The room believes what the upstream signed in answer to one question of its
// own, and nothing else. Who somebody is depends on the upstream's subject
// alone, which the person linked to themselves before: an e-mail address is
// whatever the upstream says it is, may be another person's tomorrow, and finds
// nobody. How surely is AAL2 if the upstream's acr or amr prove it, and nothing
// if they do not. The browser carries the upstream's answer to a handler, which
// gives it to Collect or FinishEnrolment; nothing in here knows that handler.
//
// Decision, 2026-11: every request says prompt=login and max_age, and auth_time
// is compared with when the question was asked. At a desk that people share the
// upstream still knows the colleague who sat there before, and select_account
// would let that colleague's session answer with one click. max_age is there
// because it obliges the upstream to send auth_time, without which prompt=login
// is a wish. An upstream that sends none signs nobody in.
package federated

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/lanyard-id/lanyard/authenticators"
)

const (
	questionLife = 300 * time.Second // from Begin to Finish
	clockSkew    = 60 * time.Second  // by which the upstream's clock may differ from ours
)

// Config is what a Room needs. All of it must be there but where it says so.
type Config struct {
	Name         string // what people call the upstream; empty means the host of Issuer
	Issuer       string // https, or http on this computer alone
	ClientID     string // as which we are registered there
	ClientSecret string
	RedirectURI  string   // to where it sends who signs in
	LinkURI      string   // to where it sends who links an account
	Scopes       []string // asked for beside openid; may be empty
	AAL2         Proof    // what proves AAL2; empty means DefaultProof

	HTTP      *http.Client // how the upstream is reached; its answers are bounded here
	Questions authenticators.Questions
	Held      authenticators.Held
	Now       func() time.Time
	Rand      io.Reader // nil means crypto/rand
}

// LogValue hides all of it, for the secret's sake.
func (Config) LogValue() slog.Value { return slog.StringValue("[hidden]") }

// Format hides all of it, however it is printed.
func (Config) Format(out fmt.State, _ rune) { _, _ = io.WriteString(out, "[hidden]") }

// Proof is what an ID token must say for AAL2: one of these acr values, or one
// of these amr values. What acr values mean is up to each upstream, so those
// that are named here are asked for.
type Proof struct {
	ACR, AMR []string
}

// DefaultProof is mfa among the amr values, which RFC 8176 §2 gives one meaning
// everywhere: more than one factor was used.
func DefaultProof() Proof { return Proof{AMR: []string{"mfa"}} }

// met says whether what an ID token says is enough.
func (p Proof) met(acr string, amr []string) bool {
	return acr != "" && slices.Contains(p.ACR, acr) ||
		slices.ContainsFunc(amr, func(v string) bool { return slices.Contains(p.AMR, v) })
}

// Why people are refused. authenticators.ErrAnswer covers what does not fit the
// question, and authenticators.ErrSuspended an account that was stopped here.
const (
	// ErrCancelled says that the person turned back at the upstream.
	ErrCancelled authenticators.Refusal = "the person stopped at their organisation's sign-in"
	// ErrDeclined says that the upstream did not sign the person in.
	ErrDeclined authenticators.Refusal = "the organisation's provider did not sign the person in"
	// ErrUnproven says that the upstream's ID token is not good.
	ErrUnproven authenticators.Refusal = "the organisation's provider sent an ID token that is not valid"
	// ErrStale says that nobody signed in for this question.
	ErrStale authenticators.Refusal = "the organisation's provider does not say that the person signed in just now"
	// ErrWeak says that a password alone, or less, was used.
	ErrWeak authenticators.Refusal = "the organisation's provider does not say that more than a password was used"
	// ErrUnlinked says that the account is nobody's here.
	ErrUnlinked authenticators.Refusal = "the account at the organisation's provider is linked to nobody here"
)

// ErrUnreachable says that the upstream does not answer, or nothing that can be
// used. It is no refusal: the person may try again, or sign in another way.
var ErrUnreachable = errors.New("the organisation's sign-in does not answer")

// Room signs people in at one upstream, and links their accounts there. It is
// safe for concurrent use.
type Room struct {
	Config
	upstream *upstream
}

var (
	_ authenticators.Room     = (*Room)(nil)
	_ authenticators.Enroller = (*Room)(nil)
)

// New returns a room, or an error that names what c lacks. The upstream is not
// asked before somebody wants to sign in, so that a server starts without it.
func New(c Config) (*Room, error) {
	switch {
	case c.ClientID == "" || c.ClientSecret == "":
		return nil, errors.New("federated room: no client ID or secret")
	case c.HTTP == nil || c.Questions == nil || c.Held == nil || c.Now == nil:
		return nil, errors.New("federated room: no HTTP client, questions, held or clock")
	}
	issuer, err := url.Parse(c.Issuer)
	if err != nil || !safe(c.Issuer) || issuer.RawQuery != "" || strings.ContainsAny(c.Issuer, " #?") {
		return nil, errors.New("federated room: the issuer is no https address")
	}
	if !safe(c.RedirectURI) || !safe(c.LinkURI) || c.RedirectURI == c.LinkURI {
		return nil, errors.New("federated room: the two redirect URIs are not two https addresses")
	}
	if c.Name == "" {
		c.Name = issuer.Hostname()
	}
	if len(c.AAL2.ACR) == 0 && len(c.AAL2.AMR) == 0 {
		c.AAL2 = DefaultProof()
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	c.Scopes = slices.DeleteFunc(slices.Clone(c.Scopes), func(s string) bool { return s == oidc.ScopeOpenID })
	return &Room{Config: c, upstream: newUpstream(c.Issuer, c.HTTP, c.Now)}, nil
}

// safe says whether nobody on the way can read what is sent to address: https,
// or http to this computer.
func safe(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}
