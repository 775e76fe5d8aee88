/** The proxy's side of the contract, for tests: asks a served handler as the agent's proxy does, and says what it heard. */

import grpc from "@grpc/grpc-js";

import { service } from "../src/proto.js";
import { serve } from "../src/index.js";

const { Handle } = service("OutboundHandler");

/** Serves, and ends with the test. */
export async function asked(test, handlers, options = {}) {
  const server = await serve({ listen: "127.0.0.1:0", quiet: true, signals: false, ...options }, handlers);
  const client = new grpc.Client(server.address, grpc.credentials.createInsecure());
  const close = () => {
    client.close();
    return server.close(1);
  };
  test.after(close);
  return Object.assign((start, handler) => new Exchange(client, start, handler), { close });
}

/** One request to a handler. */
export class Exchange {
  #queue = [];
  #wake;

  constructor(client, { method = "GET", scheme = "http", authority = "api.test", path = "/", headers = {}, metadata = {}, ...fields } = {},
    handler = "it") {
    this.stream = client.makeBidiStreamRequest(
      Handle.path, Handle.requestSerialize, Handle.responseDeserialize, grpc.Metadata.fromHttp2Headers(metadata));
    const push = (item) => { this.#queue.push(item); this.#wake?.(); };
    this.stream.on("data", push);
    this.stream.on("status", (status) => push({ message: "status", status }));
    this.stream.on("error", () => {});
    const context = { containerId: "web-1", className: "c", handler, rule: "class api.test", policyRevision: 7, requestId: "r-1",
      ...fields.context };
    delete fields.context;
    this.send({ start: { context, method, scheme, authority, path, headers: wire(headers), ...fields } });
  }

  send(message) {
    return this.stream.write(message);
  }

  /** The next message, which must be of that kind; what it holds. */
  async next(kind) {
    while (this.#queue.length === 0) await new Promise((resolve) => { this.#wake = resolve; });
    const item = this.#queue.shift();
    if (item.message !== kind) throw new Error(`${kind} expected, not ${JSON.stringify(item)}`);
    return item[kind];
  }

  /** Bytes of `field` until the message `end`. */
  async body(field = "body", end = "end") {
    const pieces = [];
    for (;;) {
      while (this.#queue.length === 0) await new Promise((resolve) => { this.#wake = resolve; });
      const item = this.#queue.shift();
      if (item.message === end) return { text: Buffer.concat(pieces).toString(), ...item[end], pieces };
      if (item.message !== field) throw new Error(`${field} expected, not ${JSON.stringify(item)}`);
      pieces.push(item[field]);
    }
  }

  get waiting() {
    return this.#queue.length;
  }

  sendBody(text, trailers = {}) {
    this.send({ body: Buffer.from(text) });
    this.send({ end: { trailers: wire(trailers) } });
  }

  answer({ status = 200, headers = {}, body, trailers = {}, ...fields } = {}) {
    this.send({ response: { status, headers: wire(headers), hasBody: body !== undefined, ...fields } });
    this.responseBody = body === undefined ? undefined : { body, trailers };
  }

  sendResponseBody() {
    const { body, trailers } = this.responseBody;
    this.send({ responseBody: Buffer.from(body) });
    this.send({ responseEnd: { trailers: wire(trailers) } });
  }

  /** The call ended as it should. */
  async ended() {
    const status = await this.next("status");
    if (status.code !== grpc.status.OK) throw new Error(`ended with ${status.code}: ${status.details}`);
  }

  async failed() {
    const status = await this.next("status");
    if (status.code !== grpc.status.INTERNAL) throw new Error(`ended with ${status.code}: ${status.details}`);
    return status.details;
  }
}

/** Names and values, as an object or pairs, in the contract's form. */
export function wire(headers) {
  const pairs = Array.isArray(headers) ? headers : Object.entries(headers);
  return pairs.map(([name, value]) => ({ name, value: Buffer.from(value, "latin1") }));
}

/** The contract's headers as an object; a name that comes twice has its values in a list. */
export function plain(headers) {
  const object = {};
  for (const { name, value } of headers) {
    const text = value.toString("latin1");
    object[name] = name in object ? [object[name], text].flat() : text;
  }
  return object;
}
