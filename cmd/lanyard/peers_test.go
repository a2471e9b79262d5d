package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// peer is a vulnerability that another server had, and how it is tried here.
type peer struct {
	source string // the server and where it is written down
	attack string // what was possible there
	try    func(*testing.T, *peerWorld)
	later  string // why there is nothing to try, yet or at all
}

// peers are the faults of other servers, so that nobody has to find them here.
// Each is tried at a running service, in the way in which it worked there.
var peers = []peer{
	// Where people and answers are sent.
	{source: "Pocket ID CVE-2026-28512", attack: "a redirect URI whose host stands where a user would", try: redirectHosts},
	{source: "authentik CVE-2024-52289", attack: "a redirect URI that is taken for a pattern", try: redirectPatterns},
	{source: "Keycloak CVE-2023-6291, CVE-2026-3872, CVE-2024-1132, CVE-2024-8883, CVE-2022-3782", attack: "a path or an encoding that leads elsewhere", try: redirectPaths},
	{source: "fosite CVE-2020-15233, CVE-2020-15234", attack: "the exception for loopback lets another host in, and another case another path", try: redirectLoopback},
	{source: "doorkeeper-openid_connect issue 61", attack: "an error is sent to a redirect URI that nobody registered", try: redirectErrors},
	{source: "Keycloak CVE-2026-7571", attack: "a login that goes on takes its request from the browser again", try: restartedRequest},
	{source: "Keycloak CVE-2026-96446", attack: "a pushed request is used twice", try: pushedRequests},
	{source: "Keycloak CVE-2020-10770; Zitadel CVE-2026-27945, CVE-2026-55671, CVE-2025-67494", attack: "an address that a client registered leads inside our own network", try: innerAddresses},
	{source: "Zitadel GHSA-93m4-mfpg-c3xf, CVE-2025-64101", attack: "a forwarded header decides what the issuer is and where links lead", try: forwardedHosts},
	{source: "oauth2-proxy CVE-2026-40575, CVE-2026-76835", attack: "everybody is a trusted proxy unless somebody says otherwise", try: forwardedAddresses},

	// Codes and tokens.
	{source: "Pocket ID CVE-2026-28513; Zitadel CVE-2026-55672; Tinyauth CVE-2026-32245", attack: "another client redeems a code", try: codesOfOthers},
	{source: "Keycloak CVE-2026-4282", attack: "what was made for one purpose is taken for another", try: crossPurposes},
	{source: "Apache CXF CVE-2026-68079", attack: "a code is good for ever", try: codesOverTime},
	{source: "authentik CVE-2023-48228, CVE-2024-23647", attack: "PKCE is left out or lowered", try: pkceDowngrades},
	{source: "Keycloak CVE-2026-1035", attack: "of many refreshes at once several are made", try: refreshRace},
	{source: "Keycloak CVE-2026-9802", attack: "a server that has just started has forgotten which refresh tokens were used", try: refreshAfterRestart},
	{source: "Pocket ID CVE-2026-43983", attack: "who was disabled refreshes", try: refreshOfTheDisabled},
	{source: "fosite CVE-2020-15223", attack: "a token is said to be revoked that could not be", try: revokeInAnOutage},
	{source: "fosite CVE-2020-15222; Hydra CVE-2020-5300", attack: "an assertion is used twice", try: assertionReplay},
	{source: "Zitadel CVE-2026-27840", attack: "a token that was cut off or changed is good", try: mutilatedTokens},
	{source: "Keycloak GHSA-7fpj-9hr8-28vh", attack: "a logout token is exchanged for an access token", try: foreignTypes},
	{source: "Keycloak CVE-2022-1245; Dex GHSA-7qjx-gp9h-65qj", attack: "any client exchanges any token for any other", try: exchangeTargets},
	{source: "Casdoor CVE-2026-9097, CVE-2026-9094", attack: "a token that was revoked, or that somebody else signed, is exchanged", try: exchangeOfTheDead},
	{source: "Zitadel CVE-2026-55669, GHSA-wxg7-w2v3-w38g", attack: "a token without an audience or an end is good", try: missingClaims},
	{source: "Keycloak CVE-2026-8922", attack: "one end hides another", try: severalEnds},
	{source: "Oathkeeper CVE-2026-33496, CVE-2021-32701", attack: "what was answered about one token is answered about another", try: introspectionInTurn},
	{source: "Tinyauth CVE-2026-33544", attack: "two logins at once swap people", try: loginsAtOnce},

	// Sessions.
	{source: "Zitadel CVE-2024-28197; Keycloak CVE-2026-7507, CVE-2024-7341", attack: "somebody finishes what another has begun", try: fixation},
	{source: "Keycloak GHSA-c9h6-v78w-52wj", attack: "a cancelled sign-in leaves one person's session to another", try: cancelledReauthentication},
	{source: "Keycloak CVE-2025-12390", attack: "at a shared desk the next person gets the session of the one before", try: sharedDevice},
	{source: "ipsilon CVE-2016-8638; gosaml2 GHSA-pcgw-qcv5-h8ch", attack: "somebody ends the sessions of others", try: foreignEnds},
	{source: "Keycloak CVE-2026-107623", attack: "a change of a registration loses a flag that limits it", try: flagsKept},
	{source: "Keycloak CVE-2024-1249", attack: "a frame of ours hears messages of any site", try: noFrames},
	{source: "oauth2-proxy CVE-2026-34454", attack: "the session before a sign-in outlives it", try: sessionsReplaced},

	// Authenticators.
	{source: "Keycloak CVE-2021-3632", attack: "anybody adds the first authenticator of an account that has none", try: firstEnrolment},
	{source: "Keycloak CVE-2023-3597, CVE-2026-3429", attack: "a weaker sign-in changes a stronger authenticator", try: weakerEdits},
	{source: "Keycloak CVE-2026-37982, CVE-2026-18963", attack: "a mailed code works twice, or a step of a reset is left out", try: resetSteps},
	{source: "Keycloak CVE-2026-97176", attack: "an essential acr is met by a session that is worth less", try: essentialACR},
	{source: "Pocket ID GHSA-hp74-gm6m-2qm5", attack: "a fresh but weaker sign-in counts as a stronger one", try: weakerStepUp},
	{source: "Kratos CVE-2024-45042; Casdoor CVE-2026-9091; Zitadel CVE-2025-64103; Tinyauth CVE-2026-32246", attack: "the second factor is left out", try: halfSignIns},
	{source: "Keycloak CVE-2025-12150", attack: "an authenticator that proves nothing of itself passes for a strong one", try: unattested},
	{source: "AD FS CVE-2018-8340", attack: "one person's second factor closes another's sign-in", try: mixedFactors},
	{source: "Keycloak CVE-2026-9087", attack: "a proof by one account elsewhere links another", try: linkedElsewhere},
	{source: "Zitadel CVE-2025-46815", attack: "a sign-in that was finished is finished again", try: finishedTwice},
	{source: "Rodauth CVE-2026-82470; devise-two-factor CVE-2021-43177", attack: "a one-time code works twice while clocks may differ", try: func(t *testing.T, w *peerWorld) { codesSignIn(t, w.dev(t)) }},
	{source: "Keycloak CVE-2024-4629", attack: "many guesses at once are judged before they are counted", try: func(t *testing.T, _ *peerWorld) { guessesAtOnce(t, start(t, nil)) }},
	{source: "Zitadel CVE-2024-32868, CVE-2025-64102; Keycloak CVE-2018-14657, CVE-2026-9798", attack: "guesses on another path are not counted", try: guessesElsewhere},
	{source: "Authelia CVE-2025-24806, CVE-2026-47203", attack: "each spelling of a name has guesses of its own", try: guessesBySpelling},
	{source: "Zitadel CVE-2026-23511, CVE-2024-41952", attack: "an answer tells whether somebody has an account", try: enumeration},
	{source: "authentik CVE-2025-53942, CVE-2025-64521; Zitadel CVE-2024-47000, CVE-2024-46999; Keycloak CVE-2026-2603, CVE-2026-3009", attack: "what was switched off goes on working", try: switchedOff},
	{source: "Zitadel CVE-2026-29193, CVE-2026-27946, CVE-2026-54693", attack: "what no page offers can be asked for all the same", try: beneathTheButtons},
	{source: "Zitadel CVE-2026-55670", attack: "a new person inherits what an old one of the same id was granted", later: "people are neither made nor removed by the service yet: they come with a directory document, in which a uid stands once"},

	// Cards.
	{source: "Keycloak CVE-2020-35509", attack: "a certificate that has ended signs in by another path", try: endedCards},
	{source: "Keycloak GHSA-38cg-gg9j-q9j9", attack: "a forged word about revocation is believed", try: forgedStatus},
	{source: "Keycloak GHSA-3qh5-qqj2-c78f, GHSA-5cc8-pgp5-7mpm", attack: "any certificate is good, or every one where no authority is named", try: foreignCards},
	{source: "Okta, October 2024", attack: "what is too long is cut off, and what is left is another's", try: longNames},

	// What is parsed.
	{source: "goxmldsig CVE-2020-15216, CVE-2026-33487; crewjam/saml CVE-2020-27846, CVE-2022-41912; samlify CVE-2025-47949", attack: "the part that is signed is not the part that is read", try: wrappedMessages},
	{source: "Casdoor CVE-2026-9093, CVE-2026-9096, CVE-2026-9098", attack: "an assertion of another time or for somebody else is taken", try: foreignTickets},
	{source: "gosaml2 CVE-2023-26483; crewjam/saml CVE-2023-28119; go-jose CVE-2024-28180", attack: "what is small becomes large when it is unpacked", try: bombs},
	{source: "go-jose CVE-2025-27144, CVE-2026-34986, GHSA-2c7c-3mj9-8fqh; golang-jwt CVE-2025-30204", attack: "a token takes its reader down", try: hardTokens},
	{source: "mod_auth_openidc CVE-2025-3891", attack: "a request without a body takes the server down", try: oddBodies},
	{source: "Hydra CVE-2026-33504; Kratos and Keto alike", attack: "a name becomes a part of a query", try: oddNames},
	{source: "Zitadel CVE-2026-29191, CVE-2026-29192, CVE-2025-67495; Hydra CVE-2019-8400; Authelia CVE-2026-33525", attack: "what is shown back is a script", try: scriptsInEchoes},
	{source: "Casdoor CVE-2024-41657", attack: "any site reads answers with the person's cookies", try: foreignOrigins},
	{source: "Casdoor CVE-2026-5467; mod_auth_openidc issues 449, 453, 565", attack: "a way back leads to another site", try: waysBack},
	{source: "Transmission CVE-2018-5702; Go MCP SDK CVE-2026-34742", attack: "a site reaches what listens on this computer under a name of its own", try: rebinding},
	{source: "Dex CVE-2024-23656", attack: "what was set for TLS is forgotten", later: "no server of ours speaks TLS: what stands before it does"},
	{source: "Zitadel CVE-2024-32967, CVE-2025-67717", attack: "errors tell of our insides", try: insides},
	{source: "Hydra issues 3604, 1928", attack: "refreshes at once, or an outage, cost a client its session", try: refreshInAnOutage},
}

