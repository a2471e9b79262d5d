// From the button of a page to signed in, with nothing between that is not there
// at a desk: see launch.inside.mjs. It takes a computer of its own, which the
// kernel makes of namespaces. Where it does not, a card in a file remains, and
// the link is opened by hand.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { Desk, ask } from "./desk.mjs";
import { launch, within } from "./harness.mjs";
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

// refused says why this system has no computer to spare, if it has none.
function refused() {
  const path = `${process.env.PATH}:/usr/sbin:/sbin`;
  for (const program of ["unshare", "ip", "pcscd", "xdg-open"]) {
    try {
      execFileSync("which", [program], { env: { PATH: path } });
    } catch {
      return `${program} is not installed`;
    }
  }
  if (!existsSync("/etc/reader.conf.d/vpcd")) return "vsmartcard-vpcd is not installed";
  if (!existsSync("/etc/chromium") && !existsSync("/etc/opt/chrome")) return "this browser has no folder for its policies";
  try {
    execFileSync("unshare", ["-Urmn", "true"], { stdio: "ignore" });
  } catch {
    return "this system makes no namespaces for us";
  }
}

// What is changed there is changed nowhere else: what may run, which policies
// the browser has, and the network, which is this computer alone.
const prepare = `set -e
mount -t tmpfs tmpfs /run
mkdir /run/pcscd
for folder in /etc/chromium /etc/opt/chrome; do
  [ ! -d $folder ] || { mount -t tmpfs tmpfs $folder && mkdir -p $folder/policies/managed; }
done
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up
exec "$@"`;

test("a browser under its own rules starts the agent, and a card in a reader signs in", { skip: refused() }, async (t) => {
  const inside = fileURLToPath(new URL("launch.inside.mjs", import.meta.url));
  const { child, ended } = launch("unshare", ["-Urmn", "sh", "-c", prepare, "sh",
    process.execPath, "--test", "--test-reporter=spec", "--test-timeout=120000", inside]);
  t.after(() => child.kill("SIGKILL"));
  const { status, out, err } = await within(ended, "the tests inside", 200_000);
  assert.equal(status, 0, `${out}\n${err}`);
  assert.match(out, /\btests [1-9]/, "tests have run inside");
});
