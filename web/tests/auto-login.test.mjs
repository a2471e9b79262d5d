// `lanyard dev` as a fixture for other programs' tests: it signs people in by
// itself, stops when told, and refuses to stand where production was meant.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import * as client from "openid-client";
import { Browser, folder, run, start } from "./harness.mjs";

const one = "555000000101"; // has one position
const five = "555000000102";
const none = "555000000104"; // has no position

// authorize asks lanyard for a sign-in as the demo application does, and
// returns the answer with what it took to get there.
async function authorize(lanyard, parameters = {}, browser = new Browser(`${lanyard.rp}/callback`)) {
  const config = await client.discovery(new URL(lanyard.issuer), "demo-rp", {}, client.ClientSecretBasic("demo-secret"),
    { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] });
  const verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: `${lanyard.rp}/callback`, scope: "openid profile selectedrole", state,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", ...parameters,
  });
  const answer = await browser.visit(url);
  assert.ok(answer.values, `a page was shown: ${answer.status} ${answer.text}`);
  assert.equal(browser.pages, 0);
  assert.ok(browser.redirects <= 5, `${browser.redirects} redirects`);
  assert.equal(answer.values.get("state"), state);
  assert.equal(answer.values.get("iss"), lanyard.issuer);
  const redeem = async (checks = {}) => (await client.authorizationCodeGrant(config, answer.request,
    { expectedState: state, pkceCodeVerifier: verifier, idTokenExpected: true, ...checks })).claims();
  return { values: answer.values, error: answer.values.get("error"), redeem, browser };
}

describe("own rule: --auto-login answers every request by redirects alone", () => {
  let lanyard;
  before(async () => (lanyard = await start(["--auto-login", one])));
  after(() => lanyard.stop());

  test("the person is signed in with their card", async () => {
    const claims = await (await authorize(lanyard)).redeem();
    assert.equal(claims.sub, one);
    assert.deepEqual(claims.amr, ["CIS2_SMARTCARD"]);
    assert.equal(claims.acr, "AAL3_ANY");
    assert.equal(claims.selected_roleid, "555000000201");
  });

  test("prompt=none succeeds", async () => {
    assert.equal((await (await authorize(lanyard, { prompt: "none" })).redeem()).sub, one);
  });

  test("prompt=login and max_age=0 are met, and to applications it stays one session", async () => {
    const browser = new Browser(`${lanyard.rp}/callback`);
    const sessions = new Set();
    for (const parameters of [{}, { prompt: "login" }, { max_age: "0" }]) {
      const { redeem } = await authorize(lanyard, parameters, browser);
      sessions.add((await redeem(parameters.max_age && { maxAge: Number(parameters.max_age) })).sid);
    }
    assert.equal(sessions.size, 1);
  });

  test("the demo application signs in without a page", async () => {
    const browser = new Browser();
    const page = await browser.visit(`${lanyard.rp}/login`);
    assert.equal(page.url.href, `${lanyard.rp}/`);
    assert.match(page.text, /You are signed in as Dr Asha Smith/);
    assert.equal(browser.pages, 1);
  });

  test("what the card cannot meet is told to the client", async () => {
    assert.equal((await authorize(lanyard, { acr_values: "AAL3_FIDO2" })).error, "unmet_authentication_requirements");
    assert.equal((await authorize(lanyard, { scope: "profile" })).error, "invalid_scope");
  });
});

for (const [who, uid, role] of [["five positions works in the first by id", five, "555000001001"], ["no position signs in without one", none]]) {
  test(`own rule: with --auto-login a person with ${who}`, async () => {
    const lanyard = await start(["--auto-login", uid]);
    const claims = await (await authorize(lanyard)).redeem();
    assert.equal(claims.sub, uid);
    assert.equal(claims.selected_roleid, role);
    // The role that was used last changes nothing.
    assert.equal((await (await authorize(lanyard, { prompt: "none" })).redeem()).selected_roleid, role);
    await lanyard.stop();
  });
}

for (const [who, uid] of [
  ["without a card", "555000000105"],
  ["whose card has expired", "555000000106"],
  ["whose card is blocked", "555000000108"],
  ["whose card is revoked", "555000000109"],
  ["whose card is not registered", "555000000111"],
  ["whose card is suspended", "555000000112"],
  ["with an unverified profile", "555000000113"],
  ["with a restricted profile", "555000000114"],
  ["with a closed profile", "555000000115"],
]) {
  test(`own rule: with --auto-login a person ${who} is an error at the client`, async () => {
    const lanyard = await start(["--auto-login", uid]);
    for (const parameters of [{}, { prompt: "none" }]) {
      const { values, error } = await authorize(lanyard, parameters);
      assert.equal(error, "access_denied");
      assert.equal(values.has("code"), false);
    }
    await lanyard.stop();
  });
}

test("own rule: an unknown UID ends the start with status 3", async () => {
  const { status, out, err } = await run(["dev", "--auto-login", "555000009999", "--listen", "localhost:0", "--rp-listen", "localhost:0", "--ops-listen", "localhost:0"]);
  assert.equal(status, 3);
  assert.doesNotMatch(out, /^ready/m);
  assert.match(err, /555000009999/);
});

for (const setting of ["LANYARD_POSTGRES_URL", "LANYARD_REDIS_ADDRESSES", "LANYARD_KEYS_KEYSET_FILE"]) {
  test(`own rule: it does not start where ${setting} is set`, async () => {
    const { status, out, err } = await run(["dev"], { [setting]: "x" });
    assert.equal(status, 2);
    assert.equal(out, "");
    assert.match(err, new RegExp(setting));
  });
}

test("own rule: it listens on this computer alone", async () => {
  const { status, err } = await run(["dev", "--listen", "0.0.0.0:0"]);
  assert.equal(status, 2);
  assert.match(err, /this computer alone/);
});

for (const signal of ["SIGINT", "SIGTERM"]) {
  test(`own rule: ${signal} ends it with status 0`, async () => {
    const lanyard = await start();
    // A browser that keeps its connection open must not hold it up.
    const response = await fetch(`${lanyard.origin}/`);
    assert.equal(response.status, 200);
    await response.text();
    await lanyard.stop(signal);
  });
}

test("own rule: with --state a card remembers its tries", async () => {
  const state = join(folder(), "state.yaml");
  const passcode = "000000";
  const tries = async (browser, lanyard) => {
    const { end } = await browser.signIn(`${lanyard.rp}/login`, { passcode });
    return end.text.match(/(\d) (?:try|tries) left/i)?.[1] ?? end.text.match(/one try left/i)?.[0];
  };

  const first = await start(["--state", state]);
  assert.equal(await tries(new Browser(), first), "2");
  await first.stop();
  assert.match(await readFile(state, "utf8"), /serial: "0000101".*?tries_left: 2\b/s);

  const second = await start(["--state", state]);
  assert.match(await tries(new Browser(), second), /^(1|one try left)$/i);
  await second.stop();
});
