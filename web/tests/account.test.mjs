// The account, in a real browser: what a person signs in with, and how they
// change it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { App, Key, addCode, addKey, anew, asking, claims, mail, mailedCode, one, toAccount } from "./held.mjs";
import { Person, setUp, world } from "./person.mjs";

setUp();

const any = "AAL2_OR_AAL3_ANY";
const button = (person, name) => person.page.getByRole("button", { name });
const link = (person, name) => person.page.getByRole("link", { name });
// of is the name of what does something to one thing: who does not see the page
// is told to which.
const of = (act, what) => new RegExp(`^${act}\\s*: ${what}`);
const at = (path) => world.lanyard.origin + path;
const done = (person, what) => person.page.waitForURL(at(`/account?done=${what}`));

test("a key is added, renamed, lost and gone, and its person is told of each", async (t) => {
  const person = await Person.arrive(t);
  await Key.plugIn(person);
  const email = "asha.smith@riverside.example";
  await toAccount(person, "0000101");
  assert.match(await person.page.locator("main").innerText(), /Smartcard\s+card \d*0101, level 3/);
  await person.inspect("account before");
  await person.click(link(person, "Add a way to sign in"));
  await person.inspect("what to add");
  await person.click(button(person, /^Passkey or security key/));
  await person.inspect("key");
  await addKey(person, "Work phone");
  assert.match(await mail(email, "A new way to sign in was added"), /Work phone/);
  assert.match(await one(person, "Work phone").innerText(), /Passkey or security key.*, level 2/);
  await person.inspect("account");

  await person.click(link(person, of("Rename", "Work phone")));
  await person.inspect("rename");
  await person.page.getByLabel("What do you want to call it?").fill("   ");
  await person.click(button(person, "Save"));
  assert.equal(await person.code(), "ACC-03");
  await person.inspect("rename without a name");
  await person.page.getByLabel("What do you want to call it?").fill("Blue phone");
  await person.click(button(person, "Save"));
  await done(person, "renamed");
  await addCode(person, "anchor velvet thimble");

  // Lost: said at level 2, with the very thing that is lost.
  await anew(person);
  await person.open(asking(any));
  await person.page.waitForURL(/\/login\?/);
  await person.click(button(person, /^Passkey or security key/));
  assert.deepEqual((await claims(person)).amr, ["PASSKEY"]);
  await person.open(at("/account"));
  await person.click(link(person, of("I have lost this", "Blue phone")));
  await person.inspect("lost");
  await person.click(button(person, "Stop it now"));
  await person.page.waitForURL(/\/login\?/); // what it signed in is out, this too
  assert.match(await mail(email, "A way to sign in was stopped"), /Blue phone/);
  await person.click(button(person, /^Passkey or security key/));
  assert.equal(await person.code(), "AUT-01");
  await person.inspect("AUT-01");

  await toAccount(person, "0000101");
  assert.match(await one(person, "Blue phone").innerText(), /Stopped/);
  assert.equal(await link(person, /Blue phone/).filter({ hasText: /lost|Remove/ }).count(), 0, "only the Registration Authority undoes it");
  await person.inspect("account with something stopped");
  await person.click(link(person, of("Remove", "Password and one-time code")));
  await person.inspect("remove");
  await person.click(button(person, "Remove it"));
  await done(person, "removed");
  assert.equal(await one(person, "Password and one-time code").count(), 0);
  assert.match(await mail(email, "A way to sign in was removed"), /Password and one-time code/);

  await person.click(link(person, "Sign out everywhere"));
  await person.inspect("everywhere");
  await person.click(button(person, "Sign out everywhere"));
  await person.page.waitForURL(at("/"));
  await person.open(at("/account"));
  await person.page.waitForURL(/\/login\?/);
  await person.open(at("/dev/mail"));
  await person.inspect("mails");
});

