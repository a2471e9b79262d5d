package federated

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	metadataLife = time.Hour       // after which the upstream is asked again where its endpoints are
	betweenTries = 5 * time.Second // in which one that did not answer is not asked again
)

// algs are what an ID token may be signed with, whatever the upstream says that
// it uses. RFC 8725 §3.1: neither none nor a MAC is among them.
var algs = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA}

// upstream knows where the endpoints are, and learns it anew from time to time.
type upstream struct {
	issuer string
	client *http.Client
	now    func() time.Time

	turn   chan struct{} // held by who looks at what is below
	known  *metadata     // nil: not known yet
	asked  time.Time     // when it was last asked
	failed error         // what came of that
}

// metadata is what the upstream says of itself.
type metadata struct {
	endpoint oauth2.Endpoint
	sendsIss bool // RFC 9207 §3
	keys     *oidc.RemoteKeySet
	keysAt   string
}

func newUpstream(issuer string, client *http.Client, now func() time.Time) *upstream {
	return &upstream{issuer: issuer, client: bounded(client), now: now, turn: make(chan struct{}, 1)}
}

// metadata returns what is known of the upstream, asking it where that is
// nothing, or old. One asks and the others wait; what it did not answer a moment
// ago is not asked again, so that people do not queue for an upstream that is
// down. What was known is used for as long as nothing newer can be had.
func (u *upstream) metadata(ctx context.Context) (*metadata, error) {
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, ctx.Err())
	}
	now := u.now()
	wait := metadataLife
	if u.failed != nil {
		wait = betweenTries
	}
	if !u.asked.IsZero() && now.Sub(u.asked) < wait {
		return u.last()
	}

	// Who asked may go away; the answer is for everybody.
	m, err := u.discover(context.WithoutCancel(ctx))
	u.asked, u.failed = now, err
	if err == nil {
		u.known = m
	}
	return u.last()
}

func (u *upstream) last() (*metadata, error) {
	if u.known == nil {
		return nil, u.failed
	}
	return u.known, nil
}

// discover reads the discovery document. go-oidc compares its issuer with ours.
func (u *upstream) discover(ctx context.Context) (*metadata, error) {
	ctx = oidc.ClientContext(ctx, u.client)
	found, err := oidc.NewProvider(ctx, u.issuer)
	if err != nil {
		return nil, unreachable("discover", err)
	}
	var more struct {
		Keys     string   `json:"jwks_uri"`
		SendsIss bool     `json:"authorization_response_iss_parameter_supported"`
		Methods  []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, unreachable("discover", err)
	}
	m := &metadata{endpoint: found.Endpoint(), sendsIss: more.SendsIss, keysAt: more.Keys}
	if !safe(m.endpoint.AuthURL) || !safe(m.endpoint.TokenURL) || !safe(m.keysAt) {
		return nil, unreachable("discover", errors.New("an endpoint is no https address"))
	}
	// Left to guess, the library tries a code twice, and a code works once.
	m.endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if len(more.Methods) > 0 && !slices.Contains(more.Methods, "client_secret_basic") {
		m.endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	if u.known != nil && u.known.keysAt == m.keysAt {
		m.keys = u.known.keys // with what they remember
	} else {
		m.keys = oidc.NewRemoteKeySet(ctx, m.keysAt)
	}
	return m, nil
}
