package provider

import (
	"context"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/lanyard-id/lanyard/idp"
)

// UserInfo implements op.Server. OIDC Core §5.3. Parameters such as AM's
// schema=openid change nothing.
func (p *Provider) UserInfo(ctx context.Context, r *op.Request[oidc.UserInfoRequest]) (*op.Response, error) {
	g, person, err := p.Grants.Holder(ctx, r.Data.AccessToken)
	if p.rule(ctx, "the access token is live", err, "client", g.ClientID) != nil {
		return nil, p.answer(ctx, err)
	}
	return op.NewResponse(idp.ClaimsFor(p.Issuer, person, g, p.Logins.Now()).UserInfo), nil
}
