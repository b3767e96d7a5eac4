import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { pull } from "./pull.mjs";
import { startRegistry } from "./registry.mjs";

const IMAGE = "layers-2_size-64KiB";
const options = { attempts: Number(process.env.ATTEMPTS ?? 4), backoff: 50 };

let registry;
before(async () => {
  registry = await startRegistry();
});
after(() => registry?.stop());

test("retries", async () => {
  const scenario = {
    rules: [
      { name: "fails twice", match: { endpoint: "manifest" }, fault: { type: "error", status: 503 }, times: 2 },
      { name: "cut off", match: { endpoint: "layer" }, fault: { type: "truncate", after: "16KiB" }, times: 1 },
    ],
    expect: [{ name: "gets all layers", filter: "endpoint:layer status:200 ended:complete", count: 2 }],
  };
  await registry.play(scenario, (repository) => pull(repository, IMAGE, options));
});

test("waits for Retry-After", async () => {
  const scenario = {
    rules: [
      { name: "the rate limit", match: { endpoint: "manifest" }, fault: { type: "rate-limit", window: "1s" }, times: 1 },
    ],
    expect: [
      { name: "waits", filter: "retry-after:honoured status:200", count: 1 },
      { name: "asks again", filter: "endpoint:manifest status:200", count: 1 },
    ],
  };
  await registry.play(scenario, (repository) => pull(repository, IMAGE, options));
});

test("refuses wrong bytes", async () => {
  const scenario = { rules: [{ name: "wrong bytes", match: { endpoint: "layer" }, fault: "corrupt" }] };
  await registry.play(scenario, (repository) => assert.rejects(pull(repository, IMAGE, options), /wrong bytes/));
});
