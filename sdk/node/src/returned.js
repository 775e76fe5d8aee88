/**
 * Tells `return fetch(request)` from `await fetch(request)`: for the first nobody looks at the response, and the proxy need
 * not show it. Both settle the same promise; but only `await` and whatever else looks at a promise reads its `constructor`,
 * and `return` in an asynchronous function reads its `then`, with that function on the stack. Where the stack says that this
 * is the handler itself, called by `runHandler`, nothing of the handler is left to run. Everything else, functions that were
 * compiled down to older JavaScript included, counts as looking: that is never wrong, only one message slower.
 */

// `#then`, the getter, the handler, what of Node's own resumes handlers, runHandler.
const LIMIT = 12;
const NODES_OWN = "node:internal/";

/** @template T */
export class Returned {
  #looked = false;
  #byHandler = false;

  /** @param {Promise<T>} promise */
  constructor(promise) {
    this.promise = promise;
    Object.defineProperty(promise, "constructor", { get: () => { this.#looked = true; return Promise; } });
    Object.defineProperty(promise, "then", { get: () => this.#then() });
  }

  /** Whether the handler ended with this promise, and nobody looked at it. To be asked when all microtasks have run. */
  get byHandler() {
    return this.#byHandler && !this.#looked;
  }

  /** The handler, which is no asynchronous function, returned the promise itself. */
  endsHandler() {
    this.#byHandler = true;
  }

  /** What the promise settles as. This counts as no look. @returns {Promise<T>} */
  settled() {
    return /** @type {Promise<T>} */ (this.#settle(undefined, undefined));
  }

  #then() {
    const byHandler = calledByHandler();
    let calledAtOnce = true;
    queueMicrotask(() => { calledAtOnce = false; });
    // A promise that is returned has its `then` called later, and then no more by anyone.
    return (/** @type {any} */ onFulfilled, /** @type {any} */ onRejected) => {
      if (byHandler && !calledAtOnce) this.#byHandler = true;
      else this.#looked = true;
      return this.#settle(onFulfilled, onRejected);
    };
  }

  /** @param {any} onFulfilled @param {any} onRejected */
  #settle(onFulfilled, onRejected) {
    const looked = this.#looked;
    const next = Promise.prototype.then.call(this.promise, onFulfilled, onRejected);
    this.#looked = looked; // `then` itself has read `constructor`.
    return next;
  }
}

/** That a handler returned the very promise of the request that it sent on. */
export const SENT = Symbol("sent");

/**
 * @param {(...args: any[]) => unknown} handler
 * @param {any[]} args
 * @param {(value: unknown) => boolean} isSent
 * @returns {Promise<unknown>} what the handler's result settles as, or SENT
 */
export async function runHandler(handler, args, isSent) {
  const value = handler(...args);
  if (isSent(value)) return SENT;
  return await value;
}

/** Whether the function that is running, below this file's own, was called by runHandler, at first or after an `await`. */
function calledByHandler() {
  const { stackTraceLimit, prepareStackTrace } = Error;
  try {
    Error.stackTraceLimit = LIMIT;
    Error.prepareStackTrace = (_, sites) => sites;
    /** @type {{ stack?: any }} */
    const trace = {};
    Error.captureStackTrace(trace, calledByHandler);
    const [, , , caller] = trace.stack.filter((/** @type {NodeJS.CallSite} */ site) => !site.getFileName()?.startsWith(NODES_OWN));
    return caller?.getFunctionName() === runHandler.name && caller.getFileName() === import.meta.url;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    Error.prepareStackTrace = prepareStackTrace;
  }
}
