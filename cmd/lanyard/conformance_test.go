package main

import (
	"slices"
	"strings"
	"testing"
)

// trial is a module of the OpenID Foundation's conformance suite, restated.
type trial struct {
	name    string // there
	demands string
	run     func(*exam)

	// Where a provider need not offer what is asked for and we do not, why
	// that is, and what discovery says of it. run shows what is done instead.
	without  string
	unlisted func(metadata) bool
}

// basicPlan is oidcc-basic-certification-test-plan, in its order.
// Each runs with the answer in the query and, as the plan
// oidcc-formpost-basic-certification-test-plan has it, by form.
//
// The suite remarks on three that pass, because we speak as CIS2 does: the ID
// token has claims that it does not know (oidcc-server), profile gives fewer
// claims than it could (oidcc-scope-profile), and email comes without
// email_verified (oidcc-scope-email).
var basicPlan = []trial{
	{name: "oidcc-server", run: examServer,
		demands: "the whole code flow for a client with client_secret_basic: ID token, access token, userinfo, and nothing that was not asked for"},
	{name: "oidcc-response-type-missing", run: examResponseTypeMissing,
		demands: "a request without response_type is an error that says so, or an error page"},
	{name: "oidcc-idtoken-signature", run: examSignature,
		demands: "an ID token is signed by RS256 with a key that it names, where the client registered nothing else"},
	{name: "oidcc-idtoken-unsigned", run: examUnsigned,
		demands: "an ID token is unsigned for a client that registered none",
		without: "no ID token is unsigned", unlisted: unlisted("id_token_signing_alg_values_supported", "none")},
	{name: "oidcc-userinfo-get", run: examUserinfoGet,
		demands: "userinfo answers GET with the token in a header"},
	{name: "oidcc-userinfo-post-header", run: examUserinfoPostHeader,
		demands: "userinfo answers POST with the token in a header"},
	{name: "oidcc-userinfo-post-body", run: examUserinfoPostBody,
		demands: "userinfo answers POST with the token in a form"},
	{name: "oidcc-ensure-request-without-nonce-succeeds-for-code-flow", run: examWithoutNonce,
		demands: "a client of the code flow need not send a nonce"},
	{name: "oidcc-scope-profile", run: examScope("profile", "name", "given_name", "family_name"),
		demands: "scope profile gives its claims at userinfo"},
	{name: "oidcc-scope-email", run: examScope("email", "email"),
		demands: "scope email gives its claim at userinfo and not in the ID token"},
	{name: "oidcc-scope-address", run: examScope("address"),
		demands: "scope address gives an address at userinfo",
		without: "the directory holds nobody's address", unlisted: unlisted("scopes_supported", "address")},
	{name: "oidcc-scope-phone", run: examScope("phone"),
		demands: "scope phone gives a telephone number at userinfo",
		without: "no telephone number is given to applications", unlisted: unlisted("scopes_supported", "phone")},
	{name: "oidcc-scope-all", run: examScope("profile email address phone", "name", "given_name", "family_name", "email"),
		demands: "the four scopes of OpenID Connect together give the claims of all",
		without: "two of the four scopes are not there", unlisted: unlisted("scopes_supported", "address", "phone")},
	{name: "oidcc-alternate-happy-flow", run: examOtherOrder,
		demands: "the order of scopes and of parameters does not matter"},
	{name: "oidcc-display-page", run: examHint("display", "page"),
		demands: "display=page is no error"},
	{name: "oidcc-display-popup", run: examHint("display", "popup"),
		demands: "display=popup is no error"},
	{name: "oidcc-prompt-login", run: examPromptLogin,
		demands: "prompt=login asks again whoever is signed in, and auth_time is later"},
	{name: "oidcc-prompt-none-not-logged-in", run: examPromptNoneNobody,
		demands: "prompt=none is answered without a page: nobody is signed in"},
	{name: "oidcc-prompt-none-logged-in", run: examPromptNone,
		demands: "prompt=none is answered without a page for the person of before, with their auth_time"},
	{name: "oidcc-max-age-1", run: examMaxAge1,
		demands: "who signed in longer ago than max_age is asked again, and auth_time says so"},
	{name: "oidcc-max-age-10000", run: examMaxAge10000,
		demands: "who signed in more recently than max_age is not asked, and auth_time says when they did"},
	{name: "oidcc-ensure-request-with-unknown-parameter-succeeds", run: examHint("extra", "foobar"),
		demands: "a parameter that nobody knows is passed over"},
	{name: "oidcc-id-token-hint", run: examIDTokenHint,
		demands: "prompt=none with the ID token of whoever is signed in succeeds"},
	{name: "oidcc-login-hint", run: examHint("login_hint", "buffy@rp.example"),
		demands: "a login_hint that means nothing here is passed over"},
	{name: "oidcc-ui-locales", run: examHint("ui_locales", "se"),
		demands: "ui_locales that we do not have are no error"},
	{name: "oidcc-claims-locales", run: examHint("claims_locales", "se"),
		demands: "claims_locales that we do not have are no error"},
	{name: "oidcc-ensure-request-with-acr-values-succeeds", run: examACRValues,
		demands: "of the acr_values that discovery lists, all asked for at once, one is in the ID token"},
	{name: "oidcc-codereuse", run: examCodeReuse,
		demands: "a code that comes a second time is invalid_grant"},
	{name: "oidcc-codereuse-30seconds", run: examCodeReuseLater,
		demands: "so it is half a minute later, and the access token of the first time has ended"},
	{name: "oidcc-ensure-registered-redirect-uri", run: examRegisteredRedirect,
		demands: "a redirect URI that is not registered is an error page, and nobody is sent anywhere"},
	{name: "oidcc-ensure-post-request-succeeds", run: examPost,
		demands: "an authorization request may come by POST"},
	{name: "oidcc-server-client-secret-post", run: examSecretPost,
		demands: "the whole code flow for a client with client_secret_post"},
	{name: "oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported", run: examRequestURI,
		demands: "a request object at an address is read, or refused by name",
		without: "no request object is fetched", unlisted: denied("request_uri_parameter_supported")},
	{name: "oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported", run: examRequestObject,
		demands: "a request object in the request is read, or refused by name",
		without: "no request object is read", unlisted: denied("request_parameter_supported")},
	{name: "oidcc-claims-essential", run: examClaimsEssential,
		demands: "the claims parameter, with name as essential, gives name at userinfo and nowhere else"},
	{name: "oidcc-ensure-request-object-with-redirect-uri", run: examRequestObjectRedirect,
		demands: "of two redirect URIs the one in the request object counts, or neither does"},
	{name: "oidcc-refresh-token", run: examRefresh,
		demands: "a refresh token works, for its client alone, and the new ID token is about the same sign-in"},
	{name: "oidcc-ensure-request-with-valid-pkce-succeeds", run: examPKCE,
		demands: "a client may use PKCE with S256"},
}

