package provider

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/lanyard-id/lanyard/idp"
)

// userinfo answers with the claims of an access token, as JSON or, to a client
// that registered an algorithm for it, as a JWT: the library knows JSON alone.
// OIDC Core §5.3. Parameters such as AM's schema=openid change nothing.
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	kind, body, err := p.userinfoOf(r)
	if err != nil {
		op.WriteError(w, r, err, nil)
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body) //nolint:gosec // JSON or a JWT, and said to be; who hung up hears nothing
}

func (p *Provider) userinfoOf(r *http.Request) (kind string, body []byte, err error) {
	ctx, token := r.Context(), bearer(r)
	if token == "" {
		return "", nil, op.NewStatusError(oidc.ErrInvalidRequest().WithDescription("access token missing"), http.StatusUnauthorized)
	}
	g, person, err := p.Grants.Holder(ctx, token)
	if p.rule(ctx, "the access token is live", err, "client", g.ClientID) != nil {
		return "", nil, p.answer(ctx, err)
	}
	c, err := p.Clients.Client(ctx, g.For())
	if err != nil {
		return "", nil, p.answer(ctx, err)
	}
	said := idp.ClaimsFor(p.Issuer, person, g, p.Logins.Now()).UserInfo
	if c.UserinfoAlg == "" {
		if body, err = json.Marshal(said); err != nil {
			return "", nil, p.answer(ctx, err)
		}
		return "application/json", body, nil
	}
	signed, err := p.sign(c.UserinfoAlg, signedUserInfo{Issuer: p.Issuer, Audience: c.ID, UserInfo: said})
	if err != nil {
		return "", nil, p.answer(ctx, err)
	}
	return "application/jwt", []byte(signed), nil
}

// signedUserInfo is userinfo as a JWT. It has no exp and no auth_time, without
// which nobody takes it for an ID token. OIDC Core §5.3.2, RFC 8725 §3.12.
type signedUserInfo struct {
	Issuer   string `json:"iss"`
	Audience string `json:"aud"`
	idp.UserInfo
}

// bearer is the access token of a request, which bearerOnly has let come in one
// place only; "" is none. RFC 6750 §2.1, §2.2.
func bearer(r *http.Request) string {
	if header := r.Header.Get("Authorization"); header != "" {
		if scheme, token, _ := strings.Cut(header, " "); strings.EqualFold(scheme, oidc.BearerToken) {
			return token
		}
		return ""
	}
	return r.PostForm.Get("access_token")
}
