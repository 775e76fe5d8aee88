/** Between the contract's headers and the standard's. */

/** @typedef {{ name: string, value: Uint8Array }} WireHeader value: bytes, which are Latin-1 in Headers (RFC 9110 5.5) */

// Of one connection, or what the framing says by itself. A handler that sets one means nothing by it that could be done.
const FRAMING = new Set([
  "connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
]);

/** @param {WireHeader[]} fields @returns {Headers} */
export function fromWire(fields) {
  const headers = new Headers();
  for (const { name, value } of fields) {
    const text = latin1(value);
    // Clients of HTTP/2 cut it in pieces (RFC 9113 section 8.2.3).
    if (name === "cookie" && headers.has(name)) headers.set(name, `${headers.get(name)}; ${text}`);
    else headers.append(name, text);
  }
  return headers;
}

/**
 * @param {Headers} headers
 * @returns {WireHeader[]} without those of the framing
 */
export function toWire(headers) {
  return [...headers].filter(([name]) => !FRAMING.has(name)).map(([name, value]) => field(name, value));
}

/**
 * What makes `after` of `before`.
 * @param {Headers} before
 * @param {Headers} after
 * @returns {{ setHeaders: WireHeader[], removeHeaders: string[] }}
 */
export function changes(before, after) {
  const names = new Set([...before.keys(), ...after.keys()]);
  /** @type {WireHeader[]} */
  const setHeaders = [];
  const removeHeaders = [];
  for (const name of names) {
    if (FRAMING.has(name)) continue;
    const wanted = valuesOf(after, name);
    if (wanted.length === 0) removeHeaders.push(name);
    else if (String(wanted) !== String(valuesOf(before, name))) setHeaders.push(...wanted.map((value) => field(name, value)));
  }
  return { setHeaders, removeHeaders };
}

/** @param {Headers} headers @param {string} name */
function valuesOf(headers, name) {
  if (name === "set-cookie") return headers.getSetCookie();
  const value = headers.get(name);
  return value === null ? [] : [value];
}

/** @param {string} name @param {string} value @returns {WireHeader} */
function field(name, value) {
  return { name, value: Buffer.from(value, "latin1") };
}

/** @param {Uint8Array} bytes */
function latin1(bytes) {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
