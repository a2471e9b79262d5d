// Self-claim, in a real browser: whose identity was verified adds a way to sign
// in without anybody's help, and signs in with it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { App, Key, asking, claims, mail, mailedCode } from "./held.mjs";
import { Person, setUp, world } from "./person.mjs";

setUp();

const button = (person, name) => person.page.getByRole("button", { name });
const at = (path) => world.lanyard.origin + path;
const rowan = "rowan.campbell@fenwick.example";
const priya = "priya.nair@northern.example";

// begins says who they are, and comes to the page that asks for the code.
async function begins(person, email, number) {
  await person.open(at("/claim"));
  await person.page.getByLabel("E-mail address").fill(email);
  await person.page.getByLabel("National Insurance number").fill(number);
  await person.click(person.continue);
  await person.page.waitForURL(at("/claim/code"));
}

async function shows(person, code) {
  await person.page.getByLabel("Code from the e-mail").fill(code);
  await person.click(person.continue);
}

async function chooses(person, way) {
  await person.page.waitForURL(at("/claim/choose"));
  await person.page.getByLabel(way).check();
  await person.page.getByLabel(/^I alone control it/).check();
  await person.click(person.continue);
}

test("a key is claimed with an e-mail address, a number and a code, and signs in at level 2", async (t) => {
  const person = await Person.arrive(t);
  await Key.plugIn(person);
  await person.open(at("/claim"));
  await person.inspect("who it is");
  await begins(person, rowan, "qq 12 34 57 a");
  await person.inspect("code asked for");
  await shows(person, "0000-0000");
  assert.equal(await person.code(), "ACC-05");
  await person.inspect("wrong code");
  await shows(person, (await mailedCode(rowan)).toLowerCase().replace("-", " "));
  await person.page.waitForURL(at("/claim/choose"));
  await person.inspect("what to add");
  await person.page.evaluate(() => document.querySelector('form[action="/claim/choose"]').setAttribute("novalidate", ""));
  await person.click(person.continue);
  assert.equal(await person.code(), "CLM-02");
  await person.inspect("nothing chosen");
  await chooses(person, "Passkey or security key");
  await person.page.waitForURL(at("/claim/passkey"));
  await person.inspect("key");
  await person.page.getByLabel("What do you want to call it?").fill("Work phone");
  await person.click(button(person, "Add it"));
  await person.page.waitForURL(at("/claim/done"));
  await person.inspect("claimed");
  assert.match(await mail(rowan, "You have added a way to sign in"), /Work phone/);

  await person.open(asking("AAL2_OR_AAL3_ANY"));
  await person.page.waitForURL(/\/login\?/);
  await person.click(button(person, /^Passkey or security key/));
  const got = await claims(person);
  assert.deepEqual([got.sub, got.amr, got.authentication_assurance_level], ["555000000105", ["PASSKEY"], "2"]);
});

test("who is not found reads the same, and whom to ask", async (t) => {
  const person = await Person.arrive(t);
  await begins(person, "nobody@fenwick.example", "QQ123457A");
  const said = await person.page.locator("main").innerText();
  assert.match(said, /Your Registration Authority can put that right/);
  await shows(person, "0000-0000");
  assert.equal(await person.code(), "ACC-05");
  await person.open(at("/claim/choose"));
  assert.equal(await person.code(), "CLM-03");
  await person.inspect("a step left out");
});

test("the organisation's own account is claimed, and signs in", async (t) => {
  const person = await Person.arrive(t);
  await begins(person, rowan, "QQ123457A");
  await shows(person, await mailedCode(rowan));
  await chooses(person, "Your organisation's account");
  const radios = person.page.getByRole("radio");
  await radios.nth(1).check();
  await person.click(person.continue);
  await person.page.waitForURL(at("/claim/done"));
  await person.open(asking("AAL2_NHSMAIL"));
  await person.page.waitForURL(/\/login\?/);
  await person.click(button(person, /^Your organisation's account/));
  await person.page.getByRole("radio").nth(1).check();
  await person.click(person.continue);
  const got = await claims(person);
  assert.deepEqual([got.sub, got.amr], ["555000000105", ["NHSMAIL"]]);
});

test("by keyboard alone, in Welsh: a manager claims a one-time code, and signs in with it", async (t) => {
  const person = await Person.arrive(t, { locale: "cy-GB" });
  const keys = person.page.keyboard;
  const reach = async (wanted) => {
    await wanted.waitFor();
    for (let i = 0; i < 60; i++) {
      await keys.press("Tab");
      if (await wanted.evaluate((element) => element === document.activeElement)) return;
    }
    assert.fail("the keyboard does not come there");
  };
  const type = async (label, text) => {
    await reach(person.page.getByLabel(label, { exact: true }));
    await keys.type(text);
  };
  await person.open(at("/claim"));
  assert.equal(await person.page.locator("html").getAttribute("lang"), "cy");
  await person.inspect("who it is, in Welsh");
  await type("Cyfeiriad e-bost", priya);
  await type("Rhif Yswiriant Gwladol", "QQ123458B");
  await keys.press("Enter");
  await person.page.waitForURL(at("/claim/code"));
  await person.inspect("code asked for, in Welsh");
  await reach(person.page.locator("#answer"));
  await keys.type((await mail(priya, "Eich cod")).match(/[0-9A-Z]{4}-[0-9A-Z]{4}/)[0]);
  await keys.press("Enter");
  await person.page.waitForURL(at("/claim/choose"));
  await person.inspect("what to add, in Welsh");
  await reach(person.page.locator("input[type=radio]").first());
  await keys.press("Space");
  await keys.press("ArrowDown");
  assert.equal(await person.page.locator("input[type=radio]:checked").getAttribute("value"), "totp");
  await reach(person.page.locator("#alone"));
  await keys.press("Space");
  await reach(button(person, "Parhau"));
  await keys.press("Enter");
  await person.page.waitForURL(at("/claim/totp"));
  const app = await App.scan(person.page);
  await reach(person.page.locator("#code"));
  await keys.type(await app.next());
  await reach(person.page.locator("input[name=password]"));
  await keys.type("anchor velvet thimble");
  await keys.press("Enter");
  await person.page.waitForURL(at("/claim/done"));
  await person.inspect("claimed, in Welsh");

  await person.open(asking("AAL2_TOTP"));
  await person.page.waitForURL(/\/login\?/);
  await reach(person.page.locator("input[name=email]"));
  await keys.type(priya);
  await keys.press("Enter");
  await person.page.waitForURL(/\/login\/totp/);
  if (!await person.page.locator("input[name=email]").inputValue()) await person.page.locator("input[name=email]").fill(priya);
  await reach(person.page.locator("input[name=password]"));
  await keys.type("anchor velvet thimble");
  await reach(person.page.locator("input[name=code]"));
  await keys.type(await app.next());
  await keys.press("Enter");
  const got = await claims(person);
  assert.deepEqual([got.sub, got.amr], ["555000000116", ["TOTP"]]);
});

test("without scripts the page says what it needs", async (t) => {
  const person = await Person.arrive(t, { javaScriptEnabled: false });
  await person.open(at("/claim"));
  assert.match(await person.page.locator("main").innerText(), /This page needs scripts/);
  await person.inspect("without scripts");
});
