// The page that waits for a card at a desk. The agent here has a key but no
// card: what a card signs is tested in Go.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ask } from "./desk.mjs";
import { patience } from "./harness.mjs";
import { Person, setUp, world } from "./person.mjs";

setUp();

const url64 = (bytes) => Buffer.from(bytes).toString("base64url");
const json64 = (value) => url64(JSON.stringify(value));

// Agent redeems what started it, and reports.
class Agent {
  static async start(link) {
    const agent = new Agent();
    agent.pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign"]);
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", agent.pair.publicKey);
    agent.jwk = { kty, crv, x, y };
    const answer = await agent.#post("redeem", {
      h: new URL(link).searchParams.get("h"), epk: agent.jwk, port: 40000,
      agent: { name: "test", version: "1", build: "", os: "linux" },
    });
    agent.question = await answer.json();
    return agent;
  }

  async report(state, left) {
    assert.equal((await this.#post("progress", { state, left })).status, 200, state);
  }

  // meanwhile goes on reporting, as an agent does that waits: one that says
  // nothing for some seconds has stopped.
  async meanwhile(state, left, look) {
    const again = setInterval(() => this.report(state, left).catch(() => {}), 1000);
    try {
      await look();
    } finally {
      clearInterval(again);
    }
  }

  respond(jws) {
    return this.#post("response", { jws, x5c: [] });
  }

  async #post(step, body) {
    const url = `${world.lanyard.origin}/desk/v1/${step}`;
    const headers = { "content-type": "application/json" };
    if (this.question) headers.dpop = await this.#proof(url);
    return fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal: AbortSignal.timeout(patience) });
  }

  async #proof(url) {
    const said = json64({ typ: "dpop+jwt", alg: "ES256", jwk: this.jwk }) + "." +
      json64({ jti: crypto.randomUUID(), htm: "POST", htu: url, iat: Math.floor(Date.now() / 1000), tx: this.question.tx });
    return `${said}.${url64(await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, this.pair.privateKey, Buffer.from(said)))}`;
  }
}

for (const scripts of [true, false]) {
  test(`the page tells what happens at the desk, scripts ${scripts ? "on" : "off"}`, async (t) => {
    const person = await Person.arrive(t, { javaScriptEnabled: scripts });
    const link = await ask(person);
    await person.inspect("waiting");
    const status = person.page.getByRole("status").and(person.page.locator(".lanyard-status"));
    const hears = async (words) => {
      if (!scripts) await person.click(person.page.getByRole("main").getByRole("button", { name: "Continue" }));
      await status.filter({ hasText: words }).waitFor();
    };
    assert.equal(await person.page.getByRole("main").getByRole("button", { name: "Continue" }).isVisible(), !scripts, "who has no scripts goes on by hand");

    const agent = await Agent.start(link);
    assert.equal(await person.page.locator("#display-code").innerText(), agent.question.dc);
    await hears("The card reader program is open.");
    await agent.report("entering");
    await hears("Checking whether you are signed in on this computer already.");
    await agent.report("no_reader");
    await hears("No card reader is connected.");
    await agent.report("wait_card");
    await hears("Insert your smartcard.");
    await agent.report("pin_wrong", 2);
    await hears("You have 2 tries left.");
    await agent.meanwhile("pin_wrong", 2, () => person.inspect("wrong passcode"));

    const refusal = await (await agent.respond("no signature")).json();
    assert.equal(refusal.code, "SES-03");
    if (!scripts) await person.click(person.page.getByRole("main").getByRole("button", { name: "Continue" }));
    await person.page.locator('[data-code="SES-03"]').waitFor();
    await person.inspect("refused");
  });
}

test("who goes on before the program is there is told that it is missing", async (t) => {
  const person = await Person.arrive(t, { javaScriptEnabled: false });
  await ask(person);
  await person.click(person.page.getByRole("main").getByRole("button", { name: "Continue" }));
  assert.equal(await person.code(), "AGT-01");
  await person.inspect("no agent");
  await person.click(person.page.getByRole("button", { name: "Start again" }));
  await person.page.locator('a[href^="lanyard-desk:start?"]').waitFor();
});

test("the page is there in Welsh", async (t) => {
  const person = await Person.arrive(t, { locale: "cy" });
  const link = await ask(person);
  await person.page.getByRole("button", { name: "Agor y rhaglen darllen cardiau" }).waitFor();
  await person.inspect("waiting");
  const agent = await Agent.start(link);
  await agent.report("entering");
  await person.page.locator(".lanyard-status").filter({ hasText: "Yn gwirio a ydych wedi mewngofnodi ar y cyfrifiadur hwn yn barod." }).waitFor();
});
