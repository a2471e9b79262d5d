package provider

import (
	"context"
	"mime"
	"net/http"
	"net/url"
	"slices"

	"github.com/go-chi/chi/v5"
	"github.com/rs/cors"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// maxForm bounds a request body: the largest, a client assertion, has 16 kB.
const maxForm = 64 << 10

// openToPages lets scripts of other origins call an endpoint, without
// cookies: nothing here looks at one. Pages and authorize never get it.
var openToPages = cors.New(cors.Options{
	AllowedOrigins: []string{"*"},
	AllowedMethods: []string{http.MethodGet, http.MethodPost},
	AllowedHeaders: []string{"Authorization", "Content-Type"},
	ExposedHeaders: []string{"Retry-After", "WWW-Authenticate", "X-Request-Id"},
	MaxAge:         3600,
}).Handler

// noStore keeps tokens and claims out of caches (RFC 6749 §5.1), and leaves the
// answer's header where retryAfter finds it.
func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Pragma", "no-cache")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), headerKey{}, w.Header())))
	})
}

func readOnly(next http.Handler) http.Handler {
	return methods(next, http.MethodGet, http.MethodHead)
}

func methods(next http.Handler, allowed ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, m := range allowed {
			if r.Method == m {
				next.ServeHTTP(w, r)
				return
			}
		}
		for _, m := range allowed {
			w.Header().Add("Allow", m)
		}
		w.WriteHeader(http.StatusMethodNotAllowed)
	})
}

// formOnly lets through what RFC 6749 §3.2 and §2.3.1 allow: a form that is
// posted, with each parameter once and nothing in the URL. The library would
// take secrets from the URL, where logs keep them.
func formOnly(next http.Handler) http.Handler {
	checked := func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
			refuse(w, r, "the request must be a form: application/x-www-form-urlencoded")
			return
		}
		if r.URL.RawQuery != "" {
			refuse(w, r, "parameters belong in the body, not in the URL")
			return
		}
		if err := r.ParseForm(); err != nil {
			refuse(w, r, "the form cannot be read or is too large")
			return
		}
		if repeated(r.PostForm, mayRepeat(r.PostForm)...) {
			refuse(w, r, "a parameter is repeated")
			return
		}
		if err := unsaid(r); err != nil {
			op.WriteError(w, r, err, nil)
			return
		}
		next.ServeHTTP(w, r)
	}
	return methods(http.HandlerFunc(checked), http.MethodPost)
}

// unsaid refuses what the library would refuse by repeating it, which would
// put a stranger's characters into our answer (RFC 6749 §5.2 allows few), or
// with a status that is not RFC 6749's.
func unsaid(r *http.Request) error {
	grant := r.PostForm.Get("grant_type")
	if grant != "" && !slices.Contains(grants, oidc.GrantType(grant)) {
		return oidc.ErrUnsupportedGrantType()
	}
	if kind := r.PostForm.Get("client_assertion_type"); kind != "" && kind != oidc.ClientAssertionTypeJWTAssertion {
		return oidc.ErrInvalidRequest().WithDescription("client_assertion_type is not supported")
	}
	// RFC 6749 §2.3: one method in a request, and one client.
	if r.PostForm.Has("client_secret") && r.PostForm.Has("client_assertion") {
		return errTwoProofs()
	}
	if r.Header.Get("Authorization") == "" {
		return nil
	}
	id, secret, ok := r.BasicAuth()
	id, err1 := url.QueryUnescape(id)
	_, err2 := url.QueryUnescape(secret)
	if !ok || err1 != nil || err2 != nil {
		return op.NewStatusError(oidc.ErrInvalidClient(), http.StatusUnauthorized)
	}
	if r.PostForm.Has("client_secret") || r.PostForm.Has("client_assertion") || r.PostForm.Has("client_id") && r.PostForm.Get("client_id") != id {
		return errTwoProofs()
	}
	return nil
}

func errTwoProofs() error {
	return oidc.ErrInvalidRequest().WithDescription("a client proves itself by one method at a time")
}

// bearerOnly keeps access tokens out of URLs (RFC 6750 §2.3 is not offered)
// and to one of the two ways that are, and adds to a 401 what RFC 6750 §3.1
// wants: what was wrong with a token, and nothing if none came.
func bearerOnly(next http.Handler) http.Handler {
	checked := func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		if err := r.ParseForm(); err != nil {
			refuse(w, r, "the form cannot be read or is too large")
			return
		}
		inHeader, inForm := r.Header.Get("Authorization") != "", r.PostForm.Has("access_token")
		if r.URL.Query().Has("access_token") || inHeader && inForm {
			refuse(w, r, "an access token belongs in the header or in the form")
			return
		}
		with := "Bearer"
		if inHeader || inForm {
			with = `Bearer error="invalid_token"`
		}
		next.ServeHTTP(&challenger{ResponseWriter: w, with: with}, r)
	}
	return methods(http.HandlerFunc(checked), http.MethodGet, http.MethodPost)
}

// ownRoute hides our route from the library's router, which would add its own
// to it in every log line.
func ownRoute(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), chi.RouteCtxKey, chi.NewRouteContext())))
	})
}

// repeated says whether a parameter comes more than once: RFC 6749 §3.1 forbids
// it, and what reads the first is fooled where another reads the last.
func repeated(form url.Values, but ...string) bool {
	for name, values := range form {
		if len(values) > 1 && !slices.Contains(but, name) {
			return true
		}
	}
	return false
}

// mayRepeat are the parameters that may come more than once: RFC 8693 §2.1.
func mayRepeat(form url.Values) []string {
	if oidc.GrantType(form.Get("grant_type")) == oidc.GrantTypeTokenExchange {
		return []string{"audience", "resource"}
	}
	return nil
}

func refuse(w http.ResponseWriter, r *http.Request, description string) {
	op.WriteError(w, r, oidc.ErrInvalidRequest().WithDescription("%s", description), nil)
}

// challenge adds to a 401 how to do better. RFC 6749 §5.2, RFC 6750 §3.
func challenge(with string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&challenger{ResponseWriter: w, with: with}, r)
		})
	}
}

type challenger struct {
	http.ResponseWriter
	with string
}

// WriteHeader implements http.ResponseWriter.
func (c *challenger) WriteHeader(status int) {
	if status == http.StatusUnauthorized {
		c.Header().Set("WWW-Authenticate", c.with)
	}
	c.ResponseWriter.WriteHeader(status)
}
