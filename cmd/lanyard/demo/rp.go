package demo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/lanyard-id/lanyard/web"
)

//go:embed pages
var pageFiles embed.FS

// RPConfig is what the demo application has to know.
type RPConfig struct {
	Issuer       string
	ClientID     string
	ClientSecret string
	BaseURL      string // where browsers find it, such as http://localhost:8081
	Site         *web.Site
	Now          func() time.Time
	Log          *slog.Logger
	HTTP         *http.Client // to reach the provider; nil: one with a time limit
}

// rp is the demo application. It keeps everything in memory: a restart signs
// everybody out of it, and of nothing else.
type rp struct {
	RPConfig
	pages  map[string]*template.Template
	assets map[string][]byte // what the pages load beside the provider's files, by address

	logins   *shelf[login]    // by state
	sessions *shelf[signedIn] // by the value of the session cookie
	tokens   *shelf[struct{}] // logout tokens that were used, by jti

	mu       sync.Mutex
	provider *provider // nil until the first use
}

// How long the demo application keeps things, and how many at most.
const (
	loginLife   = 10 * time.Minute
	sessionLife = 12 * time.Hour
	shelfSize   = 1000
	formLimit   = 64 << 10
)

// NewRP returns the demo application. It asks the provider nothing until the
// first sign-in, so the two can start in any order.
func NewRP(cfg RPConfig) (http.Handler, error) {
	if cfg.HTTP == nil {
		cfg.HTTP = &http.Client{Timeout: 10 * time.Second}
	}
	a := &rp{
		RPConfig: cfg,
		assets:   map[string][]byte{},
		logins:   newShelf[login](loginLife, cfg.Now),
		sessions: newShelf[signedIn](sessionLife, cfg.Now),
		tokens:   newShelf[struct{}](sessionLife, cfg.Now),
	}
	var err error
	if a.pages, err = a.parse("home", "person", "problem"); err != nil {
		return nil, err
	}
	return a.routes(), nil
}

// routes are every address of the demo application.
func (a *rp) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /static/", a.Site.Static())
	for address, data := range a.assets {
		mux.HandleFunc("GET "+address, asset(path.Ext(address), data))
	}
	mux.HandleFunc("GET /{$}", a.page(a.home))
	mux.HandleFunc("GET /login", a.page(a.begin))
	mux.HandleFunc("GET /callback", a.page(a.callback))
	mux.HandleFunc("POST /callback", a.page(a.callback)) // form_post
	mux.Handle("POST /sign-out", http.NewCrossOriginProtection().Handler(a.page(a.signOut)))
	mux.HandleFunc("POST /backchannel-logout", a.backchannelLogout)
	return mux
}

// page is the one place where an error becomes a page, and where the headers
// of every page are set.
func (a *rp) page(do func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		// The sign-in link leads to the provider, and a form's redirects are
		// held against form-action too.
		h.Set("Content-Security-Policy", web.Policy(origin(a.Issuer)))
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, formLimit)

		err := do(w, r)
		if err == nil {
			return
		}
		p := &problem{Status: http.StatusBadGateway, Code: "provider_error", Description: err.Error()}
		errors.As(err, &p)
		a.Log.WarnContext(r.Context(), "the demo application could not sign in", "code", p.Code, "error", err)
		h.Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(p.Status)
		if err := a.render(w, "problem", p); err != nil {
			a.Log.ErrorContext(r.Context(), "render the problem page", "error", err)
		}
	}
}

// problem is what went wrong in a sign-in, in the words of OAuth: the readers
// of this application are developers.
type problem struct {
	Status      int
	Code        string
	Description string
}

// Error returns the code and its description.
func (p *problem) Error() string { return p.Code + ": " + p.Description }

// refuse is a problem of an answer that the application does not accept.
func refuse(code, format string, args ...any) error {
	return &problem{Status: http.StatusBadRequest, Code: code, Description: fmt.Sprintf(format, args...)}
}

// home is the page of who is signed in, or the page to sign in.
func (a *rp) home(w http.ResponseWriter, r *http.Request) error {
	if s, ok := a.session(r); ok {
		return a.render(w, "person", s)
	}
	return a.render(w, "home", struct{ Issuer string }{a.Issuer})
}

