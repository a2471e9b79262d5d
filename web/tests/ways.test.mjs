// The ways to sign in besides a card, in a real browser.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Key, addCode, addKey, anew, asking, claims, one, said, toAccount } from "./held.mjs";
import { Person, setUp, world } from "./person.mjs";

setUp();

const any = "AAL2_OR_AAL3_ANY";
const way = (person, name) => person.page.getByRole("button", { name });
const keyWay = (person) => way(person, /^Passkey or security key/);

for (const [what, synced] of [["a synced passkey", true], ["a key bound to its device, whose maker nobody vouches for,", false]]) {
  test(`${what} signs in at level 2`, async (t) => {
    const person = await Person.arrive(t);
    const key = await Key.plugIn(person, { synced });
    await toAccount(person, "0000101");
    await addKey(person, `Key ${synced}`);
    assert.match(await one(person, `Key ${synced}`).innerText(), /level 2/);
    assert.equal((await key.credentials()).length, 1);
    assert.equal((await key.credentials())[0].isResidentCredential, true);

    await anew(person);
    await person.open(asking(any));
    await person.page.waitForURL(/\/login\?/);
    if (synced) await person.inspect("all ways");
    await person.click(keyWay(person));
    const got = await claims(person);
    assert.deepEqual([got.acr, got.amr, got.authentication_assurance_level, got.sub], [any, ["PASSKEY"], "2", "555000000101"]);
    if (synced) await person.inspect("signed in by passkey");
  });
}

test("a passkey is offered in the field for a name, and nothing is pressed", async (t) => {
  const person = await Person.arrive(t);
  await Key.plugIn(person, { offered: true });
  await toAccount(person, "0000101");
  await addKey(person, "Offered");
  await anew(person);
  const before = person.clicks;
  await person.open(asking(any));
  assert.deepEqual((await claims(person)).amr, ["PASSKEY"]);
  assert.equal(person.clicks, before);
});

describe("a key that does not know whose hand it is in", () => {
  test("is refused by the browser, in words", async (t) => {
    const person = await Person.arrive(t);
    const key = await Key.plugIn(person);
    await toAccount(person, "0000104");
    await key.verified(false);
    await person.open(`${world.lanyard.origin}/account/add/passkey`);
    await person.page.getByLabel("What do you want to call it?").fill("Somebody's");
    await person.click(person.page.getByRole("button", { name: "Add it" }));
    assert.match(await said(person), /^No key was used/);
    await person.inspect("no key added");
    assert.equal((await key.credentials()).length, 0);
    await key.verified(true);
    await addKey(person, "Mine"); // the form can be sent again

    await anew(person);
    await person.open(asking(any));
    await person.page.waitForURL(/\/login\?/);
    await key.verified(false);
    await person.click(keyWay(person));
    assert.match(await said(person), /^No key was used/);
    await person.inspect("no key used");
  });

  test("is refused by the service, when the browser lets it pass", async (t) => {
    const person = await Person.arrive(t);
    await person.page.addInitScript(() => {
      const parse = PublicKeyCredential.parseRequestOptionsFromJSON;
      PublicKeyCredential.parseRequestOptionsFromJSON = (json) => parse.call(PublicKeyCredential, { ...json, userVerification: "discouraged" });
    });
    const key = await Key.plugIn(person);
    await toAccount(person, "0000104");
    await addKey(person, "Unlocked");
    await anew(person);
    await person.open(asking(any));
    await person.page.waitForURL(/\/login\?/);
    await key.verified(false);
    await person.click(keyWay(person));
    assert.equal(await person.code(), "KEY-01");
    await person.inspect("KEY-01");
    assert.equal(new URL(person.page.url()).origin, world.lanyard.origin, "nobody is signed in");
  });
});

