// A brokenreg for the tests of a file, and a namespace in it for each test.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** Start brokenreg. It stops when its standard input closes, even if the tests crash. */
export async function startRegistry() {
  const options = ["--ephemeral", "--offline", "--listen=127.0.0.1:0", "--control=127.0.0.1:0"];
  const server = spawn("brokenreg", ["serve", ...options], { stdio: ["pipe", "pipe", "inherit"] });
  const failed = once(server, "exit").then(([status]) => {
    throw new Error(`brokenreg did not start: exit status ${status}`);
  });
  failed.catch(() => {});
  const [ready] = await Promise.race([once(createInterface(server.stdout), "line"), failed]);
  return new Registry(server, JSON.parse(ready));
}

class Registry {
  #namespaces = 0;

  constructor(server, { registry, control }) {
    Object.assign(this, { server, registry, control });
  }

  async stop() {
    const exit = once(this.server, "exit");
    this.server.stdin.end();
    await exit;
  }

  /**
   * Run a test with a scenario, in a new namespace. The callback gets the URL of a repository.
   * Then every expectation must be met, and every rule must have been applied.
   */
  async play(scenario, callback) {
    const namespace = `test-${++this.#namespaces}`;
    const query = `namespace=${namespace}`;
    await this.#call("PUT", `/v1/scenario?${query}`, JSON.stringify(scenario));
    let problem;
    try {
      await callback(`${this.registry}/v2/broken/in/${namespace}/broken/random`);
    } catch (error) {
      problem = error;
    }
    const verdicts = await this.#call("GET", `/v1/expectations?${query}`);
    const unmet = verdicts.filter((each) => !each.met);
    if (!problem && !unmet.length) return;
    const lines = unmet.map(({ name, filter, got, wanted }) => `${name}: ${filter}: got ${got}, want ${wanted}`);
    for (const { method, path, status, faults } of await this.#call("GET", `/v1/exchanges?${query}`)) {
      lines.push(`  ${method} ${path}: ${status} [${faults}]`);
    }
    throw new Error([problem?.message ?? "not as expected", ...lines].join("\n"), { cause: problem });
  }

  async #call(method, path, body) {
    const response = await fetch(this.control + path, { method, body });
    if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
    return method === "GET" ? response.json() : undefined;
  }
}