// unlisted says that discovery does not have the values in the list called
// name.
func unlisted(name string, values ...string) func(metadata) bool {
	return func(d metadata) bool {
		return !slices.ContainsFunc(values, func(v string) bool { return slices.Contains(d.list(name), v) })
	}
}

// denied says that discovery denies name: what is left out may be true.
func denied(name string) func(metadata) bool {
	return func(d metadata) bool { return d[name] == false }
}

// TestConformance is the Basic plan and the form_post Basic plan, so that a
// run of the suite and one of this can be laid side by side: what is SKIP here
// is SKIPPED there, and nothing else is.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{"standard", "cis2"} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			op := aTester(t, start(t, func(o *devOptions) { o.layout = layout }))
			for _, m := range basicPlan {
				t.Run(m.name, func(t *testing.T) { m.pass(&exam{tester: op, t: t, person: newPerson(t)}) })
			}
			for _, m := range basicPlan {
				t.Run("form_post/"+m.name, func(t *testing.T) { m.pass(&exam{tester: op, t: t, person: newPerson(t), mode: "form_post"}) })
			}
		})
	}
}

// pass runs a module. One that is about what we do not offer is skipped at its
// end: if discovery agrees, and what is done instead is right.
func (m trial) pass(e *exam) {
	e.t.Helper()
	if m.without != "" && !m.unlisted(e.discovery) {
		e.t.Fatalf("discovery offers it, and the module says: not offered, %s", m.without)
	}
	m.run(e)
	if m.without != "" && !e.t.Failed() {
		e.t.Skipf("not offered: %s", m.without)
	}
}

// otherPlans are the modules of the plans that are not tables here: their tests
// are TestConformanceConfig, TestRPInitiatedLogout and TestBackchannelLogout.
var otherPlans = map[string][]string{
	"oidcc-config-certification-test-plan": {"oidcc-discovery-endpoint-verification"},
	"oidcc-rp-initiated-logout-certification-test-plan": {
		"oidcc-rp-initiated-logout-discovery-endpoint-verification",
		"oidcc-rp-initiated-logout",
		"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri",
		"oidcc-rp-initiated-logout-modified-id-token-hint",
		"oidcc-rp-initiated-logout-no-id-token-hint",
		"oidcc-rp-initiated-logout-no-params",
		"oidcc-rp-initiated-logout-no-post-logout-redirect-uri",
		"oidcc-rp-initiated-logout-no-state",
		"oidcc-rp-initiated-logout-only-state",
		"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri",
		"oidcc-rp-initiated-logout-bad-id-token-hint",
	},
	"oidcc-backchannel-rp-initiated-logout-certification-test-plan": {
		"oidcc-backchannel-logout-discovery-endpoint-verification",
		"oidcc-backchannel-rp-initiated-logout",
	},
}

func TestConformancePlans(t *testing.T) {
	t.Run("conformance: the Basic plan has its 38 modules, each once, each with what it demands", func(t *testing.T) {
		seen := map[string]bool{}
		for _, m := range basicPlan {
			if seen[m.name] || m.demands == "" || m.run == nil || (m.without == "") != (m.unlisted == nil) {
				t.Errorf("the row of %s is not right", m.name)
			}
			seen[m.name] = true
		}
		if len(seen) != 38 {
			t.Errorf("there are %d", len(seen))
		}
	})
	t.Run("conformance: each module of the other plans has a test of its name: 1, 11 and 2", func(t *testing.T) {
		tested := map[string]int{}
		for _, file := range files(t) {
			if file == "cmd/lanyard/conformance_test.go" {
				continue // where they are listed
			}
			for _, name := range testNames(t, file) {
				if strings.HasPrefix(name, "oidcc-") {
					tested[name]++
				}
			}
		}
		modules := 0
		for plan, names := range otherPlans {
			for _, name := range names {
				modules++
				if tested[name] != 1 {
					t.Errorf("%s of %s has %d tests", name, plan, tested[name])
				}
				delete(tested, name)
			}
		}
		if modules != 1+11+2 || len(tested) > 0 {
			t.Errorf("there are %d, and tests of none of them: %v", modules, tested)
		}
	})
}
