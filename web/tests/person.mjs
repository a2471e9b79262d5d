// A person at a real browser. Every page that they inspect is held to the same
// rules; see inspect.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before } from "node:test";
import axe from "axe-core";
import { chromium } from "playwright-core";
import { folder, patience, start, within } from "./harness.mjs";

const desktop = { width: 1280, height: 900 };
const phone = { width: 320, height: 640 };
const pictures = process.env.SCREENSHOTS ?? folder();
mkdirSync(pictures, { recursive: true });

function browserProgram() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    try {
      return execFileSync("which", [name], { encoding: "utf8" }).trim();
    } catch {
      continue;
    }
  }
  throw new Error("no Chromium is installed: `make test` installs it");
}

// browser starts Chromium.
export const browser = (args = [], env) => chromium.launch({
  executablePath: browserProgram(),
  timeout: 60_000,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", ...args],
  env,
});

// world is where people live: a service and a browser, from setUp on.
export const world = {};

// setUp starts both before the tests of a file, and ends them afterwards. options
// are of the service. Once there is one, ready may say what else the browser is
// started with.
export function setUp(ready = () => ({}), options = []) {
  before(async () => {
    world.lanyard = await start(options);
    const { args = [], env } = (await ready()) ?? {};
    world.program = await browser(args, env);
  });
  after(async () => {
    await world.program?.close();
    await world.lanyard?.stop();
  });
}

// A person at a browser of their own.
export class Person {
  clicks = 0;
  passcodes = 0;
  #faults = [];
  #seen = 0;

  static async arrive(t, options = {}) {
    const person = new Person();
    person.name = t.name.replace(/[^\w]+/g, "-").toLowerCase();
    person.scripts = options.javaScriptEnabled ?? true;
    person.context = await world.program.newContext({ viewport: desktop, reducedMotion: "reduce", ...options });
    t.after(() => Promise.all([person.context.close(), person.twin?.close()]));
    person.context.setDefaultTimeout(patience);
    person.page = await person.context.newPage();
    person.#watch();
    return person;
  }

  // watch notes what no page may do: complain, break, or talk to anybody else
  // than the agent of this desk.
  #watch() {
    this.page.on("console", (said) => {
      // The browser complains of every page with a status of 400 and more,
      // which is what a refusal is.
      const refusal = said.location().url === this.page.url() && /^Failed to load resource: .* status of 4\d\d/.test(said.text());
      if (said.type() === "error" && !refusal) this.#faults.push(`console: ${said.text()} (${said.location().url})`);
    });
    this.page.on("pageerror", (error) => this.#faults.push(`script: ${error.message}`));
    this.page.on("request", (request) => {
      const { origin, protocol, href } = new URL(request.url());
      const agent = protocol === "lanyard-desk:" || /^http:\/\/127\.0\.0\.1:\d+\/v1\/done$/.test(href) && request.isNavigationRequest();
      if (protocol !== "data:" && origin !== world.lanyard.origin && origin !== world.lanyard.rp && !agent) this.#faults.push(`off site: ${href}`);
    });
    this.page.on("requestfailed", (request) => {
      const why = request.failure()?.errorText;
      if (why !== "net::ERR_ABORTED") this.#faults.push(`failed: ${request.url()} ${why}`); // aborted: the page was left
    });
  }

  // open goes to an address by itself, as a link in another place would.
  async open(url) {
    this.response = await this.page.goto(url);
  }

  async click(what) {
    this.clicks++;
    await what.click();
  }

  async signIn() {
    await this.open(world.lanyard.rp);
    await this.click(this.page.getByRole("button", { name: "Sign in", exact: true }));
    await this.page.waitForURL(`${world.lanyard.origin}/login?**`);
  }

  async choose(serial) {
    await this.click(this.page.locator(`a[href$="card=${serial}"]`));
    await this.page.waitForURL(/\/login\/smartcard\/virtual/);
  }

  get passcode() {
    return this.page.locator("input[name=passcode]");
  }

  get continue() {
    return this.page.getByRole("button", { name: "Continue", exact: true });
  }

  async type(passcode = "123456") {
    this.passcodes++;
    await this.passcode.fill(passcode);
    await this.click(this.continue);
  }

  // seeRoles comes to the page of all roles. Whether the one of last time is
  // offered first depends on who was here before.
  async seeRoles() {
    await this.page.waitForURL(/\/login\/role/);
    const other = this.page.getByRole("link", { name: "Choose a different role" });
    if (await other.count()) await this.click(other);
    await this.page.locator("input[type=radio]").first().waitFor();
  }

  async isBack() {
    await this.page.waitForURL(`${world.lanyard.rp}/`);
    await this.page.waitForLoadState();
    return this.heading();
  }

  async isToldNo() {
    await this.page.waitForURL(`${world.lanyard.rp}/callback**`);
    return this.page.locator("#error").innerText();
  }

  heading() {
    return this.page.locator("h1").innerText();
  }

  // code is the code of the message that the page carries. With none given it
  // waits for any.
  async code() {
    return this.page.locator("[data-code]").first().getAttribute("data-code");
  }

  // inspect holds the page at hand to the rules of every page: it complains
  // of nothing, reaches nobody else, fits a narrow window and has no fault
  // that axe knows. It leaves a picture of the page in both widths.
  async inspect(what) {
    await this.page.waitForLoadState("load");
    const at = `${this.name}: ${what} (${this.page.url()})`;
    assert.deepEqual(this.#faults, [], at);
    assert.match(await this.page.title(), /\S – (Lanyard|Riverside demo application)$/, at);

    const file = join(pictures, `${this.name}-${++this.#seen}-${what.replace(/[^\w]+/g, "-").toLowerCase()}`);
    for (const size of [phone, desktop]) {
      await this.page.setViewportSize(size);
      const { scrollWidth, clientWidth } = await this.page.evaluate(() => {
        const { scrollWidth, clientWidth } = document.documentElement;
        return { scrollWidth, clientWidth };
      });
      assert.ok(scrollWidth <= clientWidth, `${at} is ${scrollWidth} px wide in a window of ${size.width} px`);
      await this.page.screenshot({ path: `${file}-${size.width}.png`, fullPage: true });
      const found = await this.#axe();
      assert.deepEqual(found, [], `${at} in a window of ${size.width} px`);
    }
    assert.deepEqual(this.#faults, [], at);
  }

  // axe comes from the page's debugger, so the page's policy does not hold it
  // back. It needs scripts: a page that must do without is looked at in a copy.
  async #axe() {
    const page = this.scripts ? this.page : await this.#copy();
    await page.evaluate(axe.source);
    const { violations, passes } = await within(page.evaluate((tags) =>
      globalThis.axe.run(document, { runOnly: { type: "tag", values: tags } }),
    ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]), "axe");
    assert.ok(passes.length > 10, "axe looked at the page");
    return violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`);
  }

  // copy opens the page at hand a second time, its own scripts taken out, in a
  // browser with scripts.
  async #copy() {
    const html = (await this.page.content()).replace(/<script[^>]*><\/script>/g, "");
    this.twin ??= await world.program.newContext({ reducedMotion: "reduce" });
    await this.twin.unrouteAll();
    await this.twin.route(this.page.url(), (route) => route.fulfill({ body: html, contentType: "text/html; charset=utf-8" }));
    const page = this.twin.pages()[0] ?? await this.twin.newPage();
    await page.setViewportSize(this.page.viewportSize());
    await page.goto(this.page.url(), { timeout: patience });
    return page;
  }
}
