/** What the origin answered to a request that was sent on, and how it gets to the container. */

import { decode, Inbound } from "./body.js";
import { changes, fromWire } from "./headers.js";

// These say nothing of a body that has gone by way of the handler.
const OF_THE_CODING = ["content-encoding", "content-length"];

const bodyOf = /** @type {(this: Response) => ReadableStream<Uint8Array> | null} */ (
  Object.getOwnPropertyDescriptor(Response.prototype, "body")?.get);

export class OriginAnswer {
  #call;
  #handlerEnded;
  #status;
  #headers;
  /** @type {ReadableStream<Uint8Array> | null} as the handler gets it */
  #stream = null;
  #decoded = false;
  #bodyTaken = false;
  /** @type {{ status: number, headers: Headers } | undefined} what the container has */
  #passed;

  /**
   * @param {import("./call.js").Call} call
   * @param {import("./wire.js").Message} head
   * @param {string} method of the request
   * @param {() => boolean} handlerEnded
   */
  constructor(call, head, method, handlerEnded) {
    this.#call = call;
    this.#handlerEnded = handlerEnded;
    this.#status = head.status;
    this.#headers = fromWire(head.headers);
    this.body = head.hasBody && method !== "HEAD" ? new Inbound(call, () => this.#begin()) : undefined;
    if (this.body !== undefined) {
      const { stream, decoded } = decode(this.body.stream, this.#headers.get("content-encoding"));
      this.#stream = stream;
      this.#decoded = decoded;
    }
    this.response = new Response(this.#stream, { status: this.#status, headers: this.#headers });
    Object.defineProperty(this.response, "url", { value: call.target.url });
    Object.defineProperty(this.response, "body", { get: () => this.#takeBody() });
  }

  #takeBody() {
    this.#bodyTaken = true;
    return bodyOf.call(this.response);
  }

  /**
   * A body that somebody reads while the handler goes on comes after the head, so the head goes first; unless the handler
   * ends at once, as one does that pipes the body through something.
   */
  async #begin() {
    await new Promise((resolve) => setImmediate(resolve));
    if (!this.#handlerEnded()) await this.#sendHead(this.#status, this.response.headers, true);
  }

  /**
   * @param {number} status
   * @param {Headers} headers
   * @param {boolean} transformBody
   */
  async #sendHead(status, headers, transformBody) {
    if (this.#passed !== undefined) {
      if (this.#passed.status === status && same(this.#passed.headers, headers)) return;
      throw new TypeError("the body of the origin's response was read first, and so its status and headers were sent as they "
        + "came; to change both, return new Response(response.body.pipeThrough(…), { status, headers })");
    }
    this.#passed = { status, headers: new Headers(headers) };
    const wanted = new Headers(headers);
    if (transformBody && this.#decoded && wanted.get("content-encoding") === this.#headers.get("content-encoding")) {
      wanted.delete("content-encoding");
    }
    await this.#call.wire.send({ passResponse: { status: status === this.#status ? 0 : status, transformBody,
      ...changes(this.#headers, wanted) } });
  }

  /**
   * @param {Response} result what the handler returned
   * @returns {Promise<boolean>} false: it has nothing of this response, and is to be sent in its place
   */
  async pass(result) {
    const isBody = result === this.response || (this.#stream !== null && result.body === this.#stream);
    if (isBody && !this.body?.begun) {
      await this.#sendHead(result.status, result.headers, false);
      return true;
    }
    if (this.body === undefined || (!this.#bodyTaken && !this.body.begun)) return false;
    await this.#sendHead(result.status, result.headers, true);
    await this.#call.wire.sendBody(result.status === 204 || result.status === 304 ? null : result.body, "body");
    await this.#call.wire.send({ end: { trailers: this.body.trailers } });
    return true;
  }
}

/** @param {Headers} one @param {Headers} other */
function same(one, other) {
  const { setHeaders, removeHeaders } = changes(one, other);
  return [...setHeaders.map(({ name }) => name), ...removeHeaders].every((name) => OF_THE_CODING.includes(name));
}