test("a password is added, changed and forgotten", async (t) => {
  const person = await Person.arrive(t);
  await toAccount(person, "0000102", "/account/add/totp");
  await person.page.getByRole("img", { name: "Picture to scan with the app" }).waitFor();
  let app = await App.scan(person.page);
  await person.inspect("password and code");
  const code = () => person.page.getByLabel("One-time code from your app");
  const fill = async (words) => {
    for (const [label, text] of Object.entries(words)) await person.page.getByLabel(label, { exact: true }).fill(text);
  };

  await fill({ "One-time code from your app": await app.next(), "Choose a password": "password" });
  await person.click(button(person, "Add it"));
  await person.page.locator('[data-code="PWD-01"]').waitFor();
  const again = await App.scan(person.page);
  assert.deepEqual(again.secret, app.secret, "who mistyped need not scan anew");
  await person.inspect("a short password");
  await fill({ "One-time code from your app": "000000", "Choose a password": "anchor velvet thimble" });
  await person.click(button(person, "Add it"));
  await person.page.locator('[data-code="OTP-02"]').waitFor();
  assert.equal(await code().getAttribute("aria-describedby"), "answer-error", "the field that is wrong says so");
  await person.inspect("a wrong code");
  await fill({ "One-time code from your app": await app.next(), "Choose a password": "anchor velvet thimble" });
  await person.click(button(person, "Add it"));
  await done(person, "added");
  const email = await person.page.locator("section[aria-labelledby=email-heading] strong").innerText();

  await person.click(link(person, "Change password"));
  await person.inspect("change password");
  await fill({ "Your password now": "not this one at all", "One-time code from your app": await app.next(), "New password": "copper lantern meadow" });
  await person.click(button(person, "Save the password"));
  await person.page.locator('[data-code="OTP-01"]').waitFor();
  await person.inspect("change password wrong");
  await fill({ "Your password now": "anchor velvet thimble", "One-time code from your app": await app.next(), "New password": "copper lantern meadow" });
  await person.click(button(person, "Save the password"));
  await done(person, "password");
  await mail(email, "Your password was changed");

  await anew(person);
  await person.open(asking(any));
  await person.page.getByLabel("E-mail address").fill(email);
  await person.click(button(person, "Continue"));
  await person.click(link(person, "I have forgotten my password"));
  await person.inspect("forgotten");
  await fill({ "E-mail address": email });
  await person.click(button(person, "Send the code"));
  await person.page.getByLabel("Code from the e-mail").waitFor();
  await person.inspect("forgotten code sent");
  const mailed = await mailedCode(email);
  await fill({ "Code from the e-mail": "0000-0000", "One-time code from your app": await app.next(), "New password": "silver harbour pencil" });
  await person.click(button(person, "Save the password"));
  await person.page.locator('[data-code="ACC-05"]').waitFor();
  await person.inspect("forgotten wrong code");
  await fill({ "Code from the e-mail": mailed, "One-time code from your app": await app.next(), "New password": "silver harbour pencil" });
  await person.click(button(person, "Save the password"));
  await person.page.getByLabel("Password", { exact: true }).waitFor();
  for (const [password, right] of [["copper lantern meadow", false], ["silver harbour pencil", true]]) {
    await fill({ Password: password, "One-time code from your app": await app.next() });
    await person.click(button(person, "Sign in"));
    if (!right) await person.page.locator('[data-code="OTP-01"]').waitFor();
  }
  assert.deepEqual((await claims(person)).amr, ["TOTP"]);
});