// provider is what the application has learned of the provider.
type provider struct {
	*oidc.Provider
	sendsIss   bool   // RFC 9207 §3: its answers say who they are from
	endSession string // OIDC RP-Initiated Logout §2.1: where people sign out of it; "" nowhere
}

// discover returns the provider, asking it once. A try that fails is not
// remembered: the provider may only just be starting.
func (a *rp) discover(ctx context.Context) (*provider, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.provider != nil {
		return a.provider, nil
	}
	found, err := oidc.NewProvider(a.reach(ctx), a.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discover %s: %w", a.Issuer, err)
	}
	var more struct {
		SendsIss   bool   `json:"authorization_response_iss_parameter_supported"`
		EndSession string `json:"end_session_endpoint"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, fmt.Errorf("read what %s supports: %w", a.Issuer, err)
	}
	a.provider = &provider{found, more.SendsIss, more.EndSession}
	return a.provider, nil
}

// reach makes both libraries use the application's own HTTP client.
func (a *rp) reach(ctx context.Context) context.Context { return oidc.ClientContext(ctx, a.HTTP) }

// oauth is the application as the OAuth library knows it.
func (a *rp) oauth(p *provider, scopes []string) *oauth2.Config {
	endpoint := p.Endpoint()
	// Left to guess, the library tries a code twice, and a code works once.
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	return &oauth2.Config{
		ClientID:     a.ClientID,
		ClientSecret: a.ClientSecret,
		Endpoint:     endpoint,
		RedirectURL:  a.BaseURL + "/callback",
		Scopes:       scopes,
	}
}

// parse makes the templates of the pages called names.
func (a *rp) parse(names ...string) (map[string]*template.Template, error) {
	style, err := a.addAsset("riverside.css")
	if err != nil {
		return nil, err
	}
	mark, err := a.addAsset("riverside.svg")
	if err != nil {
		return nil, err
	}
	pages := map[string]*template.Template{}
	for _, name := range names {
		t, err := template.New("frame.html").Funcs(template.FuncMap{
			"styles":  func() []string { return append(slices.Clone(a.Site.Styles()), style) },
			"mark":    func() string { return mark },
			"scripts": a.Site.Scripts,
		}).ParseFS(pageFiles, "pages/frame.html", "pages/"+name+".html")
		if err != nil {
			return nil, fmt.Errorf("parse demo page %s: %w", name, err)
		}
		pages[name] = t
	}
	return pages, nil
}

func (a *rp) render(w http.ResponseWriter, name string, data any) error {
	var buf bytes.Buffer
	if err := a.pages[name].Execute(&buf, data); err != nil {
		return fmt.Errorf("render %s: %w", name, err)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err := buf.WriteTo(w)
	return err
}

// addAsset makes a file of pages/ one that browsers may load, and returns its
// address, which holds a hash of it.
func (a *rp) addAsset(name string) (string, error) {
	data, err := pageFiles.ReadFile("pages/" + name)
	if err != nil {
		return "", fmt.Errorf("read demo file %s: %w", name, err)
	}
	sum := sha256.Sum256(data)
	address := "/assets/" + hex.EncodeToString(sum[:6]) + "/" + name
	a.assets[address] = data
	return address, nil
}

func asset(ext string, data []byte) http.HandlerFunc {
	kind := map[string]string{".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}[ext]
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}
}

// The cookies' names differ from the provider's: cookies do not know ports,
// and in development both are localhost.
const (
	loginCookie   = "riverside_login"   // the browser that began signing in
	sessionCookie = "riverside_session" // the browser that is signed in
)

func (a *rp) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // not Secure: the demo application is http, on this computer
		Name: name, Value: value, Path: "/", MaxAge: int(life.Seconds()),
		HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(a.BaseURL, "https:"),
	})
}

func (a *rp) session(r *http.Request) (signedIn, bool) {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return signedIn{}, false
	}
	return a.sessions.get(c.Value)
}

// origin cuts an address down to its scheme, host and port.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