for (const scripts of [true, false]) {
  const mode = scripts ? "" : " without scripts";
  const card = scripts ? "0000102" : "0000103";
  test(`a password and a one-time code${mode}`, async (t) => {
    const person = await Person.arrive(t, { javaScriptEnabled: scripts });
    await toAccount(person, card);
    const address = await person.page.locator("section[aria-labelledby=email-heading] strong").innerText();
    const app = await addCode(person, "anchor velvet thimble");
    assert.match(await one(person, "Password and one-time code").innerText(), /level 2/);

    const enter = async (code, password = "anchor velvet thimble") => {
      await person.page.getByLabel("Password", { exact: true }).fill(password);
      await person.page.getByLabel("One-time code from your app").fill(code);
      await person.click(way(person, "Sign in"));
    };
    const start = async () => {
      await anew(person);
      await person.open(asking(any));
      await person.page.waitForURL(/\/login\?/);
      await person.page.getByLabel("E-mail address").fill(address);
      await person.click(way(person, "Continue"));
      await person.page.waitForURL(/\/login\/totp\?/);
      assert.equal(await person.page.getByLabel("E-mail address").inputValue(), address);
    };
    await start();
    if (scripts) await person.inspect("totp");
    await enter("000000");
    assert.equal(await person.code(), "OTP-01");
    assert.equal(await person.page.getByLabel("Password", { exact: true }).inputValue(), "", "the password is not shown again");
    if (scripts) await person.inspect("totp wrong code");
    const code = await app.next();
    await enter(code, "some other password");
    await person.page.locator('[data-code="OTP-01"]').waitFor();
    await enter(await app.next());
    const got = await claims(person);
    assert.deepEqual([got.acr, got.amr, got.authentication_assurance_level], [any, ["TOTP"], "2"]);

    await start();
    const last = await app.next();
    await enter(last);
    await claims(person);
    await start();
    await enter(last);
    assert.equal(await person.code(), "OTP-01", "a code counts once");
  });

  test(`the organisation's own account${mode}`, async (t) => {
    const person = await Person.arrive(t, { javaScriptEnabled: scripts });
    await person.open(asking(any));
    const away = async () => {
      await person.click(way(person, /^Your organisation's account/));
      await person.page.waitForURL(/\/dev\/upstream\/authorize/);
    };
    const as = async (name) => {
      await away();
      await person.page.getByLabel(name).check();
      await person.click(person.continue);
    };
    await away();
    await person.inspect("upstream");
    await person.click(way(person, "Sign in as nobody"));
    assert.equal(await person.code(), "FED-01");
    if (scripts) await person.inspect("FED-01");
    for (const [name, code] of [["Oluwaseun Adeyemi", "FED-02"], ["Bronwen Pritchard", "FED-03"]]) {
      await as(name);
      await person.page.locator(`[data-code="${code}"]`).waitFor();
      if (scripts) await person.inspect(code);
    }
    await as("Rowan Campbell");
    const got = await claims(person);
    assert.deepEqual([got.amr, got.authentication_assurance_level, got.sub], [["NHSMAIL"], "2", "555000000105"]);

    // Without a card nobody gets further than level 2, and the page says why.
    await person.open(asking("AAL3_ANY"));
    assert.match(await person.page.locator("main").innerText(), /needs a stronger way to sign in/);
    assert.equal(await way(person, /^Your organisation's account/).count(), 0);
  });
}

test("stepping up: what is missing is asked for, with the reason, and nothing else", async (t) => {
  const person = await Person.arrive(t);
  const key = await Key.plugIn(person);
  await toAccount(person, "0000118");
  await addKey(person, "Pocket");
  await anew(person);
  await person.open(asking(any));
  await person.page.waitForURL(/\/login\?/);
  await person.click(keyWay(person));
  const low = await claims(person);
  assert.equal(low.authentication_assurance_level, "2");

  await person.open(asking("AAL3_ANY"));
  await person.page.waitForURL(/\/login\?/);
  assert.match(await person.page.locator("main .lanyard-status").first().innerText(), /^You are signed in, but Demo application needs a stronger way to sign in\.$/);
  assert.equal(await keyWay(person).count(), 0, "a way that is not enough is not offered");
  await person.page.getByRole("button", { name: /^Not .*\? Change user$/ }).waitFor();
  await person.inspect("step up");
  await person.choose("0000118");
  await person.type();
  const high = await claims(person);
  assert.deepEqual([high.acr, high.amr, high.authentication_assurance_level, high.sub], ["AAL3_ANY", ["CIS2_SMARTCARD"], "3", low.sub]);

  // What was proved meets less too, without a page.
  const before = person.clicks;
  await person.open(asking(any));
  assert.deepEqual((await claims(person)).amr, ["CIS2_SMARTCARD"]);
  assert.equal(person.clicks, before);
});

test("an application that takes level 3 alone offers nothing less, whatever it is asked for", async (t) => {
  const person = await Person.arrive(t);
  await person.open(`${world.lanyard.origin}/authorize?${new URLSearchParams({ client_id: "demo-aal3", redirect_uri: "http://localhost:8081/callback",
    response_type: "code", scope: "openid", acr_values: `${any} AAL3_ANY` })}`);
  await person.page.waitForURL(/\/login\?/);
  assert.equal(await keyWay(person).count(), 0);
  assert.equal(await way(person, /^Your organisation's account/).count(), 0);
  assert.ok(await person.page.locator("a.lanyard-card").count() > 10);
});

test("somebody else takes over at the desk and inherits nothing", async (t) => {
  const person = await Person.arrive(t);
  await toAccount(person, "0000101");
  await person.open(asking(any));
  assert.match(await person.isBack(), /Dr Asha Smith/);
  await person.open(asking("AAL2_OR_AAL3_ANY", "&prompt=login"));
  await person.page.waitForURL(/\/login\?/);
  assert.match(await person.page.locator("main .lanyard-status").first().innerText(), /asks you to sign in again/);
  await person.click(way(person, "Not Dr Asha Smith? Change user"));
  await person.page.waitForURL(/\/login\?/);
  assert.doesNotMatch(await person.page.locator(".lanyard-body").innerText(), /Signed in as/);
  await person.choose("0000104");
  await person.type();
  assert.match(await person.isBack(), /Miss Bronwen Pritchard/);
  await person.open(`${world.lanyard.origin}/account`);
  assert.match(await person.page.locator("main").innerText(), /Miss Bronwen Pritchard/);
  assert.doesNotMatch(await person.page.locator("main").innerText(), /Smith/);
});

test("the way of last time comes first", async (t) => {
  const person = await Person.arrive(t);
  const first = () => person.page.locator(".lanyard-way__label, .lanyard-cards__heading").first().innerText();
  await person.open(asking(any));
  await person.click(way(person, /^Your organisation's account/));
  await person.page.getByLabel("Rowan Campbell").check();
  await person.click(person.continue);
  await claims(person);
  await person.open(asking(any, "&prompt=login"));
  await person.page.waitForURL(/\/login\?/);
  assert.equal(await first(), "Your organisation's account");
  await person.click(way(person, /Change user$/));
  await person.choose("0000101");
  await person.type();
  await claims(person);
  await person.open(asking(any, "&prompt=login"));
  await person.page.waitForURL(/\/login\?/);
  assert.equal(await first(), "Smartcard");
  await person.inspect("card first");
});

test("without scripts the page says why a key cannot be used", async (t) => {
  const person = await Person.arrive(t, { javaScriptEnabled: false });
  await person.open(asking(any));
  await person.page.getByText("Passkeys need scripts").waitFor();
  await person.inspect("ways without scripts");
  await toAccount(person, "0000101", "/account/add/passkey");
  await person.page.getByText("Passkeys need scripts").waitFor();
  await person.inspect("key page without scripts");
});

test("the ways in Welsh", async (t) => {
  const person = await Person.arrive(t, { locale: "cy-GB" });
  await person.open(asking(any));
  await person.page.waitForURL(/\/login\?/);
  assert.equal(await person.page.locator("html").getAttribute("lang"), "cy");
  await person.inspect("all ways");
});
