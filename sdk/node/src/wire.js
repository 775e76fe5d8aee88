/** gRPC's stream of one call: messages in, messages out at the pace of the proxy. */

/** @typedef {Record<string, any>} Message */

// The contract allows a MiB; smaller pieces pass sooner.
const PIECE_BYTES = 64 * 1024;

export class Wire {
  #stream;
  #closed = false;
  /** @type {(() => void)[]} */
  #waiting = [];

  /**
   * @param {any} stream
   * @param {(message: Message) => void} receive
   * @param {() => void} abort called once if the proxy gives the call up
   */
  constructor(stream, receive, abort) {
    this.#stream = stream;
    stream.on("data", (/** @type {Message} */ message) => {
      try {
        receive(message);
      } catch (error) {
        stream.destroy(error);
      }
    });
    stream.on("drain", () => this.#wake());
    stream.on("cancelled", () => {
      if (this.#closed) return; // It was over, and the proxy only says so.
      this.#closed = true;
      this.#wake();
      abort();
    });
  }

  /**
   * Somebody here is slow to read. But not while the proxy is slow to take: it may wait for what comes next of the other
   * body, and sends no more of this one meanwhile.
   */
  pause() {
    if (!this.#stream.writableNeedDrain) this.#stream.pause();
  }

  resume() {
    if (this.#stream.isPaused()) this.#stream.resume();
  }

  /** @param {Message} message one field */
  async send(message) {
    while (!this.#closed && this.#stream.writableNeedDrain) {
      this.resume();
      await /** @type {Promise<void>} */ (new Promise((resolve) => this.#waiting.push(resolve)));
    }
    if (this.#closed) throw new DOMException("the container hung up", "AbortError");
    this.#stream.write(message);
  }

  /**
   * @param {Uint8Array} piece of any length
   * @param {string} field
   */
  async sendPiece(piece, field) {
    if (!(piece instanceof Uint8Array)) throw new TypeError("a body is made of bytes: pipe text through a TextEncoderStream");
    for (let at = 0; at < piece.length; at += PIECE_BYTES) await this.send({ [field]: piece.subarray(at, at + PIECE_BYTES) });
  }

  /**
   * @param {ReadableStream<Uint8Array> | null} body
   * @param {string} field
   */
  async sendBody(body, field) {
    if (body === null) return;
    // A body that is left off is cancelled, so that its source ends.
    for await (const piece of body) await this.sendPiece(piece, field);
  }

  /**
   * Looks ahead far enough to know the length of a body that is there at once, and no further.
   * @param {ReadableStream<Uint8Array> | null} body
   * @returns {Promise<{ pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, length: number | undefined }>}
   */
  async firstPieces(body) {
    if (body === null) return { pieces: [], length: 0 };
    const iterator = body[Symbol.asyncIterator]();
    const soon = new Promise((resolve) => setImmediate(resolve));
    const first = iterator.next();
    const second = first.then(({ done, value }) => (done ? { done, value } : iterator.next()));
    const whole = await Promise.race([second.then(({ done }) => done === true), soon.then(() => false)]);
    if (!whole) return { pieces: resumed(iterator, [first, second]), length: undefined };
    const { done, value } = await first;
    return done ? { pieces: [], length: 0 } : { pieces: [value], length: value.length };
  }

  /** The call is over: nothing more is sent. */
  end() {
    if (!this.#closed) this.#stream.end();
    this.#closed = true;
  }

  /** @param {number} code gRPC's @param {string} details */
  fail(code, details) {
    if (!this.#closed) this.#stream.emit("error", { code, details });
    this.#closed = true;
  }

  #wake() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/**
 * @param {AsyncIterator<Uint8Array>} iterator
 * @param {Promise<IteratorResult<Uint8Array>>[]} begun
 */
async function* resumed(iterator, begun) {
  let finished = false;
  try {
    for (const next of begun) {
      const { done, value } = await next;
      if (done) {
        finished = true;
        return;
      }
      yield value;
    }
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) {
        finished = true;
        return;
      }
      yield value;
    }
  } finally {
    if (!finished) await iterator.return?.();
  }
}
