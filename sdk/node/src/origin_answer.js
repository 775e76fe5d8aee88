/** What the origin answered to a request that was sent on, and how it gets to the container. */

import { decode, Inbound } from "./body.js";
import { wasDecoded } from "./fetch.js";
import { changes, fromWire } from "./headers.js";

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
  #readFirst = false; // The body comes before the head is decided.

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
   * A body that somebody reads while the handler goes on comes before the head goes; unless the handler ends at once, as one
   * does that pipes the body through something.
   */
  async #begin() {
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#handlerEnded()) return;
    this.#readFirst = true;
    await this.#call.wire.send({ readResponseBody: {} });
  }

  /**
   * @param {Response} result
   * @param {boolean} transformBody
   * @param {number} [length] of the body, if it is known
   */
  async #sendHead(result, transformBody, length) {
    const { status } = result;
    const wanted = new Headers(result.headers);
    const stillCoded = this.#decoded && wanted.get("content-encoding") === this.#headers.get("content-encoding");
    if (transformBody && (stillCoded || wasDecoded(result))) wanted.delete("content-encoding");
    const { setHeaders, removeHeaders } = changes(this.#headers, wanted);
    if (length !== undefined) setHeaders.push({ name: "content-length", value: Buffer.from(String(length)) });
    await this.#call.wire.send({ passResponse: { status: status === this.#status ? 0 : status, transformBody, setHeaders,
      removeHeaders } });
  }

  /**
   * @param {Response} result what the handler returned
   * @returns {Promise<boolean>} false: it has nothing of this response, and is to be sent in its place
   */
  async pass(result) {
    const isBody = result === this.response || (this.#stream !== null && result.body === this.#stream);
    if (isBody && !this.body?.begun) {
      await this.#sendHead(result, false);
      return true;
    }
    if (this.body === undefined || (!this.#bodyTaken && !this.body.begun)) return false;
    const { wire } = this.#call;
    const body = result.status === 204 || result.status === 304 ? null : result.body;
    if (this.#readFirst) {
      const { pieces, length } = await wire.firstPieces(body);
      await this.#sendHead(result, true, body === null ? undefined : length);
      for await (const piece of pieces) await wire.sendPiece(piece, "body");
    } else {
      await this.#sendHead(result, true);
      await wire.sendBody(body, "body");
    }
    await wire.send({ end: { trailers: this.body.trailers } });
    return true;
  }
}
