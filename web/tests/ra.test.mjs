// The registration authority, in a real browser: a day at its desk.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { folder } from "./harness.mjs";
import { asking } from "./held.mjs";
import { Person, setUp, world } from "./person.mjs";

setUp();

const manager = "0000116";
const agent = "0000117";
const button = (person, name) => person.page.getByRole("button", { name });
const link = (person, name) => person.page.getByRole("link", { name });
const at = (path) => world.lanyard.origin + path;

// toDesk signs in to the registration authority with a card.
async function toDesk(person, card = manager, path = "/ra") {
  await person.open(at(path));
  await person.page.waitForURL(/\/login\?/);
  await person.choose(card);
  await person.type();
  await person.page.waitForURL((url) => url.pathname.startsWith("/ra"));
}

async function look(person, text) {
  await person.open(at("/ra"));
  await person.page.getByLabel(/^Name, UID/).fill(text);
  await person.click(button(person, "Find"));
}

test("somebody is found by name, uid, e-mail and card, and one page says it all", async (t) => {
  const person = await Person.arrive(t);
  await toDesk(person);
  await person.inspect("home");
  await look(person, "smith");
  await person.page.getByText("Dr Asha Smith").waitFor();
  await person.inspect("found");
  for (const text of ["555000000101", "asha.smith@riverside.example"]) {
    await look(person, text);
    await person.page.waitForURL(at("/ra/people/555000000101"));
  }
  await look(person, "0000101");
  await person.click(link(person, "Dr Asha Smith"));
  assert.equal(await person.heading(), "Dr Asha Smith");
  const said = await person.page.locator("main").innerText();
  for (const part of ["555000000101", "Verified", "3, high", "C1234567", "Clinical Practitioner Access Role", "A9A5A", "series 9", "Active"]) assert.ok(said.includes(part), `${part} in ${said}`);
  await person.inspect("person");
  await look(person, "zzzzzz");
  await person.page.getByText("Nothing was found").waitFor();
  await person.inspect("nothing found");
  for (const path of ["/ra/people/555000000103", "/ra/organisations", "/ra/organisations/RX9", "/ra/requests", "/ra/policy?day=2030-01-01", "/ra/lists/unverified", "/ra/lists/suspended", "/ra/bulk", "/ra/why/person_closed?uid=555000000101"]) {
    await person.open(at(path));
    await person.inspect(path);
  }
  await person.open(at("/ra/change/notice_sent?organisation=X26"));
  await person.page.getByLabel("Role").fill("R5090");
  await person.page.getByLabel("Subject").fill("Card readers");
  await person.page.getByLabel("Text", { exact: true }).fill("They are replaced.\n\nUse the others.");
  await person.click(person.continue);
  await person.page.getByText("This mail goes to").waitFor();
  await person.inspect("check of a notice");
});

test("a position is assigned in three clicks and a check page", async (t) => {
  const person = await Person.arrive(t);
  await toDesk(person, manager, "/ra/people/555000000104");
  person.clicks = 0;
  await person.click(link(person, "Assign a position"));
  await person.inspect("form");
  await person.click(person.continue);
  await person.page.locator(".nhsuk-error-summary").waitFor();
  assert.match(await person.page.locator(".nhsuk-error-summary").innerText(), /Organisation: enter it/);
  await person.inspect("form with problems");
  await person.click(person.page.locator('a[href="#f-organisation"]'));
  assert.equal(await person.page.locator("#f-organisation").evaluate((element) => element === document.activeElement), true);
  person.clicks -= 2; // those who forget nothing do without
  await person.page.getByLabel("Organisation", { exact: true }).fill("A9A5A");
  await person.page.getByLabel("Role code").fill("S8000:G8000:R8001");
  await person.page.getByLabel("Reason").fill("asked for by ward 4");
  await person.click(person.continue);
  await button(person, "Assign a position").waitFor();
  assert.match(await person.page.locator("main").innerText(), /What will change/);
  await person.inspect("check");
  await person.click(button(person, "Change what you entered"));
  assert.equal(await person.page.getByLabel("Reason").inputValue(), "asked for by ward 4", "what was typed is kept");
  await person.click(person.continue);
  person.clicks -= 2;
  await person.click(button(person, "Assign a position"));
  await person.page.waitForURL(/\/ra\/people\/555000000104\?done=position_assigned/);
  assert.equal(person.clicks, 3);
  assert.match(await person.page.locator("main").innerText(), /Position assigned[\s\S]*R8001/);
  await person.inspect("assigned");
});

