// What people hold besides a card, in the hands of a test: keys, an app that
// shows one-time codes, and the mails that were sent to them.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { patience, within } from "./harness.mjs";
import { world } from "./person.mjs";

// A Key is a virtual authenticator of Chromium. Its person has verified
// themselves to it unless a test says otherwise.
export class Key {
  // plugIn gives the page of person a key: synced, as those of phones are, or
  // bound to its device. Chromium makes no attestation that leads to a root
  // anybody trusts. A key answers at once where a page offers to fill it in,
  // before any button can be pressed, so pages may do so only where offered.
  static async plugIn(person, { synced = true, offered = false } = {}) {
    const key = new Key();
    if (!offered) await person.page.addInitScript(() => { PublicKeyCredential.isConditionalMediationAvailable = async () => false; });
    key.debugger = await person.context.newCDPSession(person.page);
    await key.debugger.send("WebAuthn.enable", { enableUI: false });
    const { authenticatorId } = await key.debugger.send("WebAuthn.addVirtualAuthenticator", { options: {
      protocol: "ctap2", transport: synced ? "internal" : "usb", hasResidentKey: true, hasUserVerification: true, isUserVerified: true,
      automaticPresenceSimulation: true, defaultBackupEligibility: synced, defaultBackupState: synced,
    } });
    key.authenticatorId = authenticatorId;
    return key;
  }

  #send(what, more = {}) {
    return this.debugger.send(`WebAuthn.${what}`, { authenticatorId: this.authenticatorId, ...more });
  }

  verified(isUserVerified) {
    return this.#send("setUserVerified", { isUserVerified });
  }

  async credentials() {
    return (await this.#send("getCredentials")).credentials;
  }

}

const step = 30; // seconds

const clock = async (advance) => {
  const answer = await fetch(`${world.lanyard.origin}/dev/clock`, advance && { method: "POST", body: JSON.stringify({ advance }), headers: { "content-type": "application/json" } });
  assert.equal(answer.status, 200);
  return Date.parse((await answer.json()).now) / 1000;
};

// An App shows the one-time codes of a secret. RFC 6238 §4, RFC 4226 §5.3.
export class App {
  #used = 0;

  // scan takes the secret as it is written on the page for those who type it.
  static async scan(page) {
    const app = new App();
    const text = (await page.locator("#secret").innerText()).replace(/\s/g, "");
    assert.match(text, /^[A-Z2-7]{32,}$/);
    const bits = [...text].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("");
    app.secret = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)));
    return app;
  }

  // next is a code that was not shown before: each counts once, so the clock
  // of the service is moved on to where there is another.
  async next() {
    let at = Math.floor(await clock() / step);
    if (at <= this.#used) at = Math.floor(await clock(`${(this.#used - at + 1) * step}s`) / step);
    this.#used = at;
    const count = Buffer.alloc(8);
    count.writeBigUInt64BE(BigInt(at));
    const mac = createHmac("sha1", this.secret).update(count).digest();
    const from = mac.at(-1) & 15;
    return String((mac.readUInt32BE(from) & 0x7fffffff) % 1e6).padStart(6, "0");
  }
}

// mail returns the latest mail to an address with that subject, as the page
// for developers shows it.
export async function mail(address, subject) {
  const answer = await within(fetch(`${world.lanyard.origin}/dev/mail`), "the mails");
  const all = [...(await answer.text()).matchAll(/<h2[^>]*>([^<]*)<\/h2>\s*<p[^>]*>([^<]*)<\/p>\s*<p[^>]*>([^<]*)<\/p>/g)];
  const found = all.find((one) => one[1] === subject && one[2] === address);
  assert.ok(found, `a mail to ${address}: ${subject}, in ${all.map((one) => `${one[2]}: ${one[1]}`).join("; ")}`);
  return found[3];
}

export const mailedCode = async (address) => (await mail(address, "Your code")).match(/[0-9A-Z]{4}-[0-9A-Z]{4}/)[0];

// toAccount signs in to the account, or a page of it, with a virtual card.
export async function toAccount(person, card, path = "/account") {
  await person.open(world.lanyard.origin + path);
  await person.page.waitForURL(/\/login\?/);
  await person.choose(card);
  await person.type();
  await person.page.waitForURL(world.lanyard.origin + path);
}

// addKey adds what is plugged in, from the page that asks for its name.
export async function addKey(person, name) {
  await person.open(`${world.lanyard.origin}/account/add/passkey`);
  await person.page.getByLabel("What do you want to call it?").fill(name);
  await person.click(person.page.getByRole("button", { name: "Add it" }));
  await person.page.waitForURL(/\/account\?done=added/);
}

// addCode adds a password with one-time codes, and returns the app for them.
export async function addCode(person, password) {
  await person.open(`${world.lanyard.origin}/account/add/totp`);
  const app = await App.scan(person.page);
  await person.page.getByLabel("One-time code from your app").fill(await app.next());
  await person.page.getByLabel("Choose a password").fill(password);
  await person.click(person.page.getByRole("button", { name: "Add it" }));
  await person.page.waitForURL(/\/account\?done=added/);
  return app;
}

// asking is the demo application, asking for one of these ways to sign in and
// for no role.
export const asking = (acr, more = "") => `${world.lanyard.rp}/login?role=none&acr=${acr}${more}`;

// claims are those of the ID token that the demo application got.
export async function claims(person) {
  await person.isBack();
  return JSON.parse(await person.page.locator("#id-token").textContent());
}

// one is the entry of the list of the account with that name.
export const one = (person, name) => person.page.locator(".lanyard-held__one").filter({ hasText: name });

// anew is the same browser, of whom nobody remembers anything.
export const anew = (person) => person.context.clearCookies();

export const said = (person) => within(person.page.locator("[data-lanyard-say]:visible").innerText(), "what the page says", patience);
