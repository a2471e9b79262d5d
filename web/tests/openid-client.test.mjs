// A client library that knows nothing of us, openid-client as its authors
// publish it, signs people in. What it checks by itself (state, nonce, PKCE,
// iss of RFC 9207, signature, times) is not checked again here.
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createRemoteJWKSet, jwtVerify } from "jose";
import * as client from "openid-client";
import { Browser, folder, start, within } from "./harness.mjs";

const home = "http://localhost:9/callback"; // nobody listens: the browser stops there
const bye = "http://localhost:9/bye"; // nor there

// The client called "told" listens here: heard has the logout tokens that came.
const heard = [];
const ear = createServer(async (request, response) => {
  const form = new URLSearchParams(Buffer.concat(await request.toArray()).toString());
  heard.push(form.get("logout_token"));
  response.end();
  ear.emit("heard");
}).listen(0, "localhost");
await once(ear, "listening");
after(() => ear.close());

const person = (uid, serial, positions) => `
  - uid: "${uid}"
    name: {title: Dr, given: Asha, middle: Jo, family: Smith, display: Dr Asha Smith}
    email: asha.smith@riverside.example
    identity_assurance: 3
    profile: verified
    positions:${positions.map((id) => `
      - {id: "${id}", org_person_id: "555000000301", organisation: A9A5A, role_code: "S8000:G8000:R8000",
         role_name: '"Clinical":"Clinical Provision":"Clinical Practitioner Access Role"', from: 2024-01-01}`).join("")}
    cards:
      - {serial: "${serial}", series: 9, state: active, certificate: valid, passcode: "123456", tries_left: 3}`;

const scopes = "openid profile email nhsperson nationalrbacaccess associatedorgs selectedrole";

const registration = (id, more) => `
  - {id: ${id}, name: ${id}, redirect_uris: ["${home}"], scopes: [${scopes.replaceAll(" ", ", ")}],
     response_modes: [query, form_post], ${more}}`;

// Keys of the clients that prove themselves with one, by algorithm: the hash
// belongs to the key, so there are two of RSA.
const keys = {};
for (const [alg, parameters] of [
  ["RS256", { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }],
  ["RS512", { name: "RSASSA-PKCS1-v1_5", hash: "SHA-512", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }],
  ["PS256", { name: "RSA-PSS", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }],
  ["ES256", { name: "ECDSA", namedCurve: "P-256" }],
]) {
  const { privateKey, publicKey } = await crypto.subtle.generateKey(parameters, true, ["sign", "verify"]);
  const { kty, n, e, crv, x, y } = await crypto.subtle.exportKey("jwk", publicKey);
  keys[alg] = { key: privateKey, kid: alg, jwk: { kty, n, e, crv, x, y, kid: alg, use: "sig", alg } };
}
const jwks = JSON.stringify({ keys: Object.values(keys).map(({ jwk }) => jwk) });

const directory = `organisations:
  - {code: A9A5A, name: Riverside Surgery}
people:${person("555000000101", "0000101", ["555000000201"])}${person("555000000102", "0000102", ["555000000202", "555000000203"])}
clients:${registration("basic", "secret: basic-secret, auth_method: client_secret_basic")}${
  registration("post", "secret: post-secret, auth_method: client_secret_post")}${
  registration("pkce", "secret: pkce-secret, require_pkce: true")}${
  registration("es256", "secret: es256-secret, id_token_alg: ES256")}${
  registration("renews", "secret: renews-secret, grants: [authorization_code, refresh_token]")}${
  registration("renews-too", "secret: renews-too-secret, grants: [authorization_code, refresh_token]")}${["RS256", "ES256"].map((alg) =>
  registration(`told-${alg}`, `secret: told-${alg}-secret, grants: [authorization_code, refresh_token], id_token_alg: ${alg},
     post_logout_redirect_uris: ["${bye}"], backchannel_logout_uri: "http://localhost:${ear.address().port}/told"`)).join("")}${
  registration("signs", `auth_method: private_key_jwt, jwks: ${jwks}, grants: [authorization_code, refresh_token]`)}
  - {id: program, name: program, auth_method: none, redirect_uris: ["http://127.0.0.1/callback"], scopes: [${scopes.replaceAll(" ", ", ")}]}
`;

const header = (jwt) => JSON.parse(Buffer.from(jwt.split(".")[0], "base64url"));

