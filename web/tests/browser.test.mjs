// People in a real browser: the demo application, every page on the way and
// every way to go wrong.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Person, setUp, world } from "./person.mjs";

setUp();

test("axe finds a fault where there is one", async (t) => {
  const person = await Person.arrive(t);
  await person.open(world.lanyard.rp);
  await person.page.evaluate(() => document.documentElement.removeAttribute("lang"));
  await assert.rejects(person.inspect("no language"), /html-has-lang/);
});

for (const scripts of [true, false]) {
  describe(`with scripts ${scripts ? "on" : "off"}`, () => {
    const arrive = (t) => Person.arrive(t, { javaScriptEnabled: scripts });
    const mode = scripts ? "" : " without scripts";

    test(`one role${mode}`, async (t) => {
      const person = await arrive(t);
      await person.open(world.lanyard.rp);
      await person.inspect("demo application");
      await person.signIn();
      await person.inspect("ways to sign in");
      await person.choose("0000101");
      assert.equal(await person.passcode.evaluate((input) => input === document.activeElement), true, "the passcode can be typed at once");
      await person.inspect("passcode");
      await person.type();
      assert.match(await person.isBack(), /You are signed in as Dr Asha Smith/);
      await person.inspect("signed in");
      assert.ok(person.clicks <= 4, `${person.clicks} clicks`);
      assert.equal(person.passcodes, 1);

      // The session answers the next sign-in by itself, until its person signs
      // out of it.
      await person.open(`${world.lanyard.rp}/login`);
      assert.match(await person.isBack(), /You are signed in as Dr Asha Smith/);
      await person.click(person.page.getByRole("button", { name: "Sign out" }));
      await person.page.getByText("Sign in to see who is coming today.").waitFor();
      await person.signIn();
      await person.choose("0000101");
      await person.type();
      assert.match(await person.isBack(), /You are signed in as Dr Asha Smith/);

      // Nobody else signs them out without a question.
      await person.open(`${world.lanyard.origin}/end_session?client_id=demo-rp&post_logout_redirect_uri=${encodeURIComponent(`${world.lanyard.rp}/`)}`);
      await person.page.getByText("Demo application asks you to sign out.").waitFor();
      await person.inspect("sign out");
      await person.click(person.page.getByRole("button", { name: "Sign out", exact: true }));
      await person.isBack();
      await person.open(`${world.lanyard.origin}/end_session`);
      await person.page.getByText("Nobody is signed in here any more.").waitFor();
      await person.inspect("signed out");
    });

    test(`many roles${mode}`, async (t) => {
      const person = await arrive(t);
      await person.signIn();
      await person.choose("0000103");
      await person.type();
      await person.seeRoles();
      const shown = person.page.locator("input[name=role]:visible");
      assert.equal(await person.page.locator("input[name=role]").count(), 40);
      assert.equal(await person.page.locator("input[name=role]:checked").count(), 0, "nothing is chosen beforehand");
      await person.inspect("forty roles");

      const search = person.page.locator("input[name=q]");
      await search.fill("nurse a9a5a");
      await search.press("Enter");
      await person.page.getByText("Showing 1 of 40 roles").waitFor();
      assert.equal(await shown.count(), 1);
      await person.inspect("one role found");

      await search.fill("nothing like this");
      await search.press("Enter");
      await person.page.getByText("None of your roles fits").waitFor();
      await person.inspect("no role found");

      await search.fill("riverside");
      await search.press("Enter");
      await person.page.getByText("Showing 5 of 40 roles").waitFor();
      assert.equal(await shown.count(), 5);
      await person.click(person.page.getByLabel("Nurse Access Role").and(shown));
      await person.click(person.continue);
      assert.match(await person.isBack(), /Mr Tomasz Kowalski/);
      await person.page.getByText("Riverside Surgery (A9A5A)").waitFor();
      await person.inspect("signed in");
    });

    test(`a role that was used before${mode}`, async (t) => {
      const person = await arrive(t);
      await person.signIn();
      await person.choose("0000102");
      await person.type();
      await person.seeRoles();
      await person.click(person.continue);
      assert.equal(await person.code(), "ROL-03");
      await person.inspect("no role chosen");
      await person.click(person.page.locator('input[value="555000001004"]').locator("xpath=..").locator("label"));
      await person.click(person.continue);
      assert.match(await person.isBack(), /Ms Oluwaseun Adeyemi/);

      const next = await arrive(t);
      await next.signIn();
      await next.choose("0000102");
      await next.type();
      await next.page.waitForURL(/\/login\/role/);
      assert.match(await next.heading(), /^Continue as Health Professional Access Role at Calder Royal Hospital\?$/);
      await next.inspect("the same role again");
      await next.click(next.continue);
      await next.isBack();
      await next.page.getByText("Calder Royal Hospital (RX901)").waitFor();
      assert.ok(next.clicks <= 4, `${next.clicks} clicks`);
      assert.equal(next.passcodes, 1);
    });

    test(`the answer by form_post${mode}`, async (t) => {
      const person = await arrive(t);
      await person.open(`${world.lanyard.rp}/login?mode=form_post`);
      await person.choose("0000101");
      await person.type();
      if (!scripts) {
        await person.page.locator("form[data-lanyard-submit]").waitFor();
        await person.inspect("returning");
        await person.click(person.continue);
      }
      assert.match(await person.isBack(), /Dr Asha Smith/);
    });

    test(`stopping${mode}`, async (t) => {
      const person = await arrive(t);
      await person.signIn();
      await person.click(person.page.getByRole("button", { name: "Stop signing in" }));
      assert.equal(await person.isToldNo(), "access_denied");
      await person.inspect("not signed in");
    });
  });
}

