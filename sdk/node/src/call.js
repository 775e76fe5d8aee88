/** One request of a container: the contract's messages on one side, the standard's fetch on the other. */

import { Inbound, sourceOf } from "./body.js";
import { wasDecoded } from "./fetch.js";
import { changes, fromWire, toWire } from "./headers.js";
import { OriginAnswer } from "./origin_answer.js";
import { givenSignal, Intercepted, Request } from "./request.js";
import { Returned } from "./returned.js";
import { targetChanges } from "./target.js";
import { Wire } from "./wire.js";

/** @typedef {import("./wire.js").Message} Message */

/**
 * A request that `fetch` was called with.
 * @typedef {object} Sent
 * @property {Message} forward
 * @property {ReadableStream<Uint8Array> | null} body what goes by way of the handler; null: the proxy's own
 * @property {Returned<Response>} response
 * @property {(response: Response) => void} resolve
 * @property {(error: unknown) => void} reject
 */

export class Call {
  /** @type {Sent | undefined} */
  #sent;
  /** @type {OriginAnswer | undefined} */
  #origin;
  /** @type {AbortController | undefined} made when somebody asks for its signal */
  #controller;
  /** @type {DOMException | undefined} the container hung up */
  #hungUp;
  #asked = false; // ReadBody, or a Forward with transform_request.
  #decided = false; // How it is answered: by a Respond or by a Forward.
  #bodyGone = false; // It cannot be asked for any more.
  #handlerEnded = false;
  /** @type {() => void} */
  #end = () => {};
  /** Settled when nothing more is wanted of the handler: a request was sent on that nobody looks at. @type {Promise<void>} */
  over = new Promise((resolve) => { this.#end = resolve; });
  /** What goes with the answer whatever it is, set through the context. */
  terms = { revokeLeases: false, sendRequestId: false, /** @type {Message | undefined} */ lease: undefined };

  /**
   * @param {any} stream gRPC's
   * @param {Message} start
   */
  constructor(stream, start) {
    this.start = start;
    this.identityToken = String(stream.metadata?.get("sallyport-identity")[0] ?? "");
    this.wire = new Wire(stream, (message) => this.#receive(message), () => this.#abort());
    this.body = start.hasBody ? new Inbound(this, () => this.#askForBody()) : undefined;
    this.headers = fromWire(start.headers);
    const url = new URL(`${start.scheme}://${start.authority}${start.path === "*" ? "/*" : start.path}`).href;
    this.request = new Request(new Intercepted(this, start.method, url, this.headers, this.body?.stream ?? null));
    this.target = { method: start.method, url };
  }

  get aborted() {
    return this.#hungUp !== undefined;
  }

  /** Says when the container hangs up. */
  get signal() {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#hungUp !== undefined) this.#controller.abort(this.#hungUp);
    }
    return this.#controller.signal;
  }

  /** Another piece may come. */
  resume() {
    if (!this.body?.full && !this.#origin?.body?.full) this.wire.resume();
  }

  /**
   * @param {any} request one of this call's
   * @returns {Promise<Response>} the origin's
   */
  forward(request) {
    if (this.#decided || this.#sent !== undefined) {
      throw new TypeError("a container's request is sent on once, and not after an answer; for more, fetch(url) asks from here");
    }
    const signal = givenSignal(request);
    if (this.#hungUp !== undefined) throw this.#hungUp;
    if (signal?.aborted) throw signal.reason;
    if (request.bodyUsed || request.body?.locked) throw new TypeError("the body was read; send request.clone() on, or another body");
    const { setHeaders, removeHeaders } = changes(this.headers, request.headers);
    const untouched = (request.body === null && this.body === undefined)
      || (request.body !== null && sourceOf(request.body)?.call === this && !this.#asked);
    /** @type {Message} */
    const forward = { ...targetChanges(this.target, request), setHeaders, removeHeaders, transformRequest: !untouched };
    const promise = new Promise((resolve, reject) => {
      this.#sent = { forward, body: untouched ? null : (request.body ?? new ReadableStream({ start: (it) => it.close() })),
        resolve, reject, response: /** @type {any} */ (undefined) };
    });
    // A handler may not wait for it; then its failure is nobody's.
    Promise.prototype.then.call(promise, undefined, () => {});
    const sent = /** @type {Sent} */ (/** @type {unknown} */ (this.#sent));
    sent.response = new Returned(promise);
    signal?.addEventListener("abort", () => sent.reject(signal.reason), { once: true });
    // Until then it is known whether the handler ends with it. No tick of the clock: what has happened is dealt with first.
    setImmediate(() => this.#sendForward(sent).catch((error) => sent.reject(error)));
    return promise;
  }

  /** @param {unknown} value @returns {boolean} whether it is the promise of `forward`; a handler that returned it has ended */
  isForward(value) {
    if (this.#sent === undefined || value !== this.#sent.response.promise) return false;
    this.#sent.response.endsHandler();
    return true;
  }

  /** Of a handler that returned the promise of `forward`: nothing comes if nobody looked at it, unless the request could not be sent. */
  async answerSent() {
    await this.answer(await /** @type {Sent} */ (this.#sent).response.settled());
  }

  /** @param {Sent} sent */
  async #sendForward(sent) {
    if (this.#decided || this.aborted) return;
    const inspect = !sent.response.byHandler;
    this.#decide(!inspect && sent.body === null);
    const body = sent.body === null ? undefined : await this.#outgoing(sent.body);
    this.#bodyGone = true;
    await this.wire.send({ forward: { ...sent.forward, inspectResponse: inspect, contentLength: body?.length, ...this.terms } });
    if (body !== undefined) {
      const bodySent = this.#sendRequestBody(body.pieces, body.trailers);
      if (!inspect) await bodySent;
      // The origin may have answered, and then its answer counts.
      else bodySent.catch((error) => { if (this.#origin === undefined) sent.reject(error); });
    }
    if (!inspect) this.#end();
  }

  /** @param {boolean} leasable */
  #decide(leasable) {
    if (this.terms.lease !== undefined && !leasable) {
      throw new TypeError("a lease goes with a request that is sent on unseen, or with a response of the handler's own");
    }
    this.#decided = true;
  }

  /** @param {ReadableStream<Uint8Array>} body what is to be sent in the place of the container's */
  async #outgoing(body) {
    const source = sourceOf(body);
    // A look ahead at the container's own would ask for it.
    if (source === undefined) return { ...await this.wire.firstPieces(body), trailers: () => [] };
    this.#asked = true; // By transform_request.
    return { pieces: body, length: this.start.contentLength, trailers: () => source.trailers };
  }

  /**
   * @param {AsyncIterable<Uint8Array> | Iterable<Uint8Array>} pieces
   * @param {() => import("./headers.js").WireHeader[]} trailers
   */
  async #sendRequestBody(pieces, trailers) {
    for await (const piece of pieces) await this.wire.sendPiece(piece, "requestBody");
    await this.wire.send({ requestEnd: { trailers: trailers() } });
  }

  /**
   * @param {unknown} result what the handler returned
   */
  async answer(result) {
    this.#handlerEnded = true;
    if (!(result instanceof Response)) throw new TypeError("a handler returns a Response, or fetch(request)");
    if (result.bodyUsed || result.body?.locked) throw new TypeError("the body of the returned response was read");
    if (result.type === "error") throw new TypeError("the handler returned Response.error()");
    if (!this.#decided) {
      this.#decide(true);
      return await this.#respond(result);
    }
    // What was sent on must have been answered: only then the contract has a place for another answer.
    const origin = this.#origin ?? await this.#originAnswered();
    if (!await origin.pass(result)) await this.#respond(result);
  }

  async #originAnswered() {
    await /** @type {Sent} */ (this.#sent).response.promise;
    return /** @type {OriginAnswer} */ (this.#origin);
  }

  /** @param {Response} response */
  async #respond(response) {
    const isHead = this.start.method === "HEAD";
    if (isHead) await response.body?.cancel();
    const { pieces, length } = await this.wire.firstPieces(isHead ? null : response.body);
    const { status, headers } = response;
    const fields = toWire(headers).filter(({ name }) => name !== "content-encoding" || !wasDecoded(response));
    const said = wasDecoded(response) ? null : headers.get("content-length");
    const known = isHead || length === undefined ? said : status === 204 || status === 304 ? null : length;
    if (known !== null) fields.push({ name: "content-length", value: Buffer.from(String(known)) });
    const { lease, revokeLeases } = this.terms;
    this.#bodyGone = true;
    await this.wire.send({ respond: { status, headers: fields, lease, revokeLeases } });
    for await (const piece of pieces) await this.wire.sendPiece(piece, "body");
    await this.wire.send({ end: {} });
  }

  #askForBody() {
    if (this.#asked) return undefined;
    if (this.#bodyGone) throw new TypeError("the request was sent on or answered: its body does not come here any more");
    this.#asked = true;
    return this.wire.send({ readBody: {} });
  }

  /** @param {Message} message */
  #receive(message) {
    switch (message.message) {
      case "body": this.body?.push(message.body); break;
      case "end": this.body?.end(message.end.trailers); break;
      case "response": this.#receiveOrigin(message.response); break;
      case "responseBody": this.#origin?.body?.push(message.responseBody); break;
      case "responseEnd": this.#origin?.body?.end(message.responseEnd.trailers); break;
      default: throw new TypeError(`a message that the contract does not have here: ${message.message}`);
    }
    if (this.body?.full || this.#origin?.body?.full) this.wire.pause();
  }

  /** @param {Message} head */
  #receiveOrigin(head) {
    if (this.#sent === undefined || this.#origin !== undefined) throw new TypeError("a response that nobody asked for");
    this.#origin = new OriginAnswer(this, head, this.start.method, () => this.#handlerEnded);
    this.#sent.resolve(this.#origin.response);
  }

  #abort() {
    const error = new DOMException("the container hung up", "AbortError");
    this.#hungUp = error;
    this.#controller?.abort(error);
    this.body?.fail(error);
    this.#origin?.body?.fail(error);
    this.#sent?.reject(error);
    this.#end();
  }
}