// rotate lets new keys sign, and says which.
async function rotate(lanyard) {
  const answer = await fetch(`${lanyard.origin}/dev/keys/rotate`, { method: "POST" });
  assert.equal(answer.status, 200);
  return (await answer.json()).kids;
}

async function advance(lanyard, advance) {
  const answer = await fetch(`${lanyard.origin}/dev/clock`,
    { method: "POST", body: JSON.stringify({ advance }), headers: { "content-type": "application/json" } });
  assert.equal(answer.status, 200);
}

const seed = join(folder(), "directory.yaml");
writeFileSync(seed, directory);

for (const layout of ["standard", "cis2"]) {
  describe(`layout ${layout}`, () => {
    let lanyard;
    before(async () => {
      lanyard = await start(["--layout", layout, "--seed", seed]);
    });
    after(() => lanyard.stop());

    // discover makes the library's configuration of one client, with every
    // check on that it leaves off by itself.
    const discover = async (id, method = client.ClientSecretBasic(`${id}-secret`), metadata = {}) => {
      const config = await client.discovery(new URL(lanyard.issuer), id, metadata, method,
        { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] });
      assert.equal(config.serverMetadata().issuer, lanyard.issuer);
      return config;
    };

    // signIn takes one person through a whole sign-in. checks are what the
    // library is to check besides, parameters what it is to ask for.
    const signIn = async (config, { browser = new Browser(home), redirect = home, pkce = true, card, role, checks = {}, ...parameters } = {}) => {
      const state = client.randomState();
      const nonce = client.randomNonce();
      const verifier = pkce ? client.randomPKCECodeVerifier() : undefined;
      const url = client.buildAuthorizationUrl(config, {
        redirect_uri: redirect, scope: scopes, state, nonce, ...parameters,
        ...(pkce && { code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256" }),
      });
      const { did, end } = await browser.signIn(url, { card, role });
      assert.ok(end.values, `the sign-in ended on a page: ${end.status} ${end.text}`);
      assert.equal(end.values.get("iss"), lanyard.issuer, "RFC 9207 §2: iss comes with every answer");

      const tokens = await client.authorizationCodeGrant(config, end.request,
        { expectedState: state, expectedNonce: nonce, pkceCodeVerifier: verifier, idTokenExpected: true, ...checks });
      const claims = tokens.claims();
      const userinfo = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
      return { did, end, tokens, claims, userinfo, browser };
    };

    const checkClaims = ({ claims, userinfo, tokens }, id) => {
      assert.equal(claims.iss, lanyard.issuer);
      assert.equal(claims.aud, id, "aud is one string");
      assert.equal(claims.azp, id);
      assert.equal(claims.sub, "555000000101");
      assert.equal(claims.acr, "AAL3_ANY");
      assert.deepEqual(claims.amr, ["CIS2_SMARTCARD"]);
      assert.equal(typeof claims.sid, "string");
      assert.equal(typeof claims.auth_time, "number");
      assert.equal(claims.authentication_assurance_level, "3", "levels are digits in text");
      assert.equal(claims.id_assurance_level, "3");
      assert.equal(claims.idassurancelevel, "3");
      assert.equal(claims.selected_roleid, "555000000201");
      assert.equal(claims.exp - claims.iat, 3600);
      assert.equal(tokens.expires_in, 3600);
      assert.equal(tokens.token_type, "bearer"); // as the library spells it

      assert.equal(userinfo.sub, claims.sub);
      assert.equal(userinfo.uid, claims.sub);
      assert.equal(userinfo.name, "Asha Smith");
      assert.equal(userinfo.email, "asha.smith@riverside.example");
      assert.equal(userinfo.selected_roleid, claims.selected_roleid);
      assert.deepEqual(userinfo.nhsid_user_orgs, [{ org_name: "Riverside Surgery", org_code: "A9A5A" }]);
      assert.equal(userinfo.nhsid_nrbac_roles[0].person_roleid, claims.selected_roleid);
    };

    for (const [name, id, method, options, metadata] of [
      ["client_secret_basic with PKCE", "basic", client.ClientSecretBasic("basic-secret"), {}],
      ["client_secret_basic without PKCE", "basic", client.ClientSecretBasic("basic-secret"), { pkce: false }],
      ["client_secret_post with PKCE", "post", client.ClientSecretPost("post-secret"), {}],
      ["client_secret_post without PKCE", "post", client.ClientSecretPost("post-secret"), { pkce: false }],
      ["a client that must use PKCE", "pkce", client.ClientSecretBasic("pkce-secret"), {}],
      ["response_mode=form_post", "basic", client.ClientSecretBasic("basic-secret"), { response_mode: "form_post" }],
      ["ID tokens signed with ES256", "es256", client.ClientSecretBasic("es256-secret"), {}, { id_token_signed_response_alg: "ES256" }],
    ]) {
      test(`${name} signs in`, async () => {
        const config = await discover(id, method, metadata);
        const result = await signIn(config, options);
        checkClaims(result, id);
        assert.deepEqual(result.did, options.response_mode ? ["card", "passcode", "return"] : ["card", "passcode"]);
        assert.equal(header(result.tokens.id_token).alg, metadata?.id_token_signed_response_alg ?? "RS256");
      });
    }

    for (const alg of Object.keys(keys)) {
      for (const audience of ["issuer", "token_endpoint"]) {
        test(`P11: private_key_jwt by ${alg} for the ${audience} signs in`, async () => {
          const { key, kid } = keys[alg];
          const method = client.PrivateKeyJwt({ key, kid }, {
            [client.modifyAssertion]: (_, payload) => {
              if (audience === "token_endpoint") {
                payload.aud = config.serverMetadata().token_endpoint;
              }
            },
          });
          const config = await discover("signs", method);
          checkClaims(await signIn(config), "signs");
        });
      }
    }

    test("own rule: of two roles the chosen one is in the tokens, and is offered the next time", async () => {
      const config = await discover("basic");
      const first = await signIn(config, { card: "0000102", role: "555000000203" });
      assert.deepEqual(first.did, ["card", "passcode", "role"]);
      assert.equal(first.claims.selected_roleid, "555000000203");
      const second = await signIn(config, { card: "0000102" });
      assert.equal(second.claims.selected_roleid, "555000000203");
    });

    test("OIDC Core §3.1.2.1: prompt=login asks again, max_age only when it has passed", async () => {
      const config = await discover("basic");
      const first = await signIn(config);
      const { browser } = first;

      const again = await signIn(config, { browser, max_age: "300", checks: { maxAge: 300 } });
      assert.deepEqual(again.did, [], "a live session needs no page");
      assert.equal(again.claims.sid, first.claims.sid);
      assert.equal(again.claims.auth_time, first.claims.auth_time);

      const fresh = await signIn(config, { browser, prompt: "login" });
      assert.deepEqual(fresh.did, ["card", "passcode"]);
      assert.ok(fresh.claims.auth_time >= first.claims.auth_time);
      assert.equal(fresh.claims.sid, first.claims.sid, "who signs in again is the same person in the same session");
    });

    test("own rule: acr is the first requested value that was met, as requested", async () => {
      const config = await discover("basic");
      for (const [asked, got] of [["AAL2_OR_AAL3_ANY", "AAL2_OR_AAL3_ANY"], ["AAL3_FIDO2 AAL3_CIS2_SMARTCARD", "AAL3_CIS2_SMARTCARD"]]) {
        const { claims } = await signIn(config, { acr_values: asked });
        assert.equal(claims.acr, got);
      }
    });

    // refused expects the library to be told no, with an OAuth error code. Of
    // an answer with a challenge (RFC 6749 §5.2) the library reads no further.
    const refused = async (promise, error) => {
      const told = await promise.then(() => assert.fail("was not refused"), (e) => e);
      if (told instanceof client.WWWAuthenticateChallengeError) {
        assert.equal(told.status, 401);
        assert.equal((await told.response.json()).error, error);
      } else {
        assert.equal(told.error, error, told.stack);
      }
    };

    test("P17, RFC 8252 §7.3: a public client on this computer signs in from any port", async () => {
      for (const redirect of ["http://127.0.0.1/callback", "http://127.0.0.1:49152/callback"]) {
        const result = await signIn(await discover("program", client.None()), { redirect, browser: new Browser(redirect) });
        checkClaims(result, "program");
      }
      // No secret proves it: what a code was asked for with does.
      const config = await discover("program", client.None());
      const browser = new Browser("http://127.0.0.1/callback");
      await refused(signIn(config, { redirect: browser.home, browser, pkce: false }), "invalid_request");
      await refused(signIn(config, { redirect: browser.home, browser, checks: { pkceCodeVerifier: client.randomPKCECodeVerifier() } }), "invalid_grant");
      for (const elsewhere of ["http://localhost:49152/callback", "http://127.0.0.1:49152/other", "https://127.0.0.1/callback", "lanyard-test:/callback"]) {
        const { end } = await new Browser().signIn(client.buildAuthorizationUrl(config, { redirect_uri: elsewhere, scope: "openid" }));
        assert.equal(end.status, 400, elsewhere);
      }
    });

    test("OIDC Core §3.1.2.6: what cannot be is told to the client", async () => {
      const config = await discover("basic");
      await refused(signIn(config, { acr_values: "AAL3_FIDO2" }), "unmet_authentication_requirements");
      await refused(signIn(config, { prompt: "none" }), "login_required");
      await refused(signIn(await discover("pkce"), { pkce: false }), "invalid_request"); // RFC 7636 §4.4.1
      await refused(signIn(config, { scope: "profile" }), "invalid_scope");
    });

    test("RFC 6749 §5.2: a wrong secret, a wrong verifier and a used code bring no token", async () => {
      await refused(signIn(await discover("basic", client.ClientSecretBasic("wrong"))), "invalid_client");
      await refused(signIn(await discover("post", client.ClientSecretPost("wrong"))), "invalid_client");
      const config = await discover("basic");
      await refused(signIn(config, { checks: { pkceCodeVerifier: client.randomPKCECodeVerifier() } }), "invalid_grant");

      const { end, tokens, claims } = await signIn(config, { pkce: false });
      await refused(client.authorizationCodeGrant(config, end.request,
        { expectedState: end.values.get("state"), expectedNonce: claims.nonce }), "invalid_grant");
      // RFC 6749 §4.1.2: the second use takes back what the first one gave.
      await assert.rejects(client.fetchUserInfo(config, tokens.access_token, claims.sub), client.WWWAuthenticateChallengeError);
    });

    for (const [id, method] of [["renews", client.ClientSecretBasic("renews-secret")], ["signs", client.PrivateKeyJwt(keys.RS512)]]) {
      test(`RFC 6749 §6: ${id} renews its tokens, and they are about the same sign-in`, async () => {
        const config = await discover(id, method);
        const { tokens, claims } = await signIn(config);
        const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
        assert.notEqual(renewed.access_token, tokens.access_token);
        assert.notEqual(renewed.refresh_token, tokens.refresh_token);
        for (const name of ["iss", "sub", "aud", "azp", "sid", "auth_time", "acr", "selected_roleid"]) {
          assert.equal(renewed.claims()[name], claims[name], name);
        }
        assert.equal((await client.fetchUserInfo(config, renewed.access_token, claims.sub)).sub, claims.sub);
        const fewer = await client.refreshTokenGrant(config, renewed.refresh_token, { scope: "openid profile" });
        assert.equal(fewer.scope, "openid profile");
        assert.equal((await client.fetchUserInfo(config, fewer.access_token, claims.sub)).email, undefined);
        await refused(client.refreshTokenGrant(config, fewer.refresh_token, { scope: "openid professionalmemberships" }), "invalid_scope");
      });
    }

    test("P8: another client's refresh token is refused, and a client without the grant gets none", async () => {
      const { tokens } = await signIn(await discover("renews"));
      await refused(client.refreshTokenGrant(await discover("renews-too"), tokens.refresh_token), "invalid_grant");
      assert.equal((await signIn(await discover("basic"))).tokens.refresh_token, undefined);
    });

    for (const [id, method] of [["renews", client.ClientSecretBasic("renews-secret")], ["signs", client.PrivateKeyJwt(keys.ES256)]]) {
      test(`RFC 7662 §2.2: ${id} learns of its own tokens`, async () => {
        const config = await discover(id, method);
        const { tokens, claims } = await signIn(config);
        for (const token of [tokens.access_token, tokens.refresh_token]) {
          const told = await client.tokenIntrospection(config, token);
          assert.deepEqual([told.active, told.sub, told.client_id, told.iss, told.sid], [true, claims.sub, id, lanyard.issuer, claims.sid]);
        }
        assert.deepEqual(await client.tokenIntrospection(await discover("renews-too"), tokens.access_token), { active: false });
        assert.deepEqual(await client.tokenIntrospection(config, "x"), { active: false });
      });

      test(`RFC 7009 §2.1: ${id} revokes one token, and all that came with it have ended`, async () => {
        const config = await discover(id, method);
        for (const which of ["access_token", "refresh_token"]) {
          const { tokens, claims } = await signIn(config);
          await client.tokenRevocation(config, tokens[which]);
          assert.deepEqual(await client.tokenIntrospection(config, tokens.access_token), { active: false });
          await assert.rejects(client.fetchUserInfo(config, tokens.access_token, claims.sub), client.WWWAuthenticateChallengeError);
          await refused(client.refreshTokenGrant(config, tokens.refresh_token), "invalid_grant");
          await client.tokenRevocation(config, tokens[which]); // once more is no error
        }
      });
    }

    // told waits for a logout token and checks it as an application does, by a
    // library that knows nothing of us. The keys are new: jose asks for unknown
    // ones at most twice a minute.
    const told = async (config, before) => {
      while (heard.length === before) await within(once(ear, "heard"), "the logout token");
      const { payload, protectedHeader } = await jwtVerify(heard[before], createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri)),
        { issuer: lanyard.issuer, audience: config.clientMetadata().client_id, typ: "logout+jwt", requiredClaims: ["iat", "exp", "jti", "sub", "sid"] });
      assert.ok(payload.events["http://schemas.openid.net/event/backchannel-logout"]);
      assert.equal(payload.nonce, undefined);
      assert.equal(heard.length, before + 1, "once");
      return { ...payload, alg: protectedHeader.alg };
    };

    for (const alg of ["RS256", "ES256"]) {
      const id = `told-${alg}`;
      const discoverTold = () => discover(id, undefined, { id_token_signed_response_alg: alg });

      test(`OIDC RP-Initiated Logout §2: ${id} signs people out, whatever keys signed meanwhile`, async () => {
        const config = await discoverTold();
        const { browser, tokens, claims } = await signIn(config);
        await rotate(lanyard);
        const before = heard.length;
        browser.home = bye;
        const state = client.randomState();
        const end = await browser.visit(client.buildEndSessionUrl(config,
          { id_token_hint: tokens.id_token, post_logout_redirect_uri: bye, state }));
        assert.equal(end.url?.href, `${bye}?state=${state}`, end.text);
        const { sid, sub, alg: signed } = await told(config, before);
        assert.deepEqual([sid, sub, signed], [claims.sid, claims.sub, alg]);

        browser.home = home;
        await refused(signIn(config, { browser, prompt: "none" }), "login_required");
        await refused(client.refreshTokenGrant(config, tokens.refresh_token), "invalid_grant");
        await assert.rejects(client.fetchUserInfo(config, tokens.access_token, claims.sub), client.WWWAuthenticateChallengeError);
      });

      test(`OIDC Back-Channel Logout §2.5: ${id} hears of a person who signed out elsewhere`, async () => {
        const config = await discoverTold();
        const { browser, tokens, claims } = await signIn(config);
        const { claims: others } = await signIn(config);
        const before = heard.length;
        const account = await browser.visit(`${lanyard.origin}/account`);
        await browser.submit(account, account.formTo("/login/change"));
        const { sid, sub } = await told(config, before);
        assert.deepEqual([sid, sub], [claims.sid, claims.sub]);
        assert.notEqual(sid, others.sid);
        await refused(client.refreshTokenGrant(config, tokens.refresh_token), "invalid_grant");
      });
    }

    // The last test: the service's clock is ahead afterwards. The library asks
    // for keys that it does not know when a minute has gone by since it last
    // did, so time goes by for both.
    test("keys: when they change the library gets on with it, and goes on with what it had", async (t) => {
      t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
      const pass = async (minutes) => {
        t.mock.timers.setTime(Date.now() + minutes * 60_000);
        await advance(lanyard, `${minutes}m`);
      };
      const config = await discover("renews");
      let { browser, tokens, claims } = await signIn(config);
      for (let times = 0; times < 2; times++) {
        await pass(2);
        const kids = await rotate(lanyard);
        tokens = await client.refreshTokenGrant(config, tokens.refresh_token);
        assert.ok(kids.includes(header(tokens.id_token).kid), "a new key signs");
        assert.equal(tokens.claims().sid, claims.sid);
        const fresh = await signIn(config);
        assert.ok(kids.includes(header(fresh.tokens.id_token).kid));
        // What an old key signed is still known here.
        await rotate(lanyard);
        await pass(2);
        assert.deepEqual((await signIn(config, { browser, prompt: "none", id_token_hint: tokens.id_token })).did, []);
      }
    });
  });
}
