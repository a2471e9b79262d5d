// A desk: the agent's program with its person's settings, a card in a file, and
// a passcode window that types by itself.
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { built, folder, launch, patience, run, within } from "./harness.mjs";
import { world } from "./person.mjs";

// ask comes to the page as in production, where no virtual cards are offered,
// and returns the link that starts the agent.
export async function ask(person) {
  await person.signIn();
  const id = new URL(person.page.url()).searchParams.get("id");
  await person.page.evaluate((id) => {
    const form = Object.assign(document.createElement("form"), { method: "post", action: "/login/smartcard/begin" });
    form.append(Object.assign(document.createElement("input"), { name: "id", value: id }));
    document.body.append(form);
    form.submit();
  }, id);
  const start = person.page.locator('a[href^="lanyard-desk:start?"]');
  await start.waitFor();
  return start.getAttribute("href");
}

// until waits for something that nobody tells of.
export async function until(what, look) {
  return within((async () => {
    for (;;) {
      const found = await look();
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })(), what);
}

// The program that opens a passcode window, as the agent asks it: it writes down
// what it was told, and types the lines of a file one after the other. It waits
// for them, as for a decision.
const pinentry = `#!/bin/sh
cd "$(dirname "$0")"
echo "OK at your service"
while read -r word rest; do
  echo "$word $rest" >> told
  case $word in
    GETPIN)
      while [ ! -s typed ]; do sleep 0.1; done
      read -r typed < typed
      sed -i 1d typed
      echo "D $typed"; echo OK ;;
    CONFIRM)
      while [ -e undecided ]; do sleep 0.1; done
      echo OK ;;
    BYE) echo OK; exit ;;
    *) echo OK ;;
  esac
done
`;

// Desk is where one person sits.
export class Desk {
  constructor() {
    this.home = folder();
    const at = (name) => join(this.home, name);
    for (const name of ["run", "bin", "config", "share", "share/applications"]) mkdirSync(at(name), { mode: 0o700 });
    writeFileSync(at("bin/pinentry"), pinentry);
    chmodSync(at("bin/pinentry"), 0o700);
    this.env = {
      PATH: `${at("bin")}:${process.env.PATH}:/usr/sbin:/sbin`, HOME: this.home, DISPLAY: ":0",
      XDG_RUNTIME_DIR: at("run"), XDG_CONFIG_HOME: at("config"), XDG_DATA_HOME: at("share"), XDG_CURRENT_DESKTOP: "",
    };
  }

  // types are the passcodes that will be typed.
  types(...passcodes) {
    writeFileSync(join(this.home, "bin/typed"), passcodes.map((p) => `${p}\n`).join(""));
    writeFileSync(join(this.home, "bin/told"), "");
  }

  // hesitates leaves every other question open.
  hesitates() {
    writeFileSync(join(this.home, "bin/undecided"), "");
  }

  // told is what the passcode window was told to show.
  get told() {
    const told = join(this.home, "bin/told");
    return existsSync(told) ? decodeURIComponent(readFileSync(told, "utf8").replace(/%(?![0-9A-F]{2})/g, "%25")) : "";
  }

  // options name the service, which no settings of this computer do.
  get options() {
    return ["--issuer", world.lanyard.issuer, "--origin", world.lanyard.origin];
  }

  // card writes the card of uid to a file, and what readers meet beside it.
  async card(uid, beside = {}) {
    const file = join(this.home, `card-${uid}`);
    const { status, err } = await run(["card", "virtual", uid, "--service", world.lanyard.issuer, "--out", file]);
    assert.equal(status, 0, err);
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...beside }));
    return file;
  }

  // inserts puts a card into a slot of the reader, and returns what takes it out.
  inserts(t, file, slot = 0) {
    const card = launch(built("lanyard-bench"), ["insert", "--card", file, "--reader", `127.0.0.1:${35963 + slot}`]);
    t.after(() => card.child.kill("SIGKILL"));
    return async () => {
      card.child.kill("SIGTERM");
      await card.ended;
    };
  }

  // agent starts the agent, which is ended with the test.
  agent(t, ...args) {
    const agent = launch(built("lanyard-agent"), [...this.options, ...args], this.env);
    t.after(() => agent.child.kill("SIGTERM"));
    return agent;
  }

  // waits starts an agent that stays, and makes itself the one that opens links.
  async waits(t) {
    const agent = this.agent(t);
    await until("the agent's being ready", () => /^ready/m.test(agent.said.err));
    return agent;
  }

  // handles has the desktop open our links with the agent, as its package does.
  // Where no desktop runs, xdg-open knows no quotes.
  handles() {
    const command = [built("lanyard-agent"), ...this.options].join(" ");
    writeFileSync(join(this.home, "share/applications/lanyard-agent.desktop"),
      `[Desktop Entry]\nType=Application\nName=Lanyard\nExec=${command} open -- %u\nNoDisplay=true\nMimeType=x-scheme-handler/lanyard-desk;\n`);
    writeFileSync(join(this.home, "config/mimeapps.list"), "[Default Applications]\nx-scheme-handler/lanyard-desk=lanyard-agent.desktop\n");
  }
}
