// Each state of card and agent that has words in the catalogue, made by what
// makes it at a desk: the agent's program, pcscd and cards. The page shows its
// words, and so does the agent where it is there to say them.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { endWith, plugIn } from "./computer.mjs";
import { Desk, ask, until } from "./desk.mjs";
import { folder, freePort, start } from "./harness.mjs";
import { Person, setUp, world } from "./person.mjs";

const words = JSON.parse(readFileSync(new URL("../text/en.json", import.meta.url)));

// says matches the text of a message, whatever is filled in.
const says = (code) => new RegExp(words[`${code}.text`].replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{\w+\}/g, ".+"));

const asha = "555000000101";
const inDays = (n) => new Date(Date.now() + n * 86_400_000).toISOString().slice(0, 10);

// The services that there are beside the usual one: to one both agents and cards
// end soon, to the other every agent is old.
const services = {};

async function makeServices() {
  services.usual = world.lanyard;
  endWith(() => (world.lanyard = services.usual));
  const demo = readFileSync(new URL("../../cmd/lanyard/demo/directory.yaml", import.meta.url), "utf8");
  const seed = (agents, series) => {
    const file = join(folder(), "seed.yaml");
    writeFileSync(file, demo.replace(/^  agents:\n/m, `  agents:\n    - ${agents}\n`).replace(/^  card_series:.*\n/m, `  card_series:\n    - ${series}\n`));
    return file;
  };
  services.ending = await start(["--seed", seed(`{product: lanyard-agent, blocked_from: ${inDays(40)}}`, `{series: 9, blocked_from: ${inDays(10)}}`)]);
  services.strict = await start(["--seed", seed("{product: lanyard-agent, below: \"99.0.0\", blocked_from: 2026-01-01}", "{series: 3, blocked_from: 2026-01-01}")]);
  // It asks about cards at the name that it listens at, and has another for people.
  const port = await freePort();
  services.alone = await start(["--listen", `localhost:${port}`, "--issuer", `http://127.0.0.1:${port}`]);
  for (const one of ["ending", "strict", "alone"]) endWith(() => services[one].stop());
}

setUp(async () => {
  await plugIn();
  await makeServices();
  return {};
});

// scene is what everybody sees and does who meets a state.
class Scene {
  constructor(t, desk, person, link) {
    Object.assign(this, { t, desk, person, link });
  }

  opens(...args) {
    return (this.agent = this.desk.agent(this.t, ...args, "open", this.link));
  }

  async inserts(uid, beside, slot) {
    return this.desk.inserts(this.t, await this.desk.card(uid, beside), slot);
  }

  asked() {
    return until("the window for the passcode", () => /^GETPIN/m.test(this.desk.told));
  }
}

// card is a scene in which a card is shown, and perhaps passcodes are typed.
const card = (uid, beside, ...passcodes) => async (s) => {
  s.desk.types(...passcodes);
  await s.inserts(uid, beside);
  s.opens();
};

// keeps has another program keep the card to itself, until the test ends: it has
// logged in, and waits for what it shall sign.
async function keeps(t) {
  const settings = join(folder(), "opensc.conf");
  writeFileSync(settings, "app default { reader_driver pcsc { connect_exclusive = true; } }");
  const [module] = execFileSync("sh", ["-c", "ls /usr/lib/*/opensc-pkcs11.so"], { encoding: "utf8" }).split("\n");
  const other = spawn("pkcs11-tool", ["--module", module, "--login", "--pin", "123456", "--sign", "--id", "01", "-m", "ECDSA"],
    { env: { ...process.env, OPENSC_CONF: settings }, stdio: ["pipe", "ignore", "pipe"] });
  t.after(() => other.kill("SIGKILL"));
  let said = "";
  other.stderr.on("data", (text) => (said += text));
  await until("another program's having the card", () => said.includes("Using signature algorithm"));
}

// loses has a name lead nowhere, until the test ends.
function loses(t, name) {
  const hosts = join(folder(), "hosts");
  writeFileSync(hosts, `127.0.0.9 ${name}\n`);
  execFileSync("mount", ["--bind", hosts, "/etc/hosts"]);
  t.after(() => execFileSync("umount", ["/etc/hosts"]));
}

