// Package registry is the registration authority for programs: JSON under
// /api/v1.
//
// routes.go is the one table of what there is. The URLs that are served and the
// OpenAPI document that describes them are both made from it, and the schemas
// of bodies from the Go types that read and write them, so that none of the
// three can say what another does not. Nothing is judged here: a route makes a
// change of idp/registry and hands it to its Service, or shows what the
// registry knows to whom that lets in.
package registry

import (
	"context"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/lanyard-id/lanyard/api"
	"github.com/lanyard-id/lanyard/authenticators"
	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// Root is where the API begins.
const Root = "/api/v1"

// Config is what the API needs; all of it must be there but Operator.
type Config struct {
	Server   *api.Server // says what went wrong, in people's words
	Service  *registry.Service
	Tokens   Tokens
	Sessions idp.SessionStore
	People   idp.People
	Accounts Accounts
	Repeats  Repeats
	Sealer   authenticators.Sealer // of answers that are kept
	Now      func() time.Time

	// Directory returns the whole directory, and Clients what is registered of
	// applications.
	Directory func(context.Context) (directory.Document, error)
	Clients   func(context.Context) ([]idp.Client, error)

	// Operator is a token that whoever has the server's files has: development
	// only. Empty: there is none.
	Operator string
}

// Tokens finds out whose an access token is.
type Tokens interface {
	// Holder returns what an access token stands for and its person as they are
	// now, or idp.ErrToken.
	Holder(ctx context.Context, token string) (idp.Grant, idp.Person, error)
}

// Accounts knows what people hold, and what they are signed in to.
type Accounts interface {
	Held(ctx context.Context, o idp.Owner) ([]authenticators.Authenticator, error)
	Open(ctx context.Context, o idp.Owner) ([]idp.OwnSession, error)
}

var (
	_ Tokens   = (*idp.Grants)(nil)
	_ Accounts = (*idp.Accounts)(nil)
)

// API is the registration authority for programs.
type API struct {
	Config
	document []byte
}

// New returns the API.
func New(c Config) *API {
	return &API{Config: c, document: document(routes())}
}

// Mount puts the API on r.
func (a *API) Mount(r chi.Router) {
	r.Route(Root, func(r chi.Router) {
		r.NotFound(func(w http.ResponseWriter, r *http.Request) { a.fail(w, r, idp.ErrNotFound) })
		r.MethodNotAllowed(a.otherMethod)
		r.Get("/openapi.json", a.describe)
		for _, rt := range routes() {
			r.Method(rt.method, rt.path, a.handle(rt))
		}
	})
}

// describe answers with the OpenAPI document. It holds no secret: it is the same
// at every service of the release.
func (a *API) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(a.document) // who hung up hears nothing
}
