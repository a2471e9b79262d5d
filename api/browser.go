package api

import (
	"crypto/subtle"
	"net/http"
	"strings"
	"time"

	"github.com/lanyard-id/lanyard/idp"
)

// Browser ties logins and sessions to the browser that holds their secrets.
// The secrets are in cookies that no script can read, each login with a cookie
// of its own so that two tabs do not disturb each other; only their hashes are
// kept.
type Browser struct {
	Secure bool // the issuer is https: cookies are, too, and take the __Host- prefix
}

const (
	// Cookies take no notice of ports: on a developer's computer a shorter
	// name would meet another service's.
	loginCookie   = "lanyard-login-" // and the beginning of the login's id
	sessionCookie = "lanyard-session"

	heldCookie     = "lanyard-held-" // and what it is for
	languageCookie = "lanyard-language"
	wayCookie      = "lanyard-way"

	idLetters = 12 // of a login's id, in its cookie's name

	// maxLogins is how many logins a browser may have open. More is a client
	// in a circle, whose cookies would soon be too long to send.
	maxLogins = 12
)

// Bind implements provider.Browser.
func (b *Browser) Bind(w http.ResponseWriter, r *http.Request, id string) string {
	var open []string
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, b.name(loginCookie)) && len(open) < 2*maxLogins {
			open = append(open, c.Name)
		}
	}
	if len(open) >= maxLogins {
		for _, name := range open {
			http.SetCookie(w, b.cookie(name, "", -1))
		}
	}
	secret := idp.NewSecret()
	http.SetCookie(w, b.cookie(b.loginName(id), secret, int(idp.LoginLife.Seconds())))
	return idp.Hash(secret)
}

// Bound says nil if r comes from the browser that began l, and
// idp.ErrOtherBrowser if not.
func (b *Browser) Bound(r *http.Request, l idp.Login) error {
	c, err := r.Cookie(b.loginName(l.ID))
	if err != nil || subtle.ConstantTimeCompare([]byte(idp.Hash(c.Value)), []byte(l.Browser)) != 1 {
		return idp.ErrOtherBrowser
	}
	return nil
}

// Release implements provider.Browser.
func (b *Browser) Release(w http.ResponseWriter, id string) {
	http.SetCookie(w, b.cookie(b.loginName(id), "", -1))
}

// Session implements provider.Browser.
func (b *Browser) Session(r *http.Request) string {
	c, err := r.Cookie(b.name(sessionCookie))
	if err != nil || c.Value == "" {
		return ""
	}
	return idp.Hash(c.Value)
}

// SignIn gives the browser the secret of its session. The cookie ends with the
// browser; the session's own limits are kept by the server.
func (b *Browser) SignIn(w http.ResponseWriter, secret string) {
	http.SetCookie(w, b.cookie(b.name(sessionCookie), secret, 0))
}

// SignOut takes the secret of the session from the browser.
func (b *Browser) SignOut(w http.ResponseWriter) {
	http.SetCookie(w, b.cookie(b.name(sessionCookie), "", -1))
}

// LastWay returns the way in which somebody last signed in at this browser, or
// "": which it was tells nothing of who.
func (b *Browser) LastWay(r *http.Request) string {
	c, err := r.Cookie(b.name(wayCookie))
	if err != nil {
		return ""
	}
	return c.Value
}

// SetLastWay remembers it for a year.
func (b *Browser) SetLastWay(w http.ResponseWriter, way string) {
	http.SetCookie(w, b.cookie(b.name(wayCookie), way, 365*24*60*60))
}

// Language returns the language that the person chose, or "".
func (b *Browser) Language(r *http.Request) string {
	c, err := r.Cookie(b.name(languageCookie))
	if err != nil {
		return ""
	}
	return c.Value
}

// SetLanguage keeps the person's choice until the browser closes. Desks are
// shared: what should last is set in the browser itself.
func (b *Browser) SetLanguage(w http.ResponseWriter, lang string) {
	http.SetCookie(w, b.cookie(b.name(languageCookie), lang, 0))
}

// Hold lets the browser hold a secret for one purpose until life has passed:
// with "" it holds none any more.
func (b *Browser) Hold(w http.ResponseWriter, purpose, secret string, life time.Duration) {
	seconds := int(life.Seconds())
	if secret == "" || seconds <= 0 {
		secret, seconds = "", -1
	}
	http.SetCookie(w, b.cookie(b.name(heldCookie+purpose), secret, seconds))
}

// Held returns the secret that the browser holds for a purpose, or "".
func (b *Browser) Held(r *http.Request, purpose string) string {
	c, err := r.Cookie(b.name(heldCookie + purpose))
	if err != nil || len(c.Value) > maxHeld {
		return ""
	}
	return c.Value
}

// maxHeld bounds what a browser holds: more it was not given by us.
const maxHeld = 128

func (b *Browser) loginName(id string) string {
	if len(id) > idLetters {
		id = id[:idLetters]
	}
	return b.name(loginCookie + id)
}

func (b *Browser) name(name string) string {
	if b.Secure {
		return "__Host-" + name
	}
	return name
}

// cookie makes a cookie for this host alone that no other site's form brings
// along. Lax, not Strict: an application's link to authorize must bring the
// session. maxAge is in seconds; 0 is until the browser closes.
func (b *Browser) cookie(name, value string, maxAge int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // not Secure only where the issuer is http, on this computer
		Name: name, Value: value, Path: "/", MaxAge: maxAge, Secure: b.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}
