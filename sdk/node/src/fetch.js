/** The standard's fetch: a container's request is sent on by the proxy, every other request is Node's own. */

import { sourceOf } from "./body.js";
import { callOf, Request } from "./request.js";

const nativeFetch = globalThis.fetch;

/** @type {WeakSet<ReadableStream>} bodies that Node took the content-encoding off, though the headers still say it */
const decoded = new WeakSet();

/**
 * @param {any} input
 * @param {any} [init]
 * @returns {Promise<Response>}
 */
export function fetch(input, init) {
  try {
    const call = callOf(input) ?? callOf(init) ?? sourceOf(init?.body)?.call;
    if (call !== undefined) return call.forward(init === undefined ? input : new Request(input, init));
  } catch (error) {
    return Promise.reject(error);
  }
  return fetchByNode(input, init);
}

/** @param {any} input @param {any} init */
async function fetchByNode(input, init) {
  const response = await nativeFetch(input, init);
  if (response.body !== null && response.headers.has("content-encoding")) decoded.add(response.body);
  return response;
}

/** @param {Response} response whether its content-encoding and content-length are those of a body that it no longer is */
export function wasDecoded(response) {
  return response.body !== null && decoded.has(response.body);
}

/** Makes `fetch` and `Request` without import this package's. They differ from Node's for requests of containers only. */
export function installGlobals() {
  globalThis.fetch = fetch;
  globalThis.Request = /** @type {any} */ (Request);
}
