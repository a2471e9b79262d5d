// Applying for a care identity, in a real browser: an agent invites, somebody
// says who they are, and the agent, who checks identities too, accepts them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { mail } from "./held.mjs";
import { Person, setUp, world } from "./person.mjs";

setUp();

const agent = "0000117";
const button = (person, name) => person.page.getByRole("button", { name });
const at = (path) => world.lanyard.origin + path;

// invites has an agent invite an address, and returns the agent and the code
// that was mailed there.
async function invites(t, address, subject) {
  const person = await Person.arrive(t);
  await person.open(at("/ra/applicants"));
  await person.page.waitForURL(/\/login\?/);
  await person.choose(agent);
  await person.type();
  await person.inspect("nobody applies");
  await person.click(person.page.getByRole("link", { name: "Invite somebody to apply" }));
  await person.page.getByLabel("E-mail address").fill(address);
  await person.page.getByLabel("Organisation", { exact: true }).fill("RX901");
  await person.click(person.continue);
  await person.inspect("looked at");
  await person.click(button(person, "Invite somebody to apply for a care identity"));
  await person.page.waitForURL(/\/ra\/applicants\?done=/);
  await person.inspect("invited");
  const code = /[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}/.exec(await mail(address, subject))?.[0];
  assert.ok(code);
  assert.ok(!(await person.page.locator("body").innerText()).includes(code), "who invites does not read the code");
  return { person, code };
}

test("somebody who is invited applies, is accepted, and has a uid", async (t) => {
  const address = "olwen.parry@riverside.example";
  const { person: desk, code } = await invites(t, address, "Apply for a care identity");
  const person = await Person.arrive(t);
  await person.open(at("/apply"));
  await person.inspect("code asked for");
  const field = person.page.getByLabel("Code from the mail");
  await field.fill("0000-0000-0000");
  await person.click(person.continue);
  assert.equal(await person.code(), "RA-57");
  await person.inspect("wrong code");
  await field.fill(code.toLowerCase());
  await person.click(person.continue);
  await person.page.waitForURL(at("/apply/details"));
  await person.inspect("who they are");
  await person.page.getByLabel("Given name").fill("Olwen");
  await person.page.getByLabel("Date of birth").fill("1991-04-30");
  await person.click(button(person, "Apply"));
  await person.inspect("something is missing");
  assert.match(await person.page.locator(".nhsuk-error-summary").innerText(), /Family name: enter it/);
  assert.equal(await person.page.getByLabel("Given name").inputValue(), "Olwen");
  await person.page.getByLabel("Family name").fill("Parry");
  await person.page.getByLabel("National Insurance number").fill("AB 12 34 56 C");
  await person.click(button(person, "Apply"));
  await person.page.waitForURL(at("/apply/done"));
  await person.inspect("applied");

  await desk.open(at("/ra/applicants"));
  await desk.click(desk.page.getByRole("link", { name: "Olwen Parry" }));
  await desk.inspect("who applies");
  await desk.click(desk.page.getByRole("link", { name: "Accept" }));
  await desk.page.getByLabel("In person").check();
  await desk.page.getByLabel("Passport").check();
  await desk.page.getByLabel("Identity level that this proves").selectOption("3");
  await desk.click(desk.continue);
  await desk.inspect("before they are accepted");
  await desk.click(button(desk, "Accept an applicant"));
  await desk.page.waitForURL(/\/ra\/people\/[0-9]{12}/);
  const uid = /[0-9]{12}/.exec(desk.page.url())[0];
  assert.match(await desk.page.locator("main").innerText(), /Verified/);
  assert.match(await mail(address, "You have a care identity"), new RegExp(uid));
});

test("by keyboard alone, in Welsh: somebody applies", async (t) => {
  const { code } = await invites(t, "gwen.rees@riverside.example", "Apply for a care identity");
  const person = await Person.arrive(t, { locale: "cy-GB" });
  const keys = person.page.keyboard;
  const reach = async (wanted) => {
    await wanted.waitFor();
    for (let i = 0; i < 60; i++) {
      await keys.press("Tab");
      if (await wanted.evaluate((element) => element === document.activeElement)) return;
    }
    assert.fail("the keyboard does not come there");
  };
  await person.open(at("/apply"));
  assert.equal(await person.page.locator("html").getAttribute("lang"), "cy");
  await reach(person.page.locator("#answer"));
  await keys.type(code);
  await keys.press("Enter");
  await person.page.waitForURL(at("/apply/details"));
  await person.inspect("who they are, in Welsh");
  for (const [label, text] of [["Enw cyntaf", "Gwen"], ["Cyfenw", "Rees"], ["Rhif Yswiriant Gwladol", "AB123456D"]]) {
    await reach(person.page.getByLabel(label));
    await keys.type(text);
  }
  await person.page.getByLabel("Dyddiad geni").fill("1980-12-01"); // how a day is typed is the browser's own
  await reach(button(person, "Gwneud cais"));
  await keys.press("Enter");
  await person.page.waitForURL(at("/apply/done"));
  await person.inspect("applied, in Welsh");
});
