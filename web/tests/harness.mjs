// What the tests of this folder stand on: the program itself, started on free
// ports, and a browser so small that it is plain HTTP. Every wait is bounded.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

// built is a program that make has built.
export const built = (name) => fileURLToPath(new URL(`../../bin/${name}`, import.meta.url));

const program = process.env.LANYARD_BIN ?? built("lanyard");

export const patience = 15_000; // for anything that another program does, in ms

// No setting of whoever runs the tests may reach the program.
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^LANYARD_|^NODE_TEST/.test(name)));

// A program does not keep its test process waiting: a test that fails halfway
// just ends, and takes its programs with it.
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

// launch starts a program. What it says can be read, and its end waited for.
export function launch(program, args, env = {}) {
  const child = spawn(program, args, { env: { ...environment, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  for (const held of [child, child.stdout, child.stderr]) held.unref();
  const said = { out: "", err: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => (said.out += text));
  child.stderr.setEncoding("utf8").on("data", (text) => (said.err += text));
  // close, not exit: by then everything that the program said has been read.
  const ended = once(child, "close").then(([status, signal]) => {
    running.delete(child);
    return { status, signal, ...said };
  });
  return { child, said, ended };
}

// within returns what promise brings, or fails once patience is over.
export async function within(promise, what, ms = patience) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// run runs the program to its end and returns its status and what it said.
export async function run(args, env = {}) {
  const { child, ended } = launch(program, args, env);
  try {
    return await within(ended, `lanyard ${args.join(" ")}`);
  } finally {
    child.kill("SIGKILL");
  }
}

// start starts `lanyard dev` on free ports. stop sends it a signal and holds
// it to its promise: it ends by itself, with status 0.
export async function start(args = [], env = {}) {
  const { child, said, ended } = launch(program,
    ["dev", "--listen", "localhost:0", "--rp-listen", "localhost:0", "--ops-listen", "localhost:0", ...args], env);

  const ready = new Promise((resolve, reject) => {
    child.stdout.on("data", () => {
      const line = said.out.match(/^ready (.*)\n/m);
      if (line) resolve(Object.fromEntries(line[1].split(" ").map((pair) => pair.match(/^(\w+)=(.*)$/).slice(1))));
    });
    child.once("error", reject);
    ended.then(({ status, err }) => reject(new Error(`lanyard ended with ${status} before it was ready:\n${err}`)));
  });
  let addresses;
  try {
    addresses = await within(ready, "the ready line");
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }

  return {
    ...addresses,
    origin: new URL(addresses.issuer).origin,
    log: () => said.err,
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      try {
        const end = await within(ended, `the end after ${signal}`);
        assert.deepEqual([end.status, end.signal], [0, null], `after ${signal}, lanyard must end with status 0:\n${end.err}`);
        assert.equal(end.out.match(/^ready /gm)?.length, 1, "exactly one ready line");
      } finally {
        child.kill("SIGKILL");
      }
    },
  };
}

const folders = [];
process.on("exit", () => folders.forEach((path) => rmSync(path, { recursive: true, force: true })));

// folder returns a new folder, which goes when the tests of this process end.
export function folder() {
  folders.push(mkdtempSync(join(tmpdir(), "lanyard-test-")));
  return folders.at(-1);
}

// freePort returns a port of this computer that nobody listens on.
export async function freePort() {
  const server = createServer().listen(0, "localhost");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

const entities = { amp: "&", lt: "<", gt: ">", quot: '"', "#34": '"', "#39": "'", "#43": "+" };
const decode = (text) => text.replace(/&(#?\w+);/g, (whole, name) => entities[name] ?? whole);

function attributes(tag) {
  const found = {};
  for (const [, name, value = ""] of tag.matchAll(/\s([\w-]+)(?:="([^"]*)")?/g)) found[name] = decode(value);
  return found;
}

// Page is an answer with HTML in it.
class Page {
  constructor(url, status, html) {
    Object.assign(this, { url, status, html });
  }

  // code is the message that the page carries, such as PAS-01.
  get code() {
    return this.html.match(/data-code="([^"]*)"/)?.[1];
  }

  get text() {
    return decode(this.html.replace(/<[^>]*>/g, " ")).replace(/\s+/g, " ").trim();
  }

  get links() {
    return [...this.html.matchAll(/<a\s[^>]*>/g)].map(([tag]) => attributes(tag).href).filter(Boolean);
  }

  // forms are the page's forms, with the values that a browser would send.
  // Of radio buttons none is taken: the person chooses.
  get forms() {
    return [...this.html.matchAll(/(<form\s[^>]*>)([\s\S]*?)<\/form>/g)].map(([, tag, inside]) => {
      const { action, method = "get", ...rest } = attributes(tag);
      const inputs = [...inside.matchAll(/<input\s[^>]*>/g)].map(([input]) => attributes(input));
      const values = new URLSearchParams(
        inputs.filter((i) => i.name && i.type !== "radio").map((i) => [i.name, i.value ?? ""]));
      const choices = inputs.filter((i) => i.type === "radio").map((i) => i.value);
      return { action, method: method.toLowerCase(), values, choices, byItself: "data-lanyard-submit" in rest };
    });
  }

  formTo(action) {
    return this.forms.find((form) => form.action === action);
  }
}

// Answer is what comes back to the application: the browser stops there, and
// the test is the application. request is what it would have received.
class Answer {
  constructor(url, form) {
    this.url = new URL(url);
    this.values = form ?? this.url.searchParams;
    this.request = form ? new Request(url, { method: "POST", body: form }) : this.url;
  }
}

// Browser follows redirects and submits forms, keeps cookies, and runs no
// script. It stops at the addresses of home.
export class Browser {
  #jar = new Map(); // by host: cookies do not know ports
  redirects = 0; // of the last visit
  pages = 0; // all there were

  constructor(home) {
    this.home = home;
  }

  // visit opens url and follows where it leads: to a Page or to the Answer.
  async visit(url, init = {}) {
    this.redirects = 0;
    for (let next = new URL(url); ; this.redirects++) {
      if (this.#isHome(next)) return new Answer(next);
      assert.ok(this.redirects < 10, `redirected in a circle at ${next}`);
      const response = await fetch(next, {
        ...init, redirect: "manual", signal: AbortSignal.timeout(patience),
        headers: { ...init.headers, cookie: this.#cookies(next) },
      });
      this.#keep(next, response);
      const location = response.headers.get("location");
      const body = await response.text();
      if (!location) {
        this.pages++;
        return new Page(next, response.status, body);
      }
      assert.ok([302, 303].includes(response.status), `redirected with ${response.status}`);
      next = new URL(location, next);
      init = {};
    }
  }

  follow(page, link) {
    return this.visit(new URL(link, page.url));
  }

  // submit sends a form of page as a browser would.
  submit(page, form, values = {}) {
    const filled = new URLSearchParams(form.values);
    for (const [name, value] of Object.entries(values)) filled.set(name, value);
    const url = new URL(form.action, page.url);
    if (form.method === "get") return this.visit(`${url}?${filled}`);
    if (this.#isHome(url)) return new Answer(url, filled);
    return this.visit(url, { method: "POST", body: filled, headers: { origin: page.url.origin } });
  }

  // signIn goes from url to the Answer as a person does: choosing a virtual
  // card, typing its passcode, choosing a role. It stops at a page on which
  // none of this can be done, and says what it did.
  async signIn(url, { card = "0000101", passcode = "123456", role } = {}) {
    const did = [];
    let page = await this.visit(url);
    while (page instanceof Page) {
      const link = page.links.find((l) => l.startsWith("/login/smartcard/virtual?") && l.endsWith(`card=${card}`));
      const asked = page.formTo("/login/smartcard/virtual");
      const roles = page.formTo("/login/role");
      const back = page.forms.find((form) => form.byItself);
      const before = page;
      if (back) {
        did.push("return");
        page = await this.submit(page, back);
      } else if (asked && !did.includes("passcode")) {
        did.push("passcode");
        page = await this.submit(page, asked, { passcode });
      } else if (link && !did.includes("card")) {
        did.push("card");
        page = await this.follow(page, link);
      } else if (roles && !did.includes("role")) {
        did.push("role");
        page = await this.submit(page, roles, roles.choices.length ? { role: role ?? roles.choices[0] } : {});
      }
      if (page === before) break;
    }
    return { did, end: page };
  }

  #isHome(url) {
    return this.home !== undefined && (url.origin + url.pathname) === this.home;
  }

  #cookies(url) {
    return [...(this.#jar.get(url.hostname) ?? [])].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  #keep(url, response) {
    const cookies = this.#jar.get(url.hostname) ?? new Map();
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...rest] = line.split("; ");
      const [name, value] = pair.split(/=(.*)/s);
      if (rest.some((part) => /^max-age=0$/i.test(part))) cookies.delete(name);
      else cookies.set(name, value);
    }
    this.#jar.set(url.hostname, cookies);
  }
}