// peerWorld is what peers are tried at.
type peerWorld struct {
	*clocked // two servers, asked in turn, whose clock the test moves

	dev        func(*testing.T) running // as developers have it
	production func(*testing.T) ([]running, map[string]string)
}

func TestPeers(t *testing.T) {
	w := &peerWorld{clocked: aClocked(t, nil)}
	devOnce := sync.OnceValue(func() running { return start(t, nil) })
	w.dev = func(*testing.T) running { return devOnce() }
	productionOnce := sync.OnceValues(func() ([]running, map[string]string) { return productionAt(t, pairIssuer, 2) })
	w.production = func(*testing.T) ([]running, map[string]string) { return productionOnce() }
	for _, p := range peers {
		t.Run(p.source+": "+p.attack, func(t *testing.T) {
			if (p.try == nil) == (p.later == "") {
				t.Fatal("it is either tried, or there is a reason why not")
			}
			if p.later != "" {
				t.Skip(p.later)
			}
			p.try(t, w)
		})
	}
}

// tokens are those of a sign-in of uid for a client, with what else is asked.
func (s running) tokens(t *testing.T, client, uid string, more url.Values) answered {
	t.Helper()
	tokens := s.redeem(t, client, s.signedIn(t, client, uid, more), nil)
	tokens.wantOK(t)
	return tokens
}

// refresh asks for new tokens.
func (s running) refresh(t *testing.T, client, token string) answered {
	t.Helper()
	return s.redeem(t, client, "", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
}

// revoke ends a token.
func (s running) revoke(t *testing.T, client, token string) answered {
	t.Helper()
	req := request(t, http.MethodPost, s.issuer+"/revoke", url.Values{"token": {token}}, "")
	req.SetBasicAuth(client, clientSecret)
	return do(t, req)
}

// proves is an assertion that is good at the time of these servers.
func (w *peerWorld) proves(id string) assertion {
	a, now := w.anAssertion(id), w.clock()
	a.claims["iat"], a.claims["exp"] = now.Unix(), now.Add(3*time.Minute).Unix()
	return a
}

// started is another server in production on the same registry and Redis, which
// remembers nothing.
func started(t *testing.T, settings map[string]string) running {
	t.Helper()
	p, err := wireProduction(t.Context(), settledOf(t, settings), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	server := httptest.NewServer(p.pages.Routes())
	t.Cleanup(server.Close)
	return running{issuer: server.URL}
}
