/** Serves handlers to the proxy. */

import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import net from "node:net";

import grpc from "@grpc/grpc-js";

import { Call } from "./call.js";
import { makeContext } from "./context.js";
import { ControlPlane } from "./control.js";
import { installGlobals } from "./fetch.js";
import { Health } from "./health.js";
import { service } from "./proto.js";
import { runHandler, SENT } from "./returned.js";

// What calls have to end when the server is closed.
const GRACE_SECONDS = 10;

/** @typedef {(request: any, env: any, ctx: any) => Response | Promise<Response>} HandlerFunction */
/** @typedef {import("./control.js").Registration} Registration */
/** @typedef {HandlerFunction | ({ fetch: HandlerFunction } & Registration)} Handler */
/**
 * @typedef {object} Options
 * @property {string} listen "HOST:PORT", port 0: a free one; or "unix:PATH"
 * @property {string | ControlPlane} [controlPlane] registers the handlers there; with `live`, the endpoint
 * @property {string} [tlsDir] of this client of the control plane
 * @property {string} [advertise] the endpoint to register; default: what is listened on
 * @property {boolean | string[]} [live] registers the endpoint for as long as it is served, with all handlers or those of these
 *   names; they are registered already
 * @property {number} [gracePeriod] for that: seconds for which it stays when the program is gone without a word; default: 10
 * @property {unknown} [env] the handlers' second argument
 * @property {boolean} [globals] false: `fetch` and `Request` must be imported
 * @property {boolean} [signals] false: SIGINT and SIGTERM are left to the program
 * @property {boolean} [quiet] true: nothing is printed
 */

/**
 * @param {Options} options
 * @param {Record<string, Handler>} handlers by the names that rules use
 * @returns {Promise<Server>} once they can be asked
 */
export async function serve(options, handlers) {
  if (options.globals !== false) installGlobals();
  const server = new Server(options, handlers);
  await server.start();
  return server;
}

/** Made by `serve`. */
export class Server {
  #grpc = new grpc.Server({ "grpc.so_reuseport": 0 });
  #options;
  /** @type {Map<string, { fetch: HandlerFunction } & Registration>} */
  #handlers;
  #health;
  /** @type {import("./live.js").LiveEndpoint[]} */
  #live = [];
  /** @type {ControlPlane | undefined} of our own, for #live */
  #connection;
  /** @type {Set<Promise<unknown>>} */
  #tasks = new Set();
  /** @type {Promise<void> | undefined} */
  #closed;
  /** "127.0.0.1:7070", or "unix:/path". */
  address = "";

