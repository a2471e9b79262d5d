// The pages beside a sign-in: for developers, and for hands that use no mouse.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Person, setUp, world } from "./person.mjs";

setUp();

test("a developer finds people, requests and keys", async (t) => {
  const person = await Person.arrive(t);
  await person.open(`${world.lanyard.origin}/authorize?client_id=demo-rp&redirect_uri=https%3A%2F%2Felsewhere.example`);
  assert.equal(await person.code(), "REQ-02");
  const reference = await person.page.locator("#reference").innerText();
  await person.signIn();
  await person.choose("0000101");
  await person.type();
  await person.isBack();

  await person.open(`${world.lanyard.origin}/dev`);
  await person.page.getByText("Mx Rowan Campbell").waitFor();
  await person.inspect("people");
  await person.click(person.page.getByRole("link", { name: "Requests" }));
  await person.page.getByText("Kept: the access token is live").waitFor();
  await person.inspect("requests");
  await person.page.getByLabel("Find a reference from a page").fill(reference);
  await person.page.keyboard.press("Enter");
  await person.page.waitForURL(/\?q=/);
  await person.page.getByText("Not kept: redirect_uri is registered, to the letter").waitFor();
  assert.equal(await person.page.locator("article").count(), 1);
  await person.inspect("one request");
  await person.click(person.page.getByRole("link", { name: "Keys" }));
  await person.page.getByText("-----BEGIN PRIVATE KEY-----").waitFor();
  await person.inspect("keys");
});

for (const scripts of [true, false]) {
  test(`by keyboard alone, scripts ${scripts ? "on" : "off"}`, async (t) => {
    const person = await Person.arrive(t, { javaScriptEnabled: scripts });
    const keys = person.page.keyboard;
    // reach presses Tab until the focus is on what is wanted, as everybody can
    // see it is.
    const reach = async (wanted) => {
      for (let i = 0; i < 60; i++) {
        await keys.press("Tab");
        if (await wanted.evaluate((element) => element === document.activeElement)) {
          const outline = await wanted.evaluate((element) => {
            const style = getComputedStyle(element);
            return style.outlineStyle !== "none" || style.boxShadow !== "none";
          });
          assert.ok(outline, "the focus can be seen");
          return;
        }
      }
      assert.fail("the keyboard does not come there");
    };
    await person.open(world.lanyard.rp);
    await reach(person.page.getByRole("button", { name: "Sign in", exact: true }));
    await keys.press("Enter");
    await person.page.waitForURL(/\/login/);
    await reach(person.page.locator('a[href$="card=0000118"]'));
    await keys.press("Enter");
    await person.passcode.waitFor();
    await keys.type("000000"); // the field has the focus already
    await keys.press("Enter");
    await person.page.locator('[data-code="PAS-01"]').waitFor();
    if (scripts) {
      const summary = person.page.locator(".nhsuk-error-summary");
      assert.equal(await summary.evaluate((element) => element === document.activeElement), true, "the summary of what is wrong takes the focus");
    }
    await reach(person.page.locator('a[href="#answer"]'));
    await keys.press("Enter");
    assert.equal(await person.passcode.evaluate((element) => element === document.activeElement), true, "it leads to the field");
    await keys.type("123456");
    await keys.press("Enter");
    assert.match(await person.isBack(), /Ms Fatima Hussain/);
  });
}
