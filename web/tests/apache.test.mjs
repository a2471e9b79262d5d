// Apache with mod_auth_openidc signs people in with us, in a real browser.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { Apache } from "./apache.mjs";
import { folder, freePort, within } from "./harness.mjs";
import { Person, setUp, world } from "./person.mjs";

const home = `http://localhost:${await freePort()}`;
const seed = join(folder(), "directory.yaml");
writeFileSync(seed, `organisations:
  - {code: A9A5A, name: Riverside Surgery}
people:
  - uid: "555000000101"
    name: {title: Dr, given: Asha, family: Smith, display: Dr Asha Smith}
    identity_assurance: 3
    positions:
      - {id: "555000000201", org_person_id: "555000000301", organisation: A9A5A, role_code: "S8000:G8000:R8000", role_name: "Clinician"}
    cards:
      - {serial: "0000101"}
clients:
  - {id: ward-list, name: Ward list, secret: ward-list-secret, redirect_uris: ["${home}/protected/redirect_uri"], scopes: [openid, profile, selectedrole],
     post_logout_redirect_uris: ["${home}/"], backchannel_logout_uri: "${home}/protected/redirect_uri?logout=backchannel",
     grants: [authorization_code, refresh_token]}
`);

const apache = new Apache(home);
setUp(() => apache.start(world.lanyard.issuer, "ward-list", "ward-list-secret"), ["--seed", seed]);
after(() => apache.stop?.());

// arrive brings somebody to the protected page, with their card.
async function arrive(t) {
  const person = await Person.arrive(t);
  await person.open(apache.protected);
  await person.choose("0000101");
  await person.type();
  await isIn(person);
  return person;
}

// isIn waits for the protected page, which shows who Apache says is there.
async function isIn({ page }) {
  await page.waitForURL(apache.protected);
  assert.equal(await page.locator("#user").innerText(), "555000000101");
}

// holds is what mod_auth_openidc keeps for the browser.
async function holds({ page }) {
  const answer = await page.request.get(`${apache.protected}redirect_uri?info=json`);
  assert.equal(answer.status(), 200);
  return answer.json();
}

async function introspect(token) {
  const answer = await fetch(`${world.lanyard.issuer}/introspect`, { method: "POST", body: new URLSearchParams({ token }),
    headers: { authorization: `Basic ${Buffer.from("ward-list:ward-list-secret").toString("base64")}` } });
  assert.equal(answer.status, 200);
  return (await answer.json()).active;
}

test("own rule: Apache lets in who signed in by card, and tells the application who that is", async (t) => {
  const person = await arrive(t);
  assert.equal(await person.page.locator("#name").innerText(), "Asha Smith");
  assert.equal(await person.page.locator("#role").innerText(), "555000000201");
  const before = person.passcodes;
  await person.open(apache.protected);
  await isIn(person);
  assert.equal(person.passcodes, before);
});

test("RFC 6749 §6: Apache renews its tokens while the person works", async (t) => {
  const person = await arrive(t);
  const first = await holds(person);
  await person.open(apache.protected);
  await isIn(person);
  const second = await holds(person);
  assert.notEqual(second.access_token, first.access_token);
  assert.notEqual(second.refresh_token, first.refresh_token);
  assert.equal(await introspect(second.access_token), true);
});

test("keys: when they change Apache goes on, and signs in the next person", async (t) => {
  const person = await arrive(t);
  for (let times = 0; times < 2; times++) {
    assert.equal((await fetch(`${world.lanyard.origin}/dev/keys/rotate`, { method: "POST" })).status, 200);
    await person.open(apache.protected);
    await isIn(person);
    await arrive(t);
  }
});

// wantsCard waits for the page on which people sign in, where the protected one
// was asked for.
async function wantsCard(person) {
  await person.open(apache.protected);
  await person.page.waitForURL(`${world.lanyard.origin}/login?**`);
}

test("OIDC RP-Initiated Logout §2: Apache signs people out here and there", async (t) => {
  const person = await arrive(t);
  const { access_token } = await holds(person);
  await person.open(`${apache.protected}redirect_uri?logout=${encodeURIComponent(`${home}/`)}`);
  await person.page.waitForURL(`${home}/**`);
  assert.equal(await introspect(access_token), false);
  await wantsCard(person);
});

test("OIDC Back-Channel Logout §2.5: Apache ends the session of who signed out elsewhere, and nobody else's, whatever keys signed meanwhile", async (t) => {
  const stays = await arrive(t);
  for (const rotated of [false, true]) {
    const person = await arrive(t);
    assert.equal((await person.page.request.get(apache.quiet, { maxRedirects: 0 })).status(), 200);
    if (rotated) assert.equal((await fetch(`${world.lanyard.origin}/dev/keys/rotate`, { method: "POST" })).status, 200);
    await person.open(`${world.lanyard.origin}/account`);
    await person.click(person.page.getByRole("button", { name: "Change user" }));
    // The quiet page asks nobody: only who was told knows that it is over.
    await within((async () => {
      while ((await person.page.request.get(apache.quiet, { maxRedirects: 0 })).status() === 200);
    })(), "the end of the session at Apache");
    await wantsCard(person);
  }
  assert.equal((await stays.page.request.get(apache.quiet, { maxRedirects: 0 })).status(), 200);
});
