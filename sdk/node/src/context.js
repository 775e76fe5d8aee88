/** What a handler is told of who asks, and what it may say beside its response. */

import { fromStruct } from "./struct.js";

/**
 * @param {import("./call.js").Call} call
 * @param {(task: Promise<unknown>) => void} keep waits for it before the server ends
 */
export function makeContext(call, keep) {
  const context = call.start.context;
  const given = {
    containerId: context.containerId,
    className: context.className,
    handler: context.handler,
    params: fromStruct(context.params),
    rule: context.rule,
    policyRevision: context.policyRevision,
    requestId: context.requestId,
    dialledAddress: context.dialledAddress,
    dialledPort: context.dialledPort,
    tlsVersion: context.tlsVersion,
    tlsServerName: context.tlsServerName,
    httpVersion: context.httpVersion,
    waitUntil: (/** @type {unknown} */ task) => keep(Promise.resolve(task)),
    passThroughOnException() {
      throw new TypeError("a handler that fails lets nothing out; register it with onFailure: \"EGRESS\" if it should");
    },
    lease(/** @type {Lease} */ { seconds, maxUses = 0, methods = [], pathPrefix = "" }) {
      call.terms.lease = /** @type {any} */ ({ ttl: duration(seconds), maxUses, methods, pathPrefix });
    },
    revokeLeases: () => { call.terms.revokeLeases = true; },
    sendRequestId: () => { call.terms.sendRequestId = true; },
  };
  // Whoever has it is the container: a context that is printed does not show it.
  Object.defineProperty(given, "identityToken", { value: call.identityToken, enumerable: false });
  return Object.freeze(/** @type {typeof given & { identityToken: string }} */ (given));
}

/** @typedef {{ seconds: number, maxUses?: number, methods?: string[], pathPrefix?: string }} Lease */

/** @param {number} seconds @returns {{ seconds: number, nanos: number }} google.protobuf.Duration */
export function duration(seconds) {
  const whole = Math.trunc(seconds);
  return { seconds: whole, nanos: Math.round((seconds - whole) * 1e9) };
}