test("a lost card is revoked in two clicks and a reason, and its use is refused", async (t) => {
  const holder = await Person.arrive(t);
  await holder.open(asking("AAL3_ANY"));
  await holder.choose("0000118");
  await holder.type();
  await holder.isBack();
  const person = await Person.arrive(t);
  await toDesk(person, manager, "/ra/people/555000000118");
  person.clicks = 0;
  await person.click(link(person, /^Revoke/));
  await person.inspect("revoke");
  await person.page.getByLabel("Reason").fill("lost on the bus");
  await person.click(button(person, "Revoke a card"));
  await person.page.waitForURL(/done=card_revoked/);
  assert.equal(person.clicks, 2);
  await person.inspect("revoked");

  const reference = async () => (await holder.page.locator("#reference").innerText()).trim();
  await holder.open(asking("AAL3_ANY"));
  await holder.page.waitForURL(/\/login\?/); // signed out at once
  await holder.choose("0000118").catch(() => {});
  assert.equal(await holder.code(), "CRT-03");
  const read = await reference();

  await look(person, read);
  await person.page.waitForURL(at(`/ra/references/${read}`));
  assert.match(await person.page.locator("main").innerText(), /CRT-03[\s\S]*revoked for good/);
  await person.inspect("reference");
});

test("why somebody may not is said where the act is not offered", async (t) => {
  const person = await Person.arrive(t);
  await toDesk(person, agent, "/ra/people/555000000101");
  assert.equal(await link(person, "Close profile").count(), 0);
  await person.inspect("person by an agent");
  await person.click(link(person, "Why can I do no more here?"));
  await person.inspect("what an agent may not");
  await person.click(link(person, "Close profile"));
  assert.match(await person.page.locator("main").innerText(), /RA manager/);
  await person.inspect("who may close");
  await person.open(at("/ra/change/person_closed?uid=555000000101"));
  await person.page.waitForURL(/\/ra\/why\/person_closed/);
  await person.open(at("/ra/people/555000000117"));
  assert.equal(await link(person, "Change details").count(), 0, "nobody acts on themself");
});

test("an agent's assignment waits for a second person", async (t) => {
  const asks = await Person.arrive(t);
  await toDesk(asks, agent, "/ra/change/position_assigned?uids=555000000104");
  await asks.page.getByLabel("Organisation", { exact: true }).fill("X26");
  await asks.page.getByLabel("Role code").fill("R8008");
  await asks.click(asks.continue);
  await asks.page.getByText("A second person must approve this").waitFor();
  await asks.inspect("check of an agent");
  await asks.click(button(asks, "Assign a position"));
  await asks.page.waitForURL(/\/ra\/requests\/\d+/);
  await asks.inspect("own request");
  const path = new URL(asks.page.url()).pathname;

  const decides = await Person.arrive(t);
  await toDesk(decides);
  await decides.page.getByRole("heading", { name: "Waiting for you" }).waitFor();
  await decides.inspect("home with a request");
  await decides.open(at(path));
  await decides.click(button(decides, "Decide"));
  await decides.page.locator(".nhsuk-error-summary").waitFor();
  await decides.inspect("no decision");
  await decides.page.getByLabel("Approve: make the change").check();
  await decides.click(button(decides, "Decide"));
  await decides.page.getByText("Approved", { exact: true }).waitFor();
  await decides.inspect("decided");
});

