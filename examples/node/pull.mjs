// Downloads images from a container registry, and verifies every digest.
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

const MANIFEST_TYPES =
  "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";

class Failure extends Error {
  constructor(message, { again, wait = 0 }) {
    super(message);
    this.again = again; // whether another attempt makes sense
    this.wait = wait; // how long the registry wants the client to wait, in milliseconds
  }
}

/** Return the layers of an image. `repository` is a URL: http://HOST/v2/NAME. */
export async function pull(repository, tag, options) {
  const manifest = JSON.parse(await get(`${repository}/manifests/${tag}`, null, options));
  const layers = [];
  for (const { digest } of manifest.layers) {
    layers.push(await get(`${repository}/blobs/${digest}`, digest, options));
  }
  return layers;
}

/** Send a request up to `attempts` times, and wait for `backoff` milliseconds, then twice as long, and so on. */
async function get(url, digest, { attempts = 4, backoff = 100 } = {}) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await getOnce(url, digest);
    } catch (error) {
      if (!error.again || attempt >= attempts) throw error;
      await sleep(Math.max(backoff * 2 ** (attempt - 1), error.wait));
    }
  }
}

async function getOnce(url, digest) {
  let response, body;
  try {
    response = await fetch(url, { headers: { accept: MANIFEST_TYPES } });
    body = Buffer.from(await response.arrayBuffer());
  } catch (error) {
    throw new Failure(`${url}: ${error.cause?.message ?? error.message}`, { again: true });
  }
  if (!response.ok) {
    const again = response.status === 429 || response.status >= 500;
    const wait = 1000 * (Number(response.headers.get("retry-after")) || 0);
    throw new Failure(`${url}: ${response.status} ${response.statusText}`, { again, wait });
  }
  const got = `sha256:${createHash("sha256").update(body).digest("hex")}`;
  if (digest && got !== digest) {
    throw new Failure(`${url}: wrong bytes: their digest is ${got}`, { again: true });
  }
  return body;
}
