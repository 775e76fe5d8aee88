/** Bodies that come from the proxy: nothing of one is asked for before somebody reads. */

import { Duplex } from "node:stream";
import zlib from "node:zlib";

// What may wait here before the proxy is kept from sending more.
const QUEUED_PIECES = 4;

/** @type {WeakMap<ReadableStream, Inbound>} streams that give a body as it comes, whole */
const sources = new WeakMap();

/** A body on its way in. */
export class Inbound {
  /** @type {Uint8Array[]} */
  #pieces = [];
  /** @type {(() => void) | undefined} */
  #wake;
  /** @type {unknown} */
  #error;
  #ended = false;
  #discarded = false;
  /** @type {import("./headers.js").WireHeader[]} after the end */
  trailers = [];
  /** Whether somebody has read of it. */
  begun = false;

  /**
   * @param {import("./call.js").Call} call whose body it is
   * @param {() => void | Promise<void>} begin asks the proxy for it; throws if it cannot come any more
   */
  constructor(call, begin) {
    this.call = call;
    this.begin = begin;
    /** @type {ReadableStream<Uint8Array>} */
    this.stream = new ReadableStream({
      pull: async (controller) => {
        const piece = await this.#next();
        if (piece === undefined) controller.close();
        else controller.enqueue(piece);
      },
      cancel: () => this.discard(),
    }, { highWaterMark: 0 });
    sources.set(this.stream, this);
  }

  /** Whether the proxy should wait. */
  get full() {
    return this.#pieces.length >= QUEUED_PIECES && !this.#discarded;
  }

  /** @param {Uint8Array} piece */
  push(piece) {
    if (!this.#discarded) this.#pieces.push(piece);
    this.#wake?.();
  }

  /** @param {import("./headers.js").WireHeader[]} trailers */
  end(trailers) {
    this.trailers = trailers;
    this.#ended = true;
    this.#wake?.();
  }

  /** @param {unknown} error */
  fail(error) {
    if (this.#ended) return;
    this.#error = error;
    this.#wake?.();
  }

  /** What comes from now on is dropped. */
  discard() {
    this.#discarded = true;
    this.#pieces = [];
    this.call.resume();
  }

  async #next() {
    if (!this.begun) {
      this.begun = true;
      await this.begin();
    }
    for (;;) {
      const piece = this.#pieces.shift();
      if (piece !== undefined) {
        this.call.resume();
        return piece;
      }
      if (this.#ended) return undefined;
      if (this.#error !== undefined) throw this.#error;
      await /** @type {Promise<void>} */ (new Promise((resolve) => { this.#wake = resolve; }));
    }
  }
}

/**
 * @param {unknown} stream
 * @returns {Inbound | undefined} the body that the stream gives, if it is one that came from a container or an origin
 */
export function sourceOf(stream) {
  return stream instanceof ReadableStream ? sources.get(stream) : undefined;
}

/**
 * Two streams that each give the whole; neither reads before it is read. What one is ahead of the other is kept.
 * @param {ReadableStream<Uint8Array>} stream
 * @returns {[ReadableStream<Uint8Array>, ReadableStream<Uint8Array>]}
 */
export function tee(stream) {
  /** @type {ReadableStreamDefaultReader<Uint8Array> | undefined} */
  let reader;
  /** @type {Promise<{ done: boolean, value?: any }>[][]} */
  const ahead = [[], []];
  const cancelled = [false, false];
  const branch = (/** @type {number} */ own) => {
    const other = 1 - own;
    /** @type {ReadableStream<Uint8Array>} */
    const made = new ReadableStream({
      async pull(controller) {
        let next = ahead[own].shift();
        if (next === undefined) {
          reader ??= stream.getReader();
          next = reader.read();
          if (!cancelled[other]) ahead[other].push(next);
        }
        const { done, value } = await next;
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel(reason) {
        cancelled[own] = true;
        ahead[own] = [];
        if (cancelled[other]) await (reader ?? stream).cancel(reason);
      },
    }, { highWaterMark: 0 });
    const source = sources.get(stream);
    if (source !== undefined) sources.set(made, source);
    return made;
  };
  return [branch(0), branch(1)];
}

/** @type {Record<string, () => import("node:stream").Transform>} by content-encoding */
const DECODERS = {
  gzip: () => zlib.createGunzip(),
  "x-gzip": () => zlib.createGunzip(),
  deflate: () => zlib.createInflate(),
  br: () => zlib.createBrotliDecompress(),
};

/**
 * The body without its content-encoding, as fetch gives it. A coding that is not known stays.
 * @param {ReadableStream<Uint8Array>} stream
 * @param {string | null} coding value of content-encoding
 * @returns {{ stream: ReadableStream<Uint8Array>, decoded: boolean }}
 */
export function decode(stream, coding) {
  const make = DECODERS[coding?.trim().toLowerCase() ?? ""];
  if (make === undefined) return { stream, decoded: false };
  /** @type {ReadableStreamDefaultReader<Uint8Array> | undefined} */
  let reader;
  /** @type {ReadableStream<Uint8Array>} */
  const plain = new ReadableStream({
    async pull(controller) {
      reader ??= stream.pipeThrough(/** @type {any} */ (Duplex.toWeb(make()))).getReader();
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: (reason) => (reader ?? stream).cancel(reason),
  }, { highWaterMark: 0 });
  return { stream: plain, decoded: true };
}
