package idp

import (
	"context"

	"github.com/lanyard-id/lanyard/authenticators"
)

// AdminClient is the client that stands for this service's own commands: they
// get a token as any application does, with a code and PKCE on this computer.
const AdminClient = "lanyard-cli"

// AdminScope is what a token for administration has. No client in the registry
// can have it: it is none of Scopes.
const AdminScope = "lanyard_admin"

// WithCommands returns clients, and before them this service's own commands. No
// other client can take their name.
func WithCommands(clients Clients) Clients { return withCommands{clients} }

type withCommands struct{ Clients }

// Client implements Clients.
func (w withCommands) Client(ctx context.Context, id string) (Client, error) {
	if id != AdminClient {
		return w.Clients.Client(ctx, id)
	}
	return Client{ID: AdminClient, Name: "Lanyard commands", AuthMethod: NoAuth, RequirePKCE: true,
		RedirectURIs: []string{"http://127.0.0.1/callback"}, Scopes: []string{"openid", AdminScope},
		Grants: []string{"authorization_code"}, ResponseModes: []string{"query"}, IDTokenAlg: "RS256",
		ACRDefault: AAL3Any, MinLevel: authenticators.AAL3}, nil
}