test("a wrong passcode until the card locks", async (t) => {
  const person = await Person.arrive(t);
  await person.signIn();
  await person.choose("0000116");
  await person.click(person.continue);
  await person.page.locator('[data-code="PAS-04"]').waitFor();
  await person.inspect("PAS-04");
  for (const [code, left] of [["PAS-01", /2 tries left/i], ["PAS-02", /one try left/i]]) {
    await person.type("000000");
    await person.page.locator(`[data-code="${code}"]`).waitFor();
    assert.match(await person.page.locator("[role=alert]").innerText(), left);
    assert.equal(await person.passcode.inputValue(), "", "the wrong passcode is not shown again");
    await person.inspect(code);
  }
  await person.type("000000");
  await person.page.locator('[data-code="PAS-03"]').waitFor();
  await person.inspect("PAS-03");

  // The right one does not unlock it either.
  const again = await Person.arrive(t);
  await again.signIn();
  await again.click(again.page.locator('a[href$="card=0000116"]'));
  assert.equal(await again.code(), "PAS-03");
});

for (const [what, serial, code] of [
  ["an expired card", "0000106", "CRT-01"],
  ["a blocked card", "0000108", "PAS-03"],
  ["a revoked card", "0000109", "CRT-03"],
  ["a card that nobody registered", "0000111", "CRT-04"],
  ["a suspended card", "0000112", "CRD-06"],
  ["a card of a blocked series", "0000110", "CRD-07"],
  ["a card of another authority", "FF01", "CRD-03"],
]) {
  test(`${what} is refused before its passcode is asked`, async (t) => {
    const person = await Person.arrive(t);
    await person.signIn();
    await person.click(person.page.locator(`a[href$="card=${serial}"]`));
    assert.equal(await person.code(), code);
    assert.equal(await person.passcode.count(), 0);
    await person.inspect(code);
    // Another card still works: the page offers it.
    await person.choose("0000101");
    await person.type();
    await person.isBack();
  });
}

