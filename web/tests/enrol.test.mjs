// The code of the registration authority, in a real browser: whom it invites
// adds a key with it, and signs in with that.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Key, asking, claims, mail } from "./held.mjs";
import { Person, setUp, world } from "./person.mjs";

setUp();

const manager = "0000116";
const button = (person, name) => person.page.getByRole("button", { name });
const at = (path) => world.lanyard.origin + path;

// invites has a manager invite somebody, and returns the code that their page
// shows.
async function invites(t, uid) {
  const person = await Person.arrive(t);
  await person.open(at(`/ra/change/authenticator_invited?uid=${uid}`));
  await person.page.waitForURL(/\/login\?/);
  await person.choose(manager);
  await person.type();
  await person.page.getByLabel("By video").check();
  await person.page.getByLabel("Identity level that this proves").selectOption("1");
  await person.click(person.continue);
  await person.click(button(person, "Add a security key together"));
  const code = (await person.page.locator("#secret").innerText()).trim();
  assert.match(code, /^[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}$/);
  assert.equal(await person.page.getByRole("link", { name: /\/enrol/ }).innerText(), `They type it at ${at("/enrol")}.`);
  await person.inspect("code");
  return code;
}

test("a person whom the registration authority invited adds a key, and signs in with it", async (t) => {
  const code = await invites(t, "555000000105");
  const person = await Person.arrive(t);
  await Key.plugIn(person, { synced: false });
  await person.open(at("/enrol"));
  await person.inspect("code asked for");
  const field = person.page.getByLabel("Code from your Registration Authority");
  await field.fill("0000-0000-0000");
  await person.click(person.continue);
  assert.equal(await person.code(), "RA-39");
  assert.equal(await field.getAttribute("aria-describedby"), "answer-hint answer-error");
  await person.inspect("wrong code");
  await field.fill(code.toLowerCase().replaceAll("-", " "));
  await person.click(person.continue);
  await person.page.waitForURL(at("/enrol/key"));
  const said = await person.page.locator("main").innerText();
  for (const part of ["Rowan Campbell", "555000000105", "Mrs Priya Nair", "by video"]) assert.ok(said.includes(part), `${part} in ${said}`);
  await person.inspect("who it is for");
  await person.page.getByLabel("What do you want to call it?").fill("Blue key");
  await person.click(button(person, "Add it"));
  await person.page.waitForURL(/\/enrol\/done/);
  assert.match(await person.page.locator("main").innerText(), /level 2: its maker did not show/);
  await person.inspect("added");
  assert.match(await mail("rowan.campbell@fenwick.example", "A new way to sign in was added"), /Blue key/);

  await person.open(at("/enrol"));
  await field.fill(code);
  await person.click(person.continue);
  assert.equal(await person.code(), "RA-39", "a code works once");
  await person.open(asking("AAL2_OR_AAL3_ANY"));
  await person.page.waitForURL(/\/login\?/);
  await person.click(button(person, /^Passkey or security key/));
  const got = await claims(person);
  assert.deepEqual([got.sub, got.amr], ["555000000105", ["PASSKEY"]]);
});

test("by keyboard alone, in Welsh: a key is added with a code", async (t) => {
  const code = await invites(t, "555000000104");
  const person = await Person.arrive(t, { locale: "cy-GB" });
  await Key.plugIn(person);
  const keys = person.page.keyboard;
  const reach = async (wanted) => {
    await wanted.waitFor();
    for (let i = 0; i < 60; i++) {
      await keys.press("Tab");
      if (await wanted.evaluate((element) => element === document.activeElement)) return;
    }
    assert.fail("the keyboard does not come there");
  };
  await person.open(at("/enrol"));
  assert.equal(await person.page.locator("html").getAttribute("lang"), "cy");
  await reach(person.page.locator("#answer"));
  await keys.type(code);
  await keys.press("Enter");
  await person.page.waitForURL(at("/enrol/key"));
  await person.inspect("for whom, in Welsh");
  await reach(person.page.locator("#answer"));
  await keys.type("Allwedd las");
  await reach(button(person, "Ei hychwanegu"));
  await keys.press("Enter");
  await person.page.waitForURL(/\/enrol\/done/);
  await person.inspect("added, in Welsh");
});