  /** @param {Options} options @param {Record<string, Handler>} handlers */
  constructor(options, handlers) {
    this.#options = options;
    this.#handlers = new Map(Object.entries(handlers).map(([name, handler]) => [
      name, typeof handler === "function" ? { fetch: handler } : handler]));
    const handle = (/** @type {any} */ stream) => this.#handle(stream);
    this.#grpc.addService(service("OutboundHandler"), { Handle: handle });
    this.#health = new Health(this.#handlers.keys());
    this.#health.addTo(this.#grpc);
  }

  async start() {
    const { listen, controlPlane, quiet, signals } = this.#options;
    if (listen.startsWith("unix:")) await removeStaleSocket(listen.slice("unix:".length));
    const port = await new Promise((resolve, reject) => this.#grpc.bindAsync(
      listen, grpc.ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))));
    // A handler believes whoever can connect to it.
    if (listen.startsWith("unix:")) chmodSync(listen.slice("unix:".length), 0o600);
    this.address = listen.startsWith("unix:") ? listen : listen.replace(/:\d+$/, `:${port}`);
    try {
      if (this.#options.live) await this.#registerLive(this.#options.live);
      else if (controlPlane !== undefined) await this.#register(controlPlane);
    } catch (error) {
      await this.#leave();
      this.#grpc.forceShutdown();
      throw error;
    }
    if (signals !== false) endOnSignals(this);
    if (!quiet) console.log(`listening on ${this.address}`);
  }

  /** @param {string | ControlPlane} controlPlane */
  async #register(controlPlane) {
    const own = typeof controlPlane === "string" ? new ControlPlane(controlPlane, { tlsDir: this.#options.tlsDir }) : undefined;
    const client = own ?? /** @type {ControlPlane} */ (controlPlane);
    try {
      for (const [name, handler] of this.#handlers) await client.registerHandler(name, this.#endpoint, handler);
    } finally {
      own?.close();
    }
  }

  /** As handlers are registered by. */
  get #endpoint() {
    return this.#options.advertise ?? (this.address.startsWith("unix:") ? this.address : `grpc://${this.address}`);
  }

  /** @param {true | string[]} live */
  async #registerLive(live) {
    const { controlPlane, gracePeriod, tlsDir } = this.#options;
    if (!(controlPlane instanceof ControlPlane)) this.#connection = new ControlPlane(controlPlane, { tlsDir });
    const client = this.#connection ?? /** @type {ControlPlane} */ (controlPlane);
    for (const name of live === true ? this.#handlers.keys() : live) {
      this.#live.push(await client.serveHandler(name, this.#endpoint, { gracePeriod }));
    }
  }

  async #leave() {
    await Promise.all(this.#live.map((endpoint) => endpoint.close()));
    this.#connection?.close();
  }

  /** What it says of itself when it is asked (grpc.health.v1), of the whole and of each handler. */
  get serving() {
    return this.#health.serving;
  }

  set serving(value) {
    this.#health.serving = value;
  }

  /** Takes no new requests, and ends when those that run have; those that take longer than `graceSeconds` are cut. */
  close(graceSeconds = GRACE_SECONDS) {
    this.#closed ??= this.#drain(graceSeconds);
    return this.#closed;
  }

  /** @param {number} graceSeconds */
  async #drain(graceSeconds) {
    this.serving = false;
    await Promise.all(this.#live.map((endpoint) => endpoint.drain()));
    await this.#leave();
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    const late = new Promise((resolve) => { timer = setTimeout(resolve, graceSeconds * 1000); });
    const done = new Promise((resolve) => this.#grpc.tryShutdown(resolve)).then(() => Promise.allSettled(this.#tasks));
    await Promise.race([done, late]);
    clearTimeout(timer);
    this.#grpc.forceShutdown();
    if (ofSignals.delete(this) && ofSignals.size === 0) for (const name of ["SIGINT", "SIGTERM"]) process.off(name, endAll);
  }

  /** @param {any} stream */
  #handle(stream) {
    stream.once("data", (/** @type {any} */ first) => {
      if (first.message !== "start") {
        stream.emit("error", { code: grpc.status.INVALID_ARGUMENT, details: "the first message is not a start" });
        return;
      }
      this.#run(stream, first.start);
    });
    stream.once("error", () => {}); // The end of it is `cancelled`.
  }

  /** @param {any} stream @param {any} start */
  async #run(stream, start) {
    const { handler: name, requestId } = start.context;
    const log = (/** @type {string} */ what, /** @type {unknown} */ error) =>
      console.error(`sallyport: handler ${name}, request ${requestId}: ${what}:`, error);
    /** @type {Call | undefined} */
    let call;
    try {
      const handler = this.#handlers.get(name);
      if (handler === undefined) throw new RangeError("no handler of this name is served here");
      call = new Call(stream, start);
      await this.#ask(call, handler.fetch, (task) => this.#keep(task.catch((error) => log("a task of waitUntil failed", error))));
      call.wire.end();
    } catch (error) {
      if (call?.aborted) return;
      log("failed", error);
      // The container gets a 502 without the text.
      const status = { code: grpc.status.INTERNAL, details: "the handler failed; its own log says why" };
      if (call === undefined) stream.emit("error", status);
      else call.wire.fail(status.code, status.details);
    }
  }

  /** @param {Call} call @param {HandlerFunction} handler @param {(task: Promise<unknown>) => void} keep */
  async #ask(call, handler, keep) {
    const context = makeContext(call, keep);
    const ended = runHandler(handler, [call.request, this.#options.env ?? {}, context], (value) => call.isForward(value));
    const answered = ended.then((response) => (response === SENT ? call.answerSent() : call.answer(response)));
    await Promise.race([answered, call.over]);
  }

  /** @param {Promise<unknown>} task */
  #keep(task) {
    this.#tasks.add(task);
    task.finally(() => this.#tasks.delete(task));
  }
}

/** Servers that end on a signal, and the program with the last of them. @type {Set<Server>} */
const ofSignals = new Set();

/** @param {Server} server */
function endOnSignals(server) {
  if (ofSignals.size === 0) for (const name of ["SIGINT", "SIGTERM"]) process.once(name, endAll);
  ofSignals.add(server);
}

async function endAll() {
  await Promise.all([...ofSignals].map((server) => server.close()));
  process.exit(0);
}

/** @param {string} path of a socket that a program which is gone has left */
async function removeStaleSocket(path) {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return;
  const refused = await new Promise((resolve) => {
    const probe = net.connect(path, () => { probe.destroy(); resolve(false); });
    probe.once("error", (/** @type {NodeJS.ErrnoException} */ error) => resolve(error.code === "ECONNREFUSED"));
  });
  if (refused) unlinkSync(path);
}