test("a certificate that ends soon is told of, once", async (t) => {
  const person = await Person.arrive(t);
  await person.signIn();
  await person.choose("0000107");
  await person.type();
  assert.equal(await person.code(), "CRT-02");
  await person.inspect("CRT-02");
  await person.click(person.continue);
  assert.match(await person.isBack(), /Mrs Siobhan O'Neill/);
});

for (const [what, serial, code] of [
  ["an unverified profile", "0000113", "PRF-03"],
  ["a restricted profile", "0000114", "PRF-02"],
  ["a closed profile", "0000115", "PRF-01"],
]) {
  test(`${what} gets no further, and the application is told`, async (t) => {
    const person = await Person.arrive(t);
    await person.signIn();
    await person.choose(serial);
    await person.type();
    assert.equal(await person.code(), code);
    await person.inspect(code);
    await person.click(person.page.getByRole("main").getByRole("button", { name: /Demo application/ }));
    assert.equal(await person.isToldNo(), "access_denied");
  });
}

test("what an application asks in vain is told to it", async (t) => {
  const person = await Person.arrive(t);
  await person.open(`${world.lanyard.rp}/login?acr=AAL3_FIDO2`);
  assert.equal(await person.isToldNo(), "unmet_authentication_requirements");
  await person.inspect("AAL3_FIDO2");
  await person.open(`${world.lanyard.rp}/login?prompt=none`);
  assert.equal(await person.isToldNo(), "login_required");
});

describe("a request that leads nowhere shows a page and redirects nobody", () => {
  const authorize = (parameters) => `${world.lanyard.issuer}/authorize?${new URLSearchParams(
    { client_id: "demo-rp", redirect_uri: `${world.lanyard.rp}/callback`, response_type: "code", scope: "openid", ...parameters })}`;
  for (const [what, url, code, status] of [
    ["an unknown application", () => authorize({ client_id: "nobody" }), "REQ-01", 400],
    ["an address that is not registered", () => authorize({ redirect_uri: "https://elsewhere.example/a-long-address-that-must-wrap-somewhere-on-a-narrow-page/callback" }), "REQ-02", 400],
    ["a sign-in that is over", () => `${world.lanyard.origin}/login?id=nothing-of-this-name`, "SES-01", 400],
    ["an address without a page", () => `${world.lanyard.origin}/no-such-page`, "NOT-01", 404],
  ]) {
    test(what, async (t) => {
      const person = await Person.arrive(t);
      await person.open(url());
      assert.equal(person.response.status(), status);
      assert.equal(new URL(person.page.url()).origin, world.lanyard.origin);
      assert.equal(await person.code(), code);
      await person.inspect(code);
    });
  }

  test("a sign-in of another browser", async (t) => {
    const first = await Person.arrive(t);
    await first.signIn();
    const second = await Person.arrive(t);
    await second.open(first.page.url());
    assert.equal(await second.code(), "SES-02");
    await second.inspect("SES-02");
    // The one it belongs to goes on undisturbed.
    await first.choose("0000101");
    await first.type();
    await first.isBack();
  });
});

test("the home page", async (t) => {
  const person = await Person.arrive(t);
  await person.open(world.lanyard.origin);
  await person.inspect("home");
  await person.page.keyboard.press("Tab");
  const focused = await person.page.evaluate(() => document.activeElement.getAttribute("href"));
  assert.equal(focused, "#maincontent", "the first stop of the keyboard skips to the content");
});

test("language: a person reads Welsh, by their browser or by a button on every page", async (t) => {
  const person = await Person.arrive(t, { locale: "cy-GB" });
  const reads = async (lang, heading) => {
    assert.equal(await person.page.locator("html").getAttribute("lang"), lang);
    assert.match(await person.heading(), heading);
  };
  await person.signIn();
  await reads("cy", /^Mewngofnodi i /);
  await person.inspect("ways");
  await person.choose("0000103");
  await person.click(person.page.getByRole("button", { name: "English", exact: true }));
  await person.page.waitForLoadState();
  await reads("en", /^Enter the passcode$/);
  await person.click(person.page.getByRole("button", { name: "Cymraeg", exact: true }));
  await person.page.getByText("Rhowch y cod pas").first().waitFor();
  await person.inspect("passcode");
  await person.passcode.fill("123456");
  await person.click(person.page.getByRole("button", { name: "Parhau", exact: true }));
  await person.page.waitForURL(/\/login\/role/);
  await person.inspect("roles");
});
