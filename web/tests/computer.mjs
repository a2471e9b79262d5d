// A computer of its own for tests, which the kernel makes of namespaces: with a
// card reader, policies for its browser, and no network but itself.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { after } from "node:test";
import { fileURLToPath } from "node:url";
import { until } from "./desk.mjs";
import { launch, within } from "./harness.mjs";

const path = `${process.env.PATH}:/usr/sbin:/sbin`;

// refused says why this system has none to spare, or has nothing to put into it.
export function refused() {
  for (const program of ["unshare", "ip", "pcscd", "opensc-tool", "pkcs11-tool", "xdg-open"]) {
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

// What is changed there is changed nowhere else.
const prepare = `set -e
mount -t tmpfs tmpfs /run
mkdir /run/pcscd
for folder in /etc/chromium /etc/opt/chrome; do
  [ ! -d $folder ] || { mount -t tmpfs tmpfs $folder && mkdir -p $folder/policies/managed; }
done
PATH=$PATH:/usr/sbin:/sbin
ip link set lo up
exec "$@"`;

// inside runs the tests of a file there.
export async function inside(t, file) {
  const { child, ended } = launch("unshare", ["-Urmn", "sh", "-c", prepare, "sh", process.execPath, "--test", "--test-reporter=spec",
    "--test-timeout=280000", fileURLToPath(new URL(file, import.meta.url))]);
  t.after(() => child.kill("SIGKILL"));
  const { status, out, err } = await within(ended, "the tests inside", 290_000);
  assert.equal(status, 0, `${out}\n${err}`);
  assert.match(out, /\btests [1-9]/, "tests have run inside");
}

const ends = []; // of what was started in there
after(() => ends.forEach((end) => end()));

// endWith has something ended with the tests of a file.
export const endWith = (end) => ends.push(end);

// plugIn plugs in a reader with two slots.
export async function plugIn() {
  // Where pcscd asks another service who may use cards: here is none.
  const alone = readFileSync("/usr/sbin/pcscd").includes("disable-polkit") ? ["--disable-polkit"] : [];
  const pcscd = launch("pcscd", ["--foreground", ...alone], { PATH: path });
  endWith(() => pcscd.child.kill("SIGKILL"));
  await until("pcscd's being there", () => existsSync("/run/pcscd/pcscd.comm"));
}
