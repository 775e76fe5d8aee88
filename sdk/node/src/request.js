/** The standard's Request, of which some came from a container. */

import { sourceOf, tee } from "./body.js";

// Untyped: its properties are accessors, which the types do not say.
const Native = /** @type {any} */ (globalThis.Request);
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const UPPER = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"]);

/** What a container's request is made of. */
export class Intercepted {
  /**
   * @param {import("./call.js").Call} call
   * @param {string} method
   * @param {string} url
   * @param {Headers} headers
   * @param {ReadableStream<Uint8Array> | null} body
   */
  constructor(call, method, url, headers, body) {
    Object.assign(this, { method, headers, body });
    this.call = call;
    this.url = url;
  }
}

/** @type {(value: unknown) => import("./call.js").Call | undefined} whose request it is, or is made of */
export let callOf;
/** @type {(request: any) => AbortSignal | undefined} its signal, unless that is its call's own */
export let givenSignal;

/**
 * A request that came from a container, or was made of one by `new Request(request, …)`, `new Request(url, request)`,
 * `new Request(url, { body: request.body, … })` or `clone()`, keeps its body where it is until it is read, and has every
 * method that HTTP has. Every other is Node's own.
 */
export class Request extends Native {
  static {
    callOf = (value) => (value instanceof Request ? value.#call : value instanceof Intercepted ? value.call : undefined);
    givenSignal = (request) => (request instanceof Request && request.#call !== undefined ? request.#signal : request.signal);
  }

  /** @type {import("./call.js").Call | undefined} */
  #call;
  /** @type {string | undefined} */
  #method;
  /** @type {Response | undefined} has the body, and the methods that read one */
  #holder;
  /** Node's own takes longer to make one that follows another than for all else. @type {AbortSignal | undefined} */
  #signal;

  /**
   * @param {any} input
   * @param {any} [init]
   */
  constructor(input, init) {
    const source = callOf(input) ? input : callOf(init) ? init : undefined;
    const call = callOf(source) ?? sourceOf(init?.body)?.call;
    if (call === undefined) {
      super(input, init);
      return;
    }
    const replaced = init !== source && init?.body !== undefined && init.body !== null;
    // Methods are case-sensitive (RFC 9110 section 9.1): the container's stays as it is.
    const method = init !== source && init?.method !== undefined ? normalise(init.method) : (source?.method ?? "GET");
    const own = replaced || source?.body === undefined || init?.body === null ? new Response(init?.body) : undefined;
    if (replaced && (method === "GET" || method === "HEAD")) throw new TypeError(`a ${method} request has no body`);
    super(source === input ? source.url : input, {
      headers: init?.headers ?? source?.headers,
      redirect: "manual",
    });
    this.#call = call;
    this.#method = method;
    this.#signal = (init !== source ? init?.signal : undefined) ?? (source instanceof Request ? source.#signal : undefined);
    this.#holder = own ?? new Response(source.body);
    const type = own?.headers.get("content-type");
    if (type && !this.headers.has("content-type")) this.headers.set("content-type", type);
  }

  get method() {
    return this.#method ?? super.method;
  }

  get signal() {
    return this.#call === undefined ? super.signal : this.#signal ?? this.#call.signal;
  }

  get body() {
    return this.#holder === undefined ? super.body : this.#holder.body;
  }

  get bodyUsed() {
    return this.#holder === undefined ? super.bodyUsed : this.#holder.bodyUsed;
  }

  arrayBuffer() {
    return this.#holder === undefined ? super.arrayBuffer() : this.#holder.arrayBuffer();
  }

  text() {
    return this.#holder === undefined ? super.text() : this.#holder.text();
  }

  json() {
    return this.#holder === undefined ? super.json() : this.#holder.json();
  }

  // The holder's type is that of the body.
  blob() {
    return this.#holder === undefined ? super.blob() : this.#typed(this.#holder).blob();
  }

  formData() {
    return this.#holder === undefined ? super.formData() : this.#typed(this.#holder).formData();
  }

  /** @param {Response} holder */
  #typed(holder) {
    const type = this.headers.get("content-type");
    if (type === null) holder.headers.delete("content-type");
    else holder.headers.set("content-type", type);
    return holder;
  }

  /** @returns {Request} */
  clone() {
    if (this.#holder === undefined) return /** @type {Request} */ (super.clone());
    if (this.bodyUsed || this.body?.locked) throw new TypeError("the body was read: there is nothing to clone");
    const copy = new Request(this);
    if (this.body !== null) {
      const [mine, its] = tee(this.body);
      this.#holder = new Response(mine);
      copy.#holder = new Response(its);
    }
    return copy;
  }
}

/** @param {string} method */
function normalise(method) {
  if (!TOKEN.test(method)) throw new TypeError(`${JSON.stringify(method)} is no method of HTTP`);
  return UPPER.has(method.toUpperCase()) ? method.toUpperCase() : method;
}
