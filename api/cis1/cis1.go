// Package cis1 answers the agents and applications of the old service (CIS1) as
// that service did: its gateway in XML, its role assertions in SAML 1.1, and its
// session manager in lines of text.
//
// It parses and writes; what a session of the old service is worth is decided in
// package idp/cis1, and a card is judged by a smartcard.Gateway. No cookie is
// looked at and no page is shown: whoever shows an SSO token is who it is of. That
// is how the old service was; so each part has a switch of its own, and the paths
// of a part that is off are not there.
package cis1

import (
	"context"
	"crypto"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/authenticators/smartcard"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/cis1"
	"github.com/lanyard-id/lanyard/web"
)

// Where agents and applications of the old service call.
const (
	activatePath  = "/login/authactivate"
	validatePath  = "/login/authvalidate"
	logoutPath    = "/login/authlogout"
	rolePath      = "/saml/RoleSelectionGP.jsp"
	assertionPath = "/saml/RoleAssertion"
	updatePath    = "/sessionmanager/session/update"
	validPath     = "/identity/isTokenValid"
	attributePath = "/identity/attributes"
	endPath       = "/identity/logout"

	// ProofPath is where agents of ours get proofs of sessions for desk-auth/1.
	// The old service had none.
	ProofPath = "/login/deskproof"
)

// addressHeader says what the bridge calls itself, to whoever looks whether it is
// there. What cards sign here has to name it.
const addressHeader = "Lanyard-Bridge"

// Cards is the door of a smartcard.Gateway.
type Cards interface {
	// Ask returns what the card at a desk is to sign.
	Ask(ctx context.Context, d smartcard.GatewayDesk) (smartcard.GatewayQuestion, error)

	// Judge returns what an answer proves. Its question is used up whatever the
	// outcome.
	Judge(ctx context.Context, d smartcard.GatewayDesk, a smartcard.GatewayAnswer) (authenticators.Evidence, error)
}

var _ Cards = (*smartcard.Gateway)(nil)

// Words says what people are told.
type Words interface {
	// Told returns the status and the message that say err, in the language that
	// the request asks for, and logs it.
	Told(r *http.Request, err error) (status int, m web.Message)
}

// Config is what a Server needs; all of it must be there but where it says so.
type Config struct {
	Gateway, Assertion, SessionManager bool // which parts are answered

	URL      string         // where agents reach these paths, without a slash at its end
	Help     string         // where people go whom an agent cannot help
	Networks []netip.Prefix // from which they are answered; none: from all

	Proof    http.HandlerFunc // gives proofs of sessions to agents of ours; nil: nobody gets any
	Cards    Cards
	Sessions *cis1.Sessions
	Usage    *cis1.Usage // counts who calls what; nil: nobody does
	Off      cis1.Switch // the applications that are not answered any more, and since when
	Words    Words
	Arrivals func(context.Context) time.Duration     // how long who signs in has to wait; 0 if not at all
	Signer   func() (crypto.Signer, time.Time, bool) // signs assertions with RSA, and since when; nil: they are not signed
	Now      func() time.Time
	Log      *slog.Logger
}

// Server answers agents and applications of the old service.
type Server struct {
	Config
	seals seals
}

// New returns a server.
func New(c Config) *Server { return &Server{Config: c} }

// Mount puts what is switched on on r: what judges a card on the second router.
// To who may not come, unknown answers as it does where nothing is, whatever the
// method.
func (s *Server) Mount(plain, card chi.Router, unknown http.HandlerFunc) {
	const post, get = http.MethodPost, http.MethodGet
	on := func(r chi.Router, path string, answer http.HandlerFunc, methods ...string) {
		r.Handle(path, s.near(s.switched(bounded(s.only(methods, answer))), unknown))
	}
	if s.Gateway {
		on(plain, activatePath, s.activate, post)
		on(card, validatePath, s.validate, post)
		on(plain, logoutPath, s.logOut, post)
		on(plain, rolePath, s.chooseRole, get, post) // agents of ours put no token into an address
	}
	if s.Gateway || s.SessionManager {
		on(plain, updatePath, s.update, get, post) // agents are told of it when somebody signs in
	}
	if s.Proof != nil {
		on(plain, ProofPath, s.Proof, post)
	}
	if s.Assertion {
		on(plain, assertionPath, s.assert, get)
	}
	if s.SessionManager {
		for path, answer := range map[string]http.HandlerFunc{validPath: s.isValid, attributePath: s.attributes, endPath: s.end} {
			on(plain, path, answer, get, post)
		}
	}
}

// only answers requests of those methods.
func (s *Server) only(methods []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(methods, r.Method) {
			w.Header().Set("Allow", strings.Join(methods, ", "))
			w.Header().Set(addressHeader, s.URL)
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// near lets in what comes from the networks that are allowed. To all others the
// paths are not there.
func (s *Server) near(next http.Handler, unknown http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		why := ""
		switch {
		case len(s.Networks) == 0:
		case relayed(r):
			why = "a proxy that trusted_proxies does not name brings it, so nobody knows from where"
		case !inside(s.Networks, api.Address(r.Context())):
			why = "the address is of no network that is allowed"
		}
		if why != "" {
			s.Log.WarnContext(r.Context(), "bridge refused", "reason", why)
			unknown(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// relayed says whether a request was brought by somebody whose word for where it
// comes from is not taken. Their own address says nothing of who is behind them.
func relayed(r *http.Request) bool {
	if !slices.ContainsFunc([]string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"}, func(name string) bool { return len(r.Header.Values(name)) > 0 }) {
		return false
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err != nil || at.Addr().Unmap().WithZone("") == api.Address(r.Context()).Unmap().WithZone("")
}

func inside(networks []netip.Prefix, from netip.Addr) bool {
	from = from.Unmap().WithZone("")
	for _, n := range networks {
		if n.Contains(from) {
			return true
		}
	}
	return false
}

// maxBody bounds what an agent may send: a message with a CMS message in it.
const maxBody = 64 << 10

func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		next.ServeHTTP(w, r)
	})
}

// token is the SSO token of a request, by whichever name its application calls
// it. Tokens have a plus in them, and not every application writes that as it
// must stand in a query: a space is taken for one.
func token(values url.Values, names ...string) string {
	for _, name := range names {
		if v := values.Get(name); v != "" {
			return strings.ReplaceAll(v, " ", "+")
		}
	}
	return ""
}

// from is the address of who calls, as text.
func from(r *http.Request) string {
	if a := api.Address(r.Context()); a.IsValid() {
		return a.Unmap().String()
	}
	return ""
}

// here is the address at which the request came in.
func here(r *http.Request) string {
	at, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if at == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(at.String())
	if err != nil {
		return ""
	}
	return host
}

// asDesk is what the session of a desk keeps of it.
func asDesk(d smartcard.GatewayDesk, address string) idp.LegacyDesk {
	return idp.LegacyDesk{Device: d.Device, LogSession: d.LogSession, Address: address, Version: d.Version}
}
