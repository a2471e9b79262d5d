// The registration authority's day at its desk, in a real browser, on whatever
// service `lanyard-bench journey` has made: a million people and two servers. It
// is told where that is, and tells, a line of JSON each, what it did and how long
// the browser saw each page take. ra.test.mjs is the same day with few people.
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { browser, Person, world } from "./person.mjs";

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const hear = async () => JSON.parse((await lines.next()).value);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

const told = await hear();
world.lanyard = { origin: told.origin, rp: told.origin };
world.program = await browser();

const ends = [];
const arrive = async (name, cookie) => {
  const person = await Person.arrive({ name, after: (end) => ends.push(end) });
  await person.context.addCookies([{ name: "lanyard-session", value: cookie, url: told.origin }]);
  return person;
};
const at = (path) => told.origin + path;
const link = (person, name) => person.page.getByRole("link", { name }).first();
const button = (person, name) => person.page.getByRole("button", { name });

// took is how long the page at hand took, from the click or the address to its
// end, and how much of that its server did.
async function took(person, question) {
  await person.page.waitForLoadState("load");
  await person.page.waitForFunction(() => performance.getEntriesByType("navigation")[0].loadEventEnd > 0);
  const { seen, server } = await person.page.evaluate(() => {
    const page = performance.getEntriesByType("navigation")[0];
    return { seen: page.loadEventEnd - page.startTime, server: page.responseStart - page.requestStart };
  });
  say({ question, seen, server });
}

const manager = await arrive("journey", told.manager);
await manager.open(at("/ra"));
await manager.inspect("home");

// 1: one box.
async function find(text, question) {
  await manager.open(at("/ra"));
  await manager.page.getByLabel(/^Name, UID/).fill(text);
  await button(manager, "Find").click();
  await manager.page.waitForURL((url) => url.pathname !== "/ra" || url.searchParams.get("q") === text);
  if (question) await took(manager, question);
}
for (const turn of [0, 1, 2]) {
  const uid = told.somebody[turn];
  const number = Number(uid.slice(1));
  for (const [by, text] of [["family name", ["smith", "hartwood", "mor"][turn]], ["two names", ["gwen smith", "asha ley", "smith sam"][turn]],
    ["UID", uid], ["e-mail", `p${number}@trust.example`], ["card", `aa${uid}`], ["a name nobody has", `zz${turn}`]]) {
    await find(text, `search by ${by}`);
  }
}
await find("smith");
await manager.page.getByText("Smith").first().waitFor();
await manager.inspect("found");

// 2: one page of a person.
for (const uid of told.somebody) {
  await manager.open(at(`/ra/people/${uid}`));
  await took(manager, "a person's page");
  const said = await manager.page.locator("main").innerText();
  for (const part of [uid, "3, high", "Nurse", `AA${uid}`, "Last used", "Signed in to", "What happened last"]) assert.ok(said.toLowerCase().includes(part.toLowerCase()), `${part} in ${said}`);
}
await manager.inspect("person");

// 3: a position, in three clicks and a check page.
manager.clicks = 0;
await manager.click(link(manager, "Assign a position"));
await manager.page.getByLabel("Organisation", { exact: true }).fill("T7");
await manager.page.getByLabel("Role code").fill("S8000:G8000:R8001");
await manager.page.getByLabel("Reason").fill("asked for by ward 4");
await manager.click(manager.continue);
await manager.page.getByRole("heading", { name: "What will change" }).waitFor();
await took(manager, "the check page of a position");
await manager.inspect("check");
await manager.click(button(manager, "Assign a position"));
await manager.page.waitForURL(/done=position_assigned/);
await took(manager, "a position is assigned");
say({ clicks: manager.clicks, what: "assign a position" });
await manager.inspect("assigned");

// 4: a lost card, in two clicks and a reason.
await find(told.card);
if (new URL(manager.page.url()).pathname === "/ra") await manager.page.locator(`a[href="/ra/people/${told.holder}"]`).click();
await manager.page.waitForURL(at(`/ra/people/${told.holder}`));
manager.clicks = 0;
await manager.click(link(manager, /^Revoke/));
await manager.page.getByLabel("Reason").fill("lost on the bus");
await manager.inspect("revoke");
say({ revoking: true });
await manager.click(button(manager, "Revoke a card"));
await manager.page.waitForURL(/done=card_revoked/);
await took(manager, "a card is revoked");
say({ clicks: manager.clicks, what: "revoke a card" });
await manager.inspect("revoked");

// 8: what the holder of that card reads out.
const { reference } = await hear();
await find(reference, "what stands behind a reference");
await manager.page.waitForURL(at(`/ra/references/${reference}`));
assert.match(await manager.page.locator("main").innerText(), /CRT-03[\s\S]*revoked for good/);
await manager.inspect("reference");

// 6: the worklists, and one as a file.
for (const list of told.lists) {
  await manager.open(at(`/ra/lists/${list}`));
  assert.equal(manager.response.status(), 200, `the list ${list}: ${await manager.page.locator("main").innerText()}`);
  await took(manager, `worklist ${list}`);
}
await manager.open(at("/ra/lists/locked"));
await manager.inspect("locked");
const file = await manager.context.request.get(at("/ra/lists/locked.csv?at=T7"));
assert.equal(file.status(), 200);
assert.match(await file.text(), /^uid,name,/);

// 7: who may not is told why.
const agent = await arrive("journey-agent", told.agent);
await agent.open(at(`/ra/people/${told.somebody[0]}`));
assert.equal(await link(agent, "Close profile").count(), 0);
await agent.click(link(agent, "Why can I do no more here?"));
await took(agent, "why somebody may do no more");
await agent.click(link(agent, "Close profile"));
assert.match(await agent.page.locator("main").innerText(), /RA manager/);
await agent.inspect("why");

for (const end of ends) await end();
await world.program.close();
say({ done: true });
process.exit(0);
