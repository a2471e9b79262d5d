// Package provider fits the rules of idp to zitadel/oidc, and is the only
// importer of that library. It is cut by protocol step: authorize.go, token.go,
// userinfo.go, logout.go, and discovery.go for what clients read first.
//
// The library parses and routes the token requests and owns their types.
// Userinfo is ours, because the library knows no signed one. So are authorize
// and its answer, because the library tells the browser of errors instead of
// the client, binds an answer to no browser, and lets one request have several
// codes. Where the library would be too kind, guard.go stands before it.
// Nothing here decides who may sign in: that is package idp.
package provider

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/lanyard-id/lanyard/idp"
)

// Browser ties a login to the browser that began it, and knows the browser's
// session.
type Browser interface {
	// Bind gives the browser a fresh secret for login id and returns the
	// secret's base64url SHA-256, which the login keeps.
	Bind(w http.ResponseWriter, r *http.Request, id string) string

	// Release takes the secret of login id from the browser.
	Release(w http.ResponseWriter, id string)

	// Session returns the key of the browser's session; "" is none.
	Session(r *http.Request) string

	// SignOut takes the secret of its session from the browser.
	SignOut(w http.ResponseWriter)
}

// Pages are what people see of the protocol.
type Pages interface {
	// Refuse shows why a request cannot be answered to a client.
	Refuse(w http.ResponseWriter, r *http.Request, err error)

	// FormPost shows a page that posts the answer of login l to its client.
	// OAuth 2.0 Form Post Response Mode §2.
	FormPost(w http.ResponseWriter, r *http.Request, l idp.Login, fields url.Values)

	// PostAgain shows a page that posts fields to a path of ours, from where the
	// person may be sent on to leads; "" is nowhere.
	PostAgain(w http.ResponseWriter, r *http.Request, path string, fields url.Values, leads string)
}

// Layout says under which paths the endpoints stand.
type Layout string

// The layouts: our own, and that of CIS2.
const (
	Standard Layout = "standard"
	CIS2     Layout = "cis2"
)

// CIS2Path is the path of the issuer in the CIS2 layout.
const CIS2Path = "/openam/oauth2/realms/root/realms/NHSIdentity/realms/Healthcare"

// endpoints are paths below the issuer.
type endpoints struct{ authorize, token, userinfo, keys, introspect, revoke, endSession string }

var layouts = map[Layout]endpoints{
	Standard: {"/authorize", "/token", "/userinfo", "/jwks", "/introspect", "/revoke", "/end_session"},
	CIS2:     {"/authorize", "/access_token", "/userinfo", "/connect/jwk_uri", "/introspect", "/revoke", "/end_session"},
}

// Config is what a provider is made of.
type Config struct {
	Issuer      string // to the letter, an explicit :443 included
	Layout      Layout
	Logins      *idp.Logins
	Grants      *idp.Grants
	Clients     idp.Clients
	SigningKeys func() *idp.Keys // those of now: asked on the way of every token
	KeysMaxAge  time.Duration    // how long caches may keep the published keys; 0 is a minute
	Browser     Browser
	Pages       Pages
	Languages   []string     // of the pages, as tags in lower case
	Automatic   bool         // people sign in by themselves: even a silent request goes to the pages
	Outside     *http.Client // for the keys of clients: goes nowhere inside our own network
	RequestID   func(context.Context) string
	Counts      Counts
	Log         *slog.Logger

	Limits   idp.Limits                                 // of wrong secrets of clients; nil: none
	Address  func(context.Context) netip.Addr           // where a request comes from
	Arrivals func(context.Context) (wait time.Duration) // counts a login that begins; nil: as many as come
}

// Counts is told what was decided.
type Counts interface {
	// Token is told of a request for tokens by a client that had proved
	// itself.
	Token(grant string, err error)

	// Refused is told the error code that a client is.
	Refused(code string)
}

// Provider answers relying parties.
type Provider struct {
	Config
	op.UnimplementedServer

	path       string // of the issuer, without a slash at its end
	paths      endpoints
	clientKeys clientKeys
	guesses    guesses
	made       atomic.Pointer[signing]
	making     sync.Mutex // is held while another made is made
	proven     proven
}

var _ op.Server = (*Provider)(nil)

// CheckIssuer says whether issuer can be one in that layout, and returns its
// path.
func CheckIssuer(issuer string, layout Layout) (path string, err error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		strings.ContainsAny(issuer, "?#\\ ") || strings.Contains(u.Path, "//") {
		return "", fmt.Errorf("issuer %q is not a plain http or https URL", issuer)
	}
	if _, ok := layouts[layout]; !ok {
		return "", fmt.Errorf("unknown layout %q: standard or cis2", layout)
	}
	if layout == CIS2 && u.Path != CIS2Path {
		return "", fmt.Errorf("issuer of the cis2 layout must end in %s", CIS2Path)
	}
	return u.Path, nil
}

// New returns a provider, or says what is wrong with c.
func New(c Config) (*Provider, error) {
	path, err := CheckIssuer(c.Issuer, c.Layout)
	if err != nil {
		return nil, err
	}
	p := &Provider{Config: c, path: trimSlash(path), paths: layouts[c.Layout], clientKeys: clientKeys{http: c.Outside, now: c.Logins.Now}}
	if p.KeysMaxAge == 0 {
		p.KeysMaxAge = time.Minute
	}
	if _, err := p.signing(); err != nil {
		return nil, err
	}
	return p, nil
}

// Mount puts the endpoints, each behind its guard, where they are let in: those
// that begin a login, those that go on with one or answer a client, and those
// that stand on no store and are always open.
func (p *Provider) Mount(begin, goOn, open chi.Router) {
	library := ownRoute(http.StripPrefix(p.path, op.RegisterServer(p, op.Endpoints{
		Token:         op.NewEndpoint(p.paths.token),
		Introspection: op.NewEndpoint(p.paths.introspect),
		Revocation:    op.NewEndpoint(p.paths.revoke),
	}, op.WithServerCORSOptions(nil))))

	on := func(path string) string { return p.path + path }
	open.With(openToPages, readOnly).Handle(on(oidc.DiscoveryEndpoint), p.serve(metadata, metadataLife))
	open.With(openToPages, readOnly).Handle(on(p.paths.keys), p.serve(publicKeys, p.KeysMaxAge))
	goOn.With(openToPages, noStore, challenge(`Basic realm="token"`), formOnly).Handle(on(p.paths.token), p.orExchange(library))
	goOn.With(openToPages, noStore, bearerOnly).HandleFunc(on(p.paths.userinfo), p.userinfo)
	goOn.With(noStore, challenge(`Basic realm="introspect"`), formOnly).Handle(on(p.paths.introspect), library)
	goOn.With(openToPages, noStore, challenge(`Basic realm="revoke"`), formOnly).Handle(on(p.paths.revoke), library)
	begin.Get(on(p.paths.authorize), p.authorize)
	begin.Post(on(p.paths.authorize), p.authorize)
	goOn.Get(on(p.paths.endSession), p.endSession)
	goOn.Post(on(p.paths.endSession), p.endSession)
}

// metadataLife is how long caches may keep the discovery document. It changes
// with a release or the configuration, if at all.
const metadataLife = 5 * time.Minute

// at is the public address of an endpoint.
func (p *Provider) at(path string) string { return strings.TrimSuffix(p.Issuer, "/") + path }

func trimSlash(path string) string {
	for len(path) > 0 && path[len(path)-1] == '/' {
		path = path[:len(path)-1]
	}
	return path
}