const present = () => execFileSync("opensc-tool", ["-l"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).includes("Yes");
const noticed = () => until("the reader's noticing the card", present);

// scenes are what makes each state. The agent says it too, unless silent.
const scenes = {
  "AGT-01": { silent: true, how: "nobody opens the link", does: (s) => s.person.click(s.person.page.getByRole("button", { name: "Open the card reader program" })) },
  "AGT-02": {
    silent: true, how: "the browser lets the page nowhere", does: async (s) => {
      await s.person.context.route(/\/v1\/done$/, (route) => route.abort("aborted"));
      await card(asha, {}, "123456")(s);
    },
  },
  "AGT-03": { how: "the service wants a newer agent", service: "strict", does: card(asha) },
  "AGT-04": { how: "the service will want a newer agent", service: "ending", does: card(asha) },
  "AGT-05": {
    silent: true, how: "the agent is killed", does: async (s) => {
      await card(asha)(s);
      await s.asked();
      s.agent.child.kill("SIGKILL");
    },
  },
  "AGT-06": {
    silent: true, how: "another sign-in is open", does: async (s) => {
      const other = await Person.arrive(s.t);
      const link = await ask(other);
      await s.desk.waits(s.t);
      s.desk.agent(s.t, "open", link);
      await other.page.locator(".lanyard-status").filter({ hasText: words["CRD-01.text"] }).waitFor();
      s.opens();
    },
  },
  "RDR-01": {
    how: "no service for readers is there", does: (s) => {
      s.desk.env.PCSCLITE_CSOCK_NAME = "/nowhere";
      s.opens();
    },
  },
  "CRD-01": { how: "no card is in", does: (s) => s.opens() },
  "CRD-02": { how: "the card gives no answer to reset", does: card(asha, { atr: "00" }) },
  "CRD-03": { how: "it is no PIV card", does: card(asha, { profile: "foreign" }) },
  "CRD-04": {
    how: "two cards are in", does: async (s) => {
      s.desk.hesitates();
      await s.inserts("555000000102", {}, 1);
      await s.inserts(asha);
      await until("both cards' being there", () => execFileSync("opensc-tool", ["-l"], { encoding: "utf8" }).match(/Yes/g)?.length === 2);
      s.opens();
    },
  },
  "CRD-05": {
    how: "the card is taken out before its passcode", does: async (s) => {
      const takeOut = await s.inserts(asha);
      s.opens();
      await s.asked();
      await takeOut();
    },
  },
  "CRD-06": { how: "the card is suspended", does: card("555000000112") },
  "CRD-07": { how: "its series has ended", does: card("555000000110") },
  "CRD-08": {
    how: "another program keeps the card", does: async (s) => {
      await s.inserts(asha);
      await noticed();
      await keeps(s.t);
      s.opens();
    },
  },
  "CRD-09": { how: "its series ends soon", service: "ending", does: card(asha, {}, "123456") },
  "CRT-01": { how: "its certificate has ended", does: card("555000000106") },
  "CRT-02": { how: "its certificate ends soon", does: card("555000000107", {}, "123456") },
  "CRT-03": { how: "it is cancelled", does: card("555000000109") },
  "CRT-04": { how: "no profile has it", does: card("555000000111") },
  "CRT-05": {
    how: "nobody can say whether it is cancelled", service: "alone", unasked: true, does: async (s) => {
      loses(s.t, "localhost");
      await card(asha)(s);
    },
  },
  "PAS-01": { how: "a wrong passcode", does: card(asha, {}, "111111") },
  "PAS-02": { how: "two of them", does: card(asha, {}, "111111", "111111") },
  "PAS-04": { how: "nothing is typed", does: card(asha, {}, " ") },
  "PAS-03": { how: "three of them, before", does: card(asha, { tries_left: 0 }) },
};

// unmet are those that nobody meets at a desk of development, and why.
const unmet = {
  "CRT-06": "the card's certificate begins later: that needs a card authority whose clock is ahead (cmd/lanyard/desk_test.go has one)",
};

test("every state of card and agent in the catalogue is here, and no two read alike", () => {
  const codes = Object.keys(words).map((key) => key.match(/^((?:AGT|RDR|CRD|CRT|PAS)-\d\d)\.text$/)?.[1]).filter(Boolean);
  assert.deepEqual([...Object.keys(scenes), ...Object.keys(unmet)].sort(), codes.sort());
  for (const lang of ["en", "cy"]) {
    const all = JSON.parse(readFileSync(new URL(`../text/${lang}.json`, import.meta.url)));
    const texts = codes.map((code) => all[`${code}.text`]);
    assert.equal(new Set(texts).size, codes.length, lang);
  }
});

for (const [code, { how, does, service = "usual", silent, unasked }] of Object.entries(scenes)) {
  test(`${code}: ${how}`, async (t) => {
    await until("an empty reader", () => !present());
    world.lanyard = services[service];
    const desk = new Desk();
    desk.types();
    const person = await Person.arrive(t);
    const scene = new Scene(t, desk, person, await ask(person));
    await does(scene);
    let seen;
    try {
      await until("the page's saying it", async () => says(code).test(seen = await person.page.getByRole("main").innerText()));
    } catch (error) {
      assert.fail(`${error.message}. It says ${seen}; the agent ${scene.agent?.said.err}, ${desk.told}`);
    }
    if (!silent) await until("the agent's saying the same", () => says(code).test(desk.told));
    if (unasked) assert.doesNotMatch(desk.told, /^GETPIN/m, "no passcode is asked");
  });
}
