// A profile that somebody makes for themself, in a real browser, and whom it
// reaches before and after somebody has checked who they are.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Key, asking, claims, mail, mailedCode } from "./held.mjs";
import { Person, setUp, world } from "./person.mjs";

setUp();

const button = (person, name) => person.page.getByRole("button", { name });
const at = (path) => world.lanyard.origin + path;

test("somebody makes a profile with a passkey, and signs in once they are verified", async (t) => {
  const address = "olwen.parry@home.example";
  const person = await Person.arrive(t);
  await Key.plugIn(person);
  await person.open(at("/register"));
  await person.inspect("who they are");
  await person.page.getByLabel("E-mail address").fill(address);
  await person.page.getByLabel("Given name").fill("Olwen");
  await person.page.getByLabel("Family name").fill("Parry");
  await person.click(person.continue);
  await person.page.waitForURL(at("/claim/code"));
  await person.inspect("code asked for");
  await person.page.getByLabel("Code from the e-mail").fill(await mailedCode(address));
  await person.click(person.continue);
  await person.page.waitForURL(at("/claim/choose"));
  await person.page.getByLabel("Passkey or security key").check();
  await person.page.getByLabel(/^I alone control it/).check();
  await person.click(person.continue);
  await person.page.waitForURL(at("/claim/passkey"));
  await person.page.getByLabel("What do you want to call it?").fill("My phone");
  await person.click(button(person, "Add it"));
  await person.page.waitForURL(at("/register/done"));
  await person.inspect("made");
  const uid = /[0-9]{12}/.exec(await mail(address, "You have made a profile"))[0];

  const signsIn = async () => {
    await person.open(asking("AAL2_OR_AAL3_ANY"));
    await person.page.waitForURL(/\/login\?/);
    await person.click(button(person, /^Passkey or security key/));
  };
  await signsIn();
  assert.match(await person.page.locator("main").innerText(), /not been verified|not verified|unverified/i);

  const desk = await Person.arrive(t);
  await desk.open(at(`/ra/change/person_verified?uid=${uid}`));
  await desk.page.waitForURL(/\/login\?/);
  await desk.choose("0000117");
  await desk.type();
  await desk.page.getByLabel("In person").check();
  await desk.page.getByLabel("Passport").check();
  await desk.page.getByLabel("Identity level that this proves").selectOption("3");
  await desk.click(desk.continue);
  assert.match(await desk.page.locator("main").innerText(), /added this without anybody's help/);
  await desk.page.getByLabel("I have read this, and it is right").check();
  await desk.click(button(desk, "Verify identity"));
  await desk.page.waitForURL(new RegExp(`/ra/people/${uid}`));

  await signsIn();
  const got = await claims(person);
  assert.deepEqual([got.sub, got.authentication_assurance_level], [uid, "2"]);
});

test("in Welsh: a profile is begun", async (t) => {
  const person = await Person.arrive(t, { locale: "cy-GB" });
  await person.open(at("/register"));
  await person.inspect("who they are, in Welsh");
  await person.page.locator("#answer").fill("gwen.rees@home.example");
  await person.page.locator("#given").fill("Gwen");
  await person.page.locator("#family").fill("Rees");
  await person.page.keyboard.press("Enter");
  await person.page.waitForURL(at("/claim/code"));
  await person.inspect("code asked for, in Welsh");
});
