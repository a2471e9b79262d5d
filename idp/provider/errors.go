package provider

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"github.com/lanyard-id/lanyard/idp"
)

// answers says, for each of our refusals, what a client is told: the error's
// code and a description for its developer.
var answers = []struct {
	ours error
	told oidc.Error
}{
	// authorize: OIDC Core §3.1.2.6, RFC 6749 §4.1.2.1
	{idp.ErrScope, oidc.Error{ErrorType: oidc.InvalidScope, Description: "scope must hold openid and nothing that the client is not registered for"}},
	{idp.ErrLoginRequired, oidc.Error{ErrorType: oidc.LoginRequired, Description: "nobody is signed in who meets the request"}},
	{idp.ErrOtherPerson, oidc.Error{ErrorType: oidc.LoginRequired, Description: "nobody but the person whom the request names can be the answer"}},
	{idp.ErrInteraction, oidc.Error{ErrorType: oidc.InteractionRequired, Description: "the person must be asked something first"}},
	{idp.ErrUnmet, oidc.Error{ErrorType: "unmet_authentication_requirements", Description: "no requested acr can be met"}},
	{idp.ErrCancelled, oidc.Error{ErrorType: oidc.AccessDenied, Description: "the person stopped signing in"}},
	{idp.ErrAuthenticator, oidc.Error{ErrorType: oidc.AccessDenied, Description: "the authenticator cannot be used"}},
	{idp.ErrProfileUnverified, deniedPerson},
	{idp.ErrProfileRestricted, deniedPerson},
	{idp.ErrProfileClosed, deniedPerson},
	{idp.ErrNoRole, oidc.Error{ErrorType: oidc.AccessDenied, Description: "the person has no role to work in"}},

	// token: RFC 6749 §5.2
	{idp.ErrClientUnknown, oidc.Error{ErrorType: oidc.InvalidClient}},
	{idp.ErrCode, oidc.Error{ErrorType: oidc.InvalidGrant, Description: "the code is unknown, expired, or of another client, redirect_uri or code_verifier"}},
	{idp.ErrRefresh, oidc.Error{ErrorType: oidc.InvalidGrant, Description: "the refresh token is unknown, expired, revoked or of another client"}},
	{idp.ErrUsed, oidc.Error{ErrorType: oidc.InvalidGrant, Description: "this was used before"}},
	{idp.ErrSubject, oidc.Error{ErrorType: oidc.InvalidRequest, Description: "subject_token is unknown, expired, revoked or another client's"}},
	{idp.ErrTarget, oidc.Error{ErrorType: invalidTarget, Description: "no token is given to this client for that audience"}},
	{idp.ErrSSOClient, oidc.Error{ErrorType: oidc.UnauthorizedClient, Description: "the client may not exchange SSO tokens"}},
	{idp.ErrTooMuch, oidc.Error{ErrorType: oidc.InvalidScope, Description: "scope must hold nothing that the subject token, the client or the audience has not"}},
	{idp.ErrNotYours, oidc.Error{ErrorType: oidc.UnauthorizedClient, Description: "the token is another client's"}},

	// everywhere: nothing is skipped that a store must be asked about
	{idp.ErrUnavailable, oidc.Error{ErrorType: unavailable}},
	{context.DeadlineExceeded, oidc.Error{ErrorType: unavailable}},
	{idp.ErrLimited, oidc.Error{ErrorType: unavailable, Description: "too many wrong proofs from there: wait"}},

	// userinfo: RFC 6750 §3.1
	{idp.ErrToken, oidc.Error{ErrorType: "invalid_token", Description: "the access token is unknown, expired or revoked"}},
}

// unavailable is RFC 6749 §4.1.2.1's word, which section 5.2 has not: with it
// go the status and the header that say so to who reads no body.
const unavailable = "temporarily_unavailable"

var deniedPerson = oidc.Error{ErrorType: oidc.AccessDenied, Description: "the person may not use this application"}

// answer is the only door through which errors leave for clients. Anything
// unknown becomes server_error without a description: the library puts the
// text of a stray error into error_description, where the public can read it.
// Here, and nowhere else, it is logged.
func (p *Provider) answer(ctx context.Context, err error) error {
	e := p.told(ctx, err)
	switch {
	case e.ErrorType == oidc.InvalidClient, e.ErrorType == "invalid_token":
		return op.NewStatusError(e, http.StatusUnauthorized)
	case errors.Is(err, idp.ErrLimited):
		retryAfter(ctx, err)
		return op.NewStatusError(e, http.StatusTooManyRequests)
	case e.ErrorType == unavailable:
		retryAfter(ctx, err)
		return op.NewStatusError(e, http.StatusServiceUnavailable)
	}
	return e
}

type headerKey struct{}

// retryAfter says when to come back. The library shows us no answer to write
// to: the guard left its header in ctx.
func retryAfter(ctx context.Context, err error) {
	if h, ok := ctx.Value(headerKey{}).(http.Header); ok {
		h.Set("Retry-After", strconv.Itoa(int(idp.Pause(err)/time.Second)))
	}
}

// rule says for the developer of an application that a request was held to a
// rule, and returns err, which is why it was not kept. more is what else the
// log should know.
func (p *Provider) rule(ctx context.Context, name string, err error, more ...any) error {
	if !p.Log.Enabled(ctx, slog.LevelDebug) {
		return err // a text of every rule, which nobody reads
	}
	why := ""
	if err != nil {
		why = err.Error()
	}
	p.Log.DebugContext(ctx, "rule", append(more, "rule", name, "kept", err == nil, "why", why)...)
	return err
}

// told is what a client is told about err.
func (p *Provider) told(ctx context.Context, err error) *oidc.Error {
	e := p.inWords(ctx, err)
	p.Counts.Refused(string(e.ErrorType))
	return e
}

func (p *Provider) inWords(ctx context.Context, err error) *oidc.Error {
	var e *oidc.Error
	if errors.As(err, &e) {
		p.Log.InfoContext(ctx, "request refused", "error", e.ErrorType, "reason", e.Description)
		return e
	}
	for _, a := range answers {
		if errors.Is(err, a.ours) {
			p.Log.InfoContext(ctx, "request refused", "error", a.told.ErrorType, "reason", err.Error())
			told := a.told
			return &told
		}
	}
	p.Log.ErrorContext(ctx, "request failed", "error", err.Error())
	return oidc.ErrServerError()
}
