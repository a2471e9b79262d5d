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

// finder is the application that lets unverified people in. It is not here: what
// stands for it sees with what the browser would come back, and redeems that.
const finder = {
  home: "http://localhost:8081/callback",

  get asking() {
    return at(`/authorize?${new URLSearchParams({ client_id: "demo-finder", redirect_uri: this.home, response_type: "code", scope: "openid profile",
      acr_values: "AAL2_OR_AAL3_ANY", ui_locales: "cy" })}`);
  },

  // claims are those of the ID token, once act has sent the browser back.
  async claims(person, act) {
    const back = person.page.waitForRequest((request) => request.url().startsWith(this.home));
    await act();
    const code = new URL((await back).url()).searchParams.get("code");
    const answer = await fetch(at("/token"), { method: "POST", headers: { authorization: `Basic ${Buffer.from("demo-finder:demo-secret").toString("base64")}` },
      body: new URLSearchParams({ grant_type: "authorization_code", code, redirect_uri: this.home }) });
    assert.equal(answer.status, 200);
    return JSON.parse(Buffer.from((await answer.json()).id_token.split(".")[1], "base64url"));
  },
};

test("by keyboard alone, in Welsh: somebody makes a profile, and signs in where unverified people may", async (t) => {
  const address = "gwen.rees@home.example";
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
  const type = async (where, text) => {
    await reach(person.page.locator(where));
    await keys.type(text);
  };
  await person.open(at("/register"));
  assert.equal(await person.page.locator("html").getAttribute("lang"), "cy");
  await person.inspect("who they are, in Welsh");
  await type("#answer", address);
  await type("#given", "Gwen");
  await type("#family", "Rees");
  await keys.press("Enter");
  await person.page.waitForURL(at("/claim/code"));
  await person.inspect("code asked for, in Welsh");
  await type("#answer", (await mail(address, "Eich cod")).match(/[0-9A-Z]{4}-[0-9A-Z]{4}/)[0]);
  await keys.press("Enter");
  await person.page.waitForURL(at("/claim/choose"));
  await person.inspect("what to add, in Welsh");
  await reach(person.page.locator("input[type=radio]").first());
  await keys.press("Space");
  assert.equal(await person.page.locator("input[type=radio]:checked").getAttribute("value"), "passkey");
  await reach(person.page.locator("#alone"));
  await keys.press("Space");
  await reach(button(person, "Parhau"));
  await keys.press("Enter");
  await person.page.waitForURL(at("/claim/passkey"));
  await person.inspect("key, in Welsh");
  await type("#answer", "Fy ffôn");
  await reach(person.page.locator("form[action='/claim/passkey'] button"));
  await keys.press("Enter");
  await person.page.waitForURL(at("/register/done"));
  await person.inspect("made, in Welsh");
  const uid = /[0-9]{12}/.exec(await mail(address, "Rydych wedi gwneud proffil"))[0];

  await person.open(finder.asking);
  await person.page.waitForURL(/\/login\?/);
  assert.equal(await person.page.locator("html").getAttribute("lang"), "cy");
  await reach(button(person, /^Allwedd pas neu allwedd ddiogelwch/));
  const got = await finder.claims(person, () => keys.press("Enter"));
  assert.deepEqual([got.sub, got.aud, got.acr, got.authentication_assurance_level, got.amr], [uid, "demo-finder", "AAL2_OR_AAL3_ANY", "2", ["PASSKEY"]]);
});
