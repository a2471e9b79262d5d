// From the button of a page to signed in, with nothing between that is not there
// at a desk: see launch.inside.mjs. Where this system has no computer to spare, a
// card in a file remains, and the link is opened by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { inside, refused } from "./computer.mjs";
import { Desk, ask } from "./desk.mjs";
import { Person, setUp } from "./person.mjs";

setUp();

test("an agent with a card in a file signs in, and sees the browser back", async (t) => {
  const person = await Person.arrive(t);
  const desk = new Desk();
  desk.types("654321", "123456");
  const link = await ask(person);
  const code = await person.page.locator("#display-code").innerText();
  const { said } = desk.agent(t, "--virtual-card", await desk.card("555000000101"), "open", link);
  assert.match(await person.isBack(), /You are signed in as Dr Asha Smith/, said.err);
  assert.ok(desk.told.includes(code), `the window shows the page's number: ${desk.told}`);
});

test("D4: a browser under its own rules starts the agent, and a card in a reader signs in", { skip: refused() }, (t) => inside(t, "launch.inside.mjs"));
