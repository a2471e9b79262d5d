// A computer with a card reader, a desktop that opens links, and a browser under
// an organisation's policy: launch.test.mjs makes one, and runs this in it.
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { test } from "node:test";
import { endWith, plugIn } from "./computer.mjs";
import { Desk, ask } from "./desk.mjs";
import { Person, setUp, world } from "./person.mjs";

const desk = new Desk();

// serve answers everything with a page on this computer, which any page may read.
async function serve() {
  const server = createServer((_, answer) => {
    answer.writeHead(200, { "content-type": "text/html", "access-control-allow-origin": "*" });
    answer.end("<!doctype html><title>A page</title>");
  });
  await new Promise((resolve) => server.listen(0, "localhost", resolve));
  endWith(() => server.close());
  return new URL(`http://localhost:${server.address().port}`);
}

// far is a page on the internet as the browser sees it, and near one on this
// computer. The service is as far away.
const places = {};

setUp(async () => {
  Object.assign(places, { far: await serve(), near: await serve() });
  await plugIn();
  const policy = { AutoLaunchProtocolsFromOrigins: [{ protocol: "lanyard-desk", allowed_origins: [world.lanyard.origin] }] };
  for (const folder of ["/etc/chromium/policies/managed", "/etc/opt/chrome/policies/managed"]) {
    if (existsSync(folder)) writeFileSync(`${folder}/lanyard.json`, JSON.stringify(policy));
  }
  const far = [new URL(world.lanyard.origin), places.far].flatMap(({ port }) => [`127.0.0.1:${port}=public`, `[::1]:${port}=public`]);
  return { env: { ...process.env, ...desk.env }, args: [`--ip-address-space-overrides=${far.join(",")}`] };
});

test("this browser lets no page on the internet reach into this computer", async (t) => {
  const person = await Person.arrive(t);
  const reaches = async (from) => {
    await person.open(from.href);
    return person.page.evaluate((to) => Promise.race([
      fetch(to).then(() => "reached", () => "stopped"),
      new Promise((resolve) => setTimeout(resolve, 2000, "asks")),
    ]), `${places.near}`);
  };
  assert.equal(await reaches(places.near), "reached");
  assert.notEqual(await reaches(places.far), "reached");
});

for (const [protocol, beside, waits] of [["T=0", { atr: "3b084c414e5941524431" }, true], ["T=1", {}, false]]) {
  test(`a click, a card that speaks ${protocol} and its passcode sign in, with an agent that ${waits ? "waits" : "is started"}`, async (t) => {
    const person = await Person.arrive(t);
    if (waits) await desk.waits(t);
    else desk.handles();
    desk.types("654321", "123456");
    await ask(person);
    const code = await person.page.locator("#display-code").innerText();
    const status = person.page.locator(".lanyard-status");
    await person.inspect("waiting");

    await person.click(person.page.getByRole("button", { name: "Open the card reader program" }));
    await status.filter({ hasText: "Insert your smartcard." }).waitFor();
    await person.inspect("a card is waited for");
    const takeOut = desk.inserts(t, await desk.card("555000000101", beside));

    assert.match(await person.isBack(), /You are signed in as Dr Asha Smith/);
    await person.inspect("signed in");
    assert.ok(desk.told.includes(code), `the window shows the page's number: ${desk.told}`);
    assert.match(desk.told, /SETERROR .*You have 2 tries left/, "the window says what the page says");

    // Nothing hangs on the card any more.
    await takeOut();
    await person.open(`${world.lanyard.origin}/account`);
    await person.page.getByText("Dr Asha Smith").first().waitFor();
  });
}
