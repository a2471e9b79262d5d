// What docs/relying-parties.md says in code works as it stands there.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Browser, folder, freePort, launch, start, within } from "./harness.mjs";

const guide = readFileSync(new URL("../../docs/relying-parties.md", import.meta.url), "utf8");

// block is the first block of a language under a heading of the guide.
function block(heading, language) {
  const section = guide.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  const found = section?.match(new RegExp("^```" + language + "\\n(.*?)^```", "ms"));
  assert.ok(found, `${language} under ${heading}`);
  return found[1];
}

// clock lets a program believe, from a signal on, that it is LATE.
const clock = `data:text/javascript,${encodeURIComponent(`
  const now = Date.now; let late = 0;
  Date.now = () => now() + late;
  process.on("SIGUSR2", () => { late = Number(process.env.LATE); console.log("late"); });`)}`;

// world starts a service and the application of the guide, which listens on a
// port of its own. It stands among the modules, or it would not find its own.
// late is by how much its clock can be put on, in ms; args are the service's.
async function world(t, late, args = []) {
  const port = await freePort();
  const seed = join(folder(), "my.yaml");
  writeFileSync(seed, block("The first token", "yaml").replaceAll("localhost:3000", `localhost:${port}`));
  const lanyard = await start(["--seed", seed, ...args]);
  t.after(() => lanyard.stop());

  const modules = fileURLToPath(new URL("../node_modules/.documents/", import.meta.url));
  mkdirSync(modules, { recursive: true });
  const at = mkdtempSync(modules);
  const program = join(at, "ward-list.mjs");
  writeFileSync(program, block("Node", "js"));
  const { child, said, ended } = launch(process.execPath, ["--import", clock, program], { ISSUER: lanyard.issuer, PORT: String(port), LATE: String(late) });
  t.after(async () => {
    child.kill();
    await within(ended, "the end of the application");
    rmSync(at, { recursive: true });
  });
  const says = (word) => within(Promise.race([
    new Promise((resolve) => child.stdout.on("data", () => said.out.includes(word) && resolve())),
    ended.then(({ err }) => assert.fail(err)),
  ]), `"${word}" of the application`);
  await says("ready");
  return { lanyard, home: `http://localhost:${port}`, said, wait: () => (child.kill("SIGUSR2"), says("late")) };
}

test("own rule: the application for Node signs people in, and renews its tokens", async (t) => {
  const { lanyard, home, said, wait } = await world(t, 3_550_000, ["--auto-login", "555000000101"]);
  const browser = new Browser();
  const page = await browser.visit(`${home}/`);
  assert.equal(page.url.href, `${home}/`);
  const person = JSON.parse(page.html);
  assert.deepEqual([person.sub, person.name, person.selected_roleid, person.acr], ["555000000101", "Asha Smith", "555000000201", "AAL2_OR_AAL3_ANY"]);
  assert.equal((await browser.visit(`${home}/`)).html, page.html);
  assert.equal(browser.redirects, 0, "who is signed in is asked nothing");
  assert.doesNotMatch(lanyard.log(), /token refreshed/);
  await wait();
  assert.equal((await browser.visit(`${home}/`)).html, page.html);
  assert.equal(browser.redirects, 0);
  assert.match(lanyard.log(), /token refreshed/);
  assert.equal((await new Browser().visit(`${home}/callback?code=x&state=y`)).url.pathname, "/");
  assert.equal(said.err, "");
});

// isOut waits until the application sends the browser to sign in.
async function isOut(browser, home) {
  await within((async () => {
    while ((await browser.visit(`${home}/`)).url.pathname !== "/login");
  })(), "the end of the session at the application");
}

test("own rule: the application for Node signs people out here and there, and ends what has ended elsewhere, whatever keys signed meanwhile", async (t) => {
  const { lanyard, home, said, wait } = await world(t, 60_000);
  const post = (path, body) => fetch(`${lanyard.origin}${path}`, { method: "POST", body });
  const signIn = async () => {
    const browser = new Browser();
    const { end } = await browser.signIn(`${home}/`);
    assert.equal(JSON.parse(end.html).sub, "555000000101");
    return browser;
  };
  const changeUser = async (browser) => {
    const account = await browser.visit(`${lanyard.origin}/account`);
    await browser.submit(account, account.formTo("/login/change"));
  };
  const stays = await signIn();

  const browser = await signIn();
  const out = await browser.visit(`${home}/logout`, { method: "POST" });
  assert.equal(out.url.pathname, "/login", "who comes back is nobody, here and there");

  const first = await signIn();
  await changeUser(first);
  await isOut(first, home);

  const second = await signIn();
  assert.equal((await post("/dev/keys/rotate")).status, 200);
  await wait(); // the application asks for keys no more often than twice a minute
  assert.equal((await post("/dev/clock", '{"advance": "1m"}')).status, 200);
  await changeUser(second);
  await isOut(second, home);
  assert.equal(said.err, "");

  const third = await signIn();
  assert.equal((await post("/dev/keys/rotate")).status, 200);
  await changeUser(third); // too soon for another look at the keys, so it says: come again
  await within((async () => {
    while (!/"said":"503"/.test(lanyard.log())) await new Promise((soon) => setTimeout(soon, 20));
  })(), "the answer of the application");

  assert.equal(JSON.parse((await stays.visit(`${home}/`)).html).sub, "555000000101");
  for (const body of [new URLSearchParams(), new URLSearchParams({ logout_token: "x" })]) {
    assert.equal((await fetch(`${home}/backchannel-logout`, { method: "POST", body })).status, 400);
  }
});
