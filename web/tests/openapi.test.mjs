// The document of the API for administration, as the service serves it, held to
// the rules of a linter that knows nothing of us.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { folder, launch, start, within } from "./harness.mjs";

const linter = fileURLToPath(new URL("../node_modules/@redocly/cli/bin/cli.js", import.meta.url));

describe("the OpenAPI document", () => {
  let service;
  before(async () => (service = await start()));
  after(() => service?.stop());

  test("own rule: it lints", async () => {
    const answer = await fetch(new URL("/api/v1/openapi.json", service.issuer));
    assert.equal(answer.status, 200);
    const file = join(folder(), "openapi.json");
    writeFileSync(file, await answer.text());
    const { ended } = launch(process.execPath, [linter, "lint", file], { REDOCLY_TELEMETRY: "off", REDOCLY_SUPPRESS_UPDATE_NOTICE: "true" });
    const said = await within(ended, "the linter", 60_000);
    assert.equal(said.status, 0, said.out + said.err);
    assert.doesNotMatch(said.err, /Warning was generated/);
  });
});