test("many positions at once: rows that do not pass are left out by who says so", async (t) => {
  const person = await Person.arrive(t);
  await toDesk(person, manager, "/ra/bulk");
  await person.page.getByLabel("CSV file").setInputFiles({ name: "p.csv", mimeType: "text/csv", buffer: Buffer.from("uid,organisation,role_code\n555000000105,A9A5A,R8008\n555000000999,A9A5A,R8008\n") });
  await person.click(person.continue);
  await person.page.locator("table .lanyard-tag--stop").waitFor();
  await person.inspect("rows");
  await person.click(button(person, "Assign 1 position"));
  await person.page.locator(".nhsuk-error-summary").waitFor();
  await person.inspect("rows not left out");
  await person.page.getByLabel("Leave out the row that does not pass").check();
  await person.click(button(person, "Assign 1 position"));
  await person.page.getByRole("heading", { name: "What was done" }).waitFor();
  await person.inspect("rows done");
});

test("a code to add a key is shown once", async (t) => {
  const person = await Person.arrive(t);
  await toDesk(person, manager, "/ra/change/authenticator_invited?uid=555000000105");
  await person.inspect("invite");
  await person.page.getByLabel("In person").check();
  await person.page.getByLabel("Identity level that this proves").selectOption("1");
  await person.click(person.continue);
  await person.inspect("invite check");
  await person.click(button(person, "Add a security key together"));
  await person.page.locator("#secret").waitFor();
  await person.inspect("code");
});

test("the request for a card's certificate comes as a file, without scripts", async (t) => {
  const person = await Person.arrive(t, { javaScriptEnabled: false });
  const request = execFileSync("openssl", ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=card", "-keyout", join(folder(), "key.pem")], { stdio: ["ignore", "pipe", "ignore"] });
  await toDesk(person, manager, "/ra/change/certificate_issued?uid=555000000104");
  await person.inspect("certificate");
  const file = person.page.getByLabel("Or a file with the request");
  await file.setInputFiles({ name: "card.csr", mimeType: "application/pkcs10", buffer: Buffer.from("no request") });
  await person.page.getByLabel("Series").fill("9");
  await person.click(person.continue);
  await person.page.locator(".nhsuk-error-summary").waitFor();
  await person.inspect("certificate with a problem");
  await file.setInputFiles({ name: "card.csr", mimeType: "application/pkcs10", buffer: request });
  await person.click(person.continue);
  await button(person, "Issue a card's certificate").waitFor();
  await person.inspect("certificate check");
  await person.click(button(person, "Issue a card's certificate"));
  await person.page.waitForURL(/\/ra\/people\/555000000104\?done=certificate_issued/);
  await person.inspect("certificate issued");
});

test("who holds no authority is told so, and whom to ask", async (t) => {
  const person = await Person.arrive(t);
  await toDesk(person, "0000102");
  assert.match(await person.page.locator("main").innerText(), /Registration Authority manager/);
  await person.inspect("stranger");
});

test("by keyboard alone, without scripts, in Welsh: somebody is found", async (t) => {
  const person = await Person.arrive(t, { locale: "cy-GB", javaScriptEnabled: false });
  const keys = person.page.keyboard;
  await person.open(at("/ra"));
  await person.choose(manager);
  await person.passcode.fill("123456");
  await keys.press("Enter");
  await person.page.waitForURL(at("/ra"));
  const reach = async (wanted) => {
    for (let i = 0; i < 60; i++) {
      await keys.press("Tab");
      if (await wanted.evaluate((element) => element === document.activeElement)) return;
    }
    assert.fail("the keyboard does not come there");
  };
  await reach(person.page.locator("#q"));
  await keys.type("smith");
  await keys.press("Enter");
  await person.page.getByText("Dr Asha Smith").waitFor();
  await reach(link(person, "Dr Asha Smith"));
  await keys.press("Enter");
  await person.page.waitForURL(/\/ra\/people\/555000000101/);
  await person.inspect("person in Welsh");
});
