// Start the worker and ask it for things; the page itself never computes.

import { fileNames, packedFile } from "./files.js";
import { Refusal } from "./refusal.js";
import { gunzipped } from "./unpack.js";

const waiting = new Map();
let worker;
let requests = 0;

/** Start the worker with all networks. Returns {emotions, reads}: the network's emotions, whether `auto` is possible. */
export async function startEngine() {
  if (typeof DecompressionStream !== "function") throw new Refusal("oldBrowser");
  const names = fileNames().filter((name) => name !== "worker" && name !== "portrait");
  const files = names.map(async (name) => [name, await packedFile(name)]);
  const [script, ...rest] = await Promise.all([packedFile("worker").then(gunzipped), ...files]);
  // From a blob, the worker inherits the page's content-security policy.
  const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  worker = new Worker(address);
  worker.onmessage = ({ data }) => settle(data);
  worker.onerror = () => {
    for (const id of waiting.keys()) settle({ id, refusal: "unexpected" });
  };
  const given = Object.fromEntries(rest);
  return ask("start", { files: given }, Object.values(given));
}

/** Ask the worker; see worker.js for the requests. Rejects with an error whose key names a text. */
export function ask(request, given = {}, transfer = []) {
  const id = ++requests;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    worker.postMessage({ id, request, ...given }, transfer);
  });
}

function settle({ id, value, refusal, detail }) {
  const { resolve, reject } = waiting.get(id) ?? {};
  waiting.delete(id);
  if (refusal) reject?.(Object.assign(new Refusal(refusal), { detail }));
  else resolve?.(value);
}
