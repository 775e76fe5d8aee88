/** An endpoint that is registered for as long as the program that serves it lives. */

import grpc from "@grpc/grpc-js";

import { duration } from "./context.js";
import { service } from "./proto.js";

// Until the next attempt: it doubles.
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 3000;
// Until the control plane has answered: it waits 5 s for hosts.
const ANSWER_MS = 10_000;
const FAREWELL_MS = 1000;
// No attempt will fare better until somebody acts.
const REFUSALS = new Set(["NOT_FOUND", "INVALID_ARGUMENT", "PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED"]
  .map((name) => grpc.status[/** @type {keyof typeof grpc.status} */ (name)]));

/** Made by `ControlPlane.serveHandler`. Comes back by itself when the control plane was away. */
export class LiveEndpoint {
  #controlPlane;
  #start;
  /** @type {any} the stream, while there is one */
  #stream;
  #registered = false;
  #ending = false;
  #waitMs = FIRST_WAIT_MS;
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  /** @type {(() => void) | undefined} */
  #drained;
  /** @type {(() => void) | undefined} */
  #ended;
  /** @type {{ resolve: () => void, reject: (error: Error) => void } | undefined} */
  #first;

  /**
   * @param {import("./control.js").ControlPlane} controlPlane
   * @param {string} name
   * @param {string} endpoint
   * @param {{ gracePeriod?: number }} options
   */
  constructor(controlPlane, name, endpoint, { gracePeriod }) {
    this.#controlPlane = controlPlane;
    this.name = name;
    this.endpoint = endpoint;
    this.#start = { name, endpoint, gracePeriod: gracePeriod === undefined ? undefined : duration(gracePeriod) };
  }

  /** Resolves when it is registered, or, with a line on stderr, when the control plane is not there now. Rejects: it was refused. */
  register() {
    return new Promise((/** @type {(value?: any) => void} */ resolve, reject) => {
      this.#first = { resolve, reject };
      this.#open();
    });
  }

  /** Whether the control plane knows it now. */
  get registered() {
    return this.#registered;
  }

  /** Resolves when no host sends new calls any more, or cannot be told. Those that run go on. */
  async drain() {
    this.#ending = true;
    clearTimeout(this.#timer);
    if (!this.#registered) return;
    await within(ANSWER_MS, (done) => {
      this.#drained = done;
      this.#stream.write({ drain: {} });
    });
  }

  /** Takes the endpoint away. */
  async close() {
    this.#ending = true;
    clearTimeout(this.#timer);
    if (this.#stream === undefined) return;
    await within(FAREWELL_MS, (done) => {
      this.#ended = done;
      this.#stream.end();
    });
    this.#stream?.cancel();
  }

  #open() {
    const { path, requestSerialize, responseDeserialize } = service("HandlerRegistry").ServeHandler;
    const stream = this.#controlPlane.client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    this.#stream = stream;
    stream.on("data", (/** @type {any} */ answer) => {
      if (answer.message === "drained") this.#drained?.();
      if (answer.message !== "registered") return;
      this.#registered = true;
      this.#waitMs = FIRST_WAIT_MS;
      this.#first?.resolve();
      this.#first = undefined;
    });
    stream.on("error", () => {}); // Its status says the same.
    stream.on("status", (/** @type {grpc.StatusObject} */ status) => this.#over(status));
    stream.write({ start: this.#start });
  }

  /** @param {grpc.StatusObject} status */
  #over(status) {
    this.#stream = undefined;
    this.#registered = false;
    this.#drained?.();
    this.#ended?.();
    if (this.#ending) return;
    const refused = REFUSALS.has(status.code);
    if (this.#first !== undefined) {
      if (refused) return this.#first.reject(this.#controlPlane.errorOf(status));
      this.#first.resolve();
      this.#first = undefined;
    }
    console.error(`sallyport: handler ${this.name}, endpoint ${this.endpoint} is not registered: ${status.details}; trying again`);
    this.#timer = setTimeout(() => this.#open(), this.#waitMs * (0.5 + Math.random() / 2));
    this.#waitMs = Math.min(this.#waitMs * 2, LONGEST_WAIT_MS);
  }
}

/** @param {number} milliseconds at most @param {(done: () => void) => void} begin */
async function within(milliseconds, begin) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  await new Promise((/** @type {(value?: any) => void} */ resolve) => {
    timer = setTimeout(resolve, milliseconds);
    begin(() => resolve());
  });
  clearTimeout(timer);
}
