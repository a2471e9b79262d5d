package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/lanyard-id/lanyard/idp"
	"github.com/lanyard-id/lanyard/idp/registry/directory"
)

// clientColumns are the columns of clients, in the order of intoClient.
var clientColumns = []string{
	"id", "name", "secret_hash", "auth_method", "jwks_uri", "jwks", "assertion_algs", "assertion_audiences",
	"redirect_uris", "post_logout_redirect_uris", "backchannel_logout_uri", "scopes", "grants", "response_modes",
	"id_token_alg", "userinfo_alg", "require_pkce", "acr_default", "acr_allowed", "min_level", "requires_role",
	"accepts_unverified", "exchange_from",
}

// readClient reads a row of clientColumns.
func readClient(row pgx.Row) (directory.Client, error) {
	var (
		c    directory.Client
		jwks []byte
	)
	err := row.Scan(&c.ID, &c.Name, &c.SecretHash, &c.AuthMethod, &c.JWKSURI, &jwks, &c.AssertionAlgs, &c.AssertionAudiences,
		&c.RedirectURIs, &c.PostLogoutRedirectURIs, &c.BackchannelLogoutURI, &c.Scopes, &c.Grants, &c.ResponseModes,
		&c.IDTokenAlg, &c.UserinfoAlg, &c.RequirePKCE, &c.ACRDefault, &c.ACRAllowed, &c.MinLevel, &c.RequiresRole,
		&c.AcceptsUnverified, &c.ExchangeFrom)
	c.JWKS = directory.KeySet(jwks)
	for _, list := range []*[]string{&c.AssertionAlgs, &c.AssertionAudiences, &c.RedirectURIs, &c.PostLogoutRedirectURIs,
		&c.Scopes, &c.Grants, &c.ResponseModes, &c.ExchangeFrom} {
		*list = orNil(*list)
	}
	c.ACRAllowed = orNil(c.ACRAllowed)
	return c, err
}

// orNil returns an empty list as the other registry has it.
func orNil[E any](list []E) []E {
	if len(list) == 0 {
		return nil
	}
	return list
}

// Client implements idp.Clients.
func (s *Store) Client(ctx context.Context, id string) (idp.Client, error) {
	if !isText(id) {
		return idp.Client{}, idp.ErrClientUnknown
	}
	c, err := s.clients.get(ctx, id)
	if err != nil {
		return idp.Client{}, err
	}
	return cloneClient(c), nil
}

// loadClient asks PostgreSQL for a client.
func (s *Store) loadClient(ctx context.Context, id string) (idp.Client, error) {
	c, err := readClient(s.pool.QueryRow(ctx, "SELECT "+strings.Join(clientColumns, ", ")+" FROM clients WHERE id = $1", id))
	if errors.Is(err, pgx.ErrNoRows) {
		return idp.Client{}, idp.ErrClientUnknown
	}
	if err != nil {
		return idp.Client{}, fmt.Errorf("client %q: %w", id, err)
	}
	return c.IDP(), nil
}

// AllClients returns every registered client, by id, as PostgreSQL has them.
func (s *Store) AllClients(ctx context.Context) ([]idp.Client, error) {
	rows, err := s.pool.Query(ctx, "SELECT "+strings.Join(clientColumns, ", ")+" FROM clients ORDER BY id")
	if err != nil {
		return nil, outage(fmt.Errorf("list clients: %w", err))
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (idp.Client, error) {
		c, err := readClient(row)
		return c.IDP(), err
	})
	if err != nil {
		return nil, outage(fmt.Errorf("list clients: %w", err))
	}
	return all, nil
}

// isText says whether s, which comes from outside, is a name that PostgreSQL
// could know: what it cannot read is an error there, and an unknown name here.
func isText(s string) bool {
	const longest = 1024 // no name is, and the journal holds what was asked
	return s != "" && len(s) <= longest && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// cloneClient returns a copy of c that shares nothing with it that could
// change.
func cloneClient(c idp.Client) idp.Client {
	c.JWKS = slices.Clone(c.JWKS)
	c.AssertionAlgs = slices.Clone(c.AssertionAlgs)
	c.AssertionAudiences = slices.Clone(c.AssertionAudiences)
	c.RedirectURIs = slices.Clone(c.RedirectURIs)
	c.PostLogoutRedirectURIs = slices.Clone(c.PostLogoutRedirectURIs)
	c.Scopes = slices.Clone(c.Scopes)
	c.Grants = slices.Clone(c.Grants)
	c.ResponseModes = slices.Clone(c.ResponseModes)
	c.ACRAllowed = slices.Clone(c.ACRAllowed)
	c.ExchangeFrom = slices.Clone(c.ExchangeFrom)
	return c
}