test("the organisation's own account is linked, and then signs in", async (t) => {
  const person = await Person.arrive(t);
  await toAccount(person, "0000103", "/account/add");
  await person.click(button(person, /^Your organisation's account/));
  await person.page.getByLabel("Tomasz Kowalski").check();
  await person.click(person.continue);
  await done(person, "added");
  await anew(person);
  await person.open(asking(any));
  await person.click(button(person, /^Your organisation's account/));
  await person.page.getByLabel("Tomasz Kowalski").check();
  await person.click(person.continue);
  const got = await claims(person);
  assert.deepEqual([got.amr, got.sub], [["NHSMAIL"], "555000000103"]);

  // Level 2 is not enough to change the address at which people are told.
  await person.open(at("/account/email"));
  await person.page.waitForURL(/\/login\?/);
  assert.match(await person.page.locator("main").innerText(), /your account needs a stronger way to sign in/);
});

test("an e-mail address is changed with a code, and the old one is told", async (t) => {
  const person = await Person.arrive(t);
  await toAccount(person, "0000118", "/account");
  const old = await person.page.locator("section[aria-labelledby=email-heading] strong").innerText();
  await person.click(link(person, "Change"));
  await person.inspect("e-mail");
  await person.page.getByLabel("New e-mail address").fill("fatima@elsewhere");
  await person.click(person.continue);
  await person.page.locator('[data-code="ACC-04"]').waitFor();
  await person.inspect("e-mail not right");
  await person.page.getByLabel("New e-mail address").fill("fatima@elsewhere.example");
  await person.click(person.continue);
  await person.page.getByLabel("Code from the e-mail").waitFor();
  await person.inspect("e-mail code");
  await person.page.getByLabel("Code from the e-mail").fill("0000-0000");
  await person.click(person.continue);
  await person.page.locator('[data-code="ACC-05"]').waitFor();
  await person.inspect("e-mail wrong code");
  await person.page.getByLabel("Code from the e-mail").fill(await mailedCode("fatima@elsewhere.example"));
  await person.click(person.continue);
  await done(person, "email");
  await person.page.getByText("fatima@elsewhere.example").waitFor();
  assert.match(await mail(old, "Your e-mail address was changed"), /fatima@elsewhere\.example/);
});

test("one of several sign-ins is ended from another browser", async (t) => {
  const here = await Person.arrive(t);
  const there = await Person.arrive(t);
  await there.open(asking(any));
  await there.choose("0000117");
  await there.type();
  assert.match(await there.isBack(), /Mr Daniel Goldberg/);
  await toAccount(here, "0000117");
  await one(here, "Demo application").waitFor();
  await here.inspect("two sign-ins");
  await here.click(button(here, of("Sign out", "Demo application")));
  await done(here, "ended");
  assert.equal(await one(here, "Demo application").count(), 0);
  await there.open(asking(any));
  await there.page.waitForURL(/\/login\?/);
});

test("by keyboard alone: a key and a one-time code are added", async (t) => {
  const person = await Person.arrive(t);
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
  const press = async (wanted, key = "Enter") => { await reach(wanted); await keys.press(key); };
  await toAccount(person, "0000104");
  await press(link(person, "Add a way to sign in"));
  await person.page.waitForURL(at("/account/add"));
  await press(button(person, /^Passkey or security key/));
  await person.page.waitForURL(/\/account\/add\/passkey/);
  await reach(person.page.getByLabel("What do you want to call it?"));
  await keys.type("Green key");
  await press(button(person, "Add it"));
  await done(person, "added");
  await one(person, "Green key").waitFor();

  await press(link(person, "Add a way to sign in"));
  await person.page.waitForURL(at("/account/add"));
  await press(button(person, /^Password and one-time code/));
  await person.page.waitForURL(/\/account\/add\/totp/);
  const app = await App.scan(person.page);
  await reach(person.page.getByLabel("One-time code from your app"));
  await keys.type(await app.next());
  await reach(person.page.getByLabel("Choose a password"));
  await keys.type("anchor velvet thimble");
  await keys.press("Enter");
  await done(person, "added");
  await one(person, "Password and one-time code").waitFor();
});

test("the account in Welsh", async (t) => {
  const person = await Person.arrive(t, { locale: "cy-GB" });
  await person.open(at("/account"));
  await person.choose("0000104");
  await person.passcode.fill("123456");
  await person.click(button(person, "Parhau"));
  await person.page.waitForURL(at("/account"));
  assert.equal(await person.page.locator("html").getAttribute("lang"), "cy");
  await person.inspect("account");
});
