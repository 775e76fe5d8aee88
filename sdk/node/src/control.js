/** Policy at run time: the calls of the control plane. */

import { readFileSync } from "node:fs";
import { join } from "node:path";

import grpc from "@grpc/grpc-js";

import { duration } from "./context.js";
import { LiveEndpoint } from "./live.js";
import { service } from "./proto.js";
import { toStruct } from "./struct.js";

export const DEFAULT_ADDRESS = "unix:/run/sallyport/controlplane.sock";
// Beyond the wait for enforcement before the call itself is given up.
const MARGIN_SECONDS = 5;
// A control plane that was away is found again soon, and one that went without a word is noticed.
const CHANNEL = {
  "grpc.initial_reconnect_backoff_ms": 100, "grpc.max_reconnect_backoff_ms": 3000,
  "grpc.keepalive_time_ms": 20_000, "grpc.keepalive_timeout_ms": 10_000,
};

/** The control plane refused, or cannot be reached. */
export class ControlPlaneError extends Error {
  /** @param {string} code gRPC's name, such as "NOT_FOUND" @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = "ControlPlaneError";
    this.code = code;
  }
}

/**
 * Times in seconds.
 * @typedef {object} Registration
 * @property {number} [timeout]
 * @property {number} [connectTimeout]
 * @property {"DENY" | "EGRESS"} [onFailure]
 * @property {boolean} [holdsSecrets]
 * @property {number} [retries]
 * @property {number} [maxConcurrency]
 */
/** @typedef {{ wait?: "ENFORCED" | "STORED", timeout?: number, expectedRevision?: number, requestId?: string }} CallOptions */

export class ControlPlane {
  /** gRPC's, for calls that are not here. */
  client;

  /**
   * @param {string} [address] HOST:PORT or unix:PATH; default: SALLYPORT_CONTROL_PLANE, else the local socket
   * @param {{ tlsDir?: string }} [options] tlsDir: ca.crt, tls.crt and tls.key of this client; default: SALLYPORT_TLS_DIR
   */
  constructor(address, { tlsDir = process.env.SALLYPORT_TLS_DIR } = {}) {
    this.address = address || process.env.SALLYPORT_CONTROL_PLANE || DEFAULT_ADDRESS;
    const read = (/** @type {string} */ name) => readFileSync(join(/** @type {string} */ (tlsDir), name));
    const credentials = tlsDir
      ? grpc.credentials.createSsl(read("ca.crt"), read("tls.key"), read("tls.crt"))
      : grpc.credentials.createInsecure();
    this.client = new grpc.Client(this.address, credentials, CHANNEL);
  }

  close() {
    this.client.close();
  }

  /**
   * Registers an endpoint of a handler, which is there already, until it is closed or this program is gone.
   * @param {string} name
   * @param {string} endpoint as the containers' hosts see it
   * @param {{ gracePeriod?: number }} [options] seconds for which it stays when this program is gone without a word; default: 10
   */
  async serveHandler(name, endpoint, options = {}) {
    const live = new LiveEndpoint(this, name, endpoint, options);
    await live.register();
    return live;
  }

  /**
   * @param {string} name
   * @param {string | string[]} endpoints as the containers' hosts see them
   * @param {Registration} [registration]
   * @param {CallOptions} [options]
   */
  async registerHandler(name, endpoints, registration = {}, options = {}) {
    const { timeout, connectTimeout, onFailure = "DENY", holdsSecrets = false, retries, maxConcurrency } = registration;
    const handler = { name, endpoints: [endpoints].flat(), onFailure: `ON_FAILURE_${onFailure}`, holdsSecrets, retries, maxConcurrency,
      timeout: timeout === undefined ? undefined : duration(timeout),
      connectTimeout: connectTimeout === undefined ? undefined : duration(connectTimeout) };
    return changeOf((await this.call("HandlerRegistry", "RegisterHandler", { handler }, options)).result);
  }

  /** Ends every lease that the handler gave. @param {string} name @param {CallOptions} [options] */
  async revokeLeases(name, options) {
    return changeOf((await this.call("HandlerRegistry", "RevokeLeases", { name }, options)).result);
  }

  /** @param {string} name @param {CallOptions} [options] */
  async removeHandler(name, options) {
    return changeOf(await this.call("HandlerRegistry", "RemoveHandler", { name }, options));
  }

  /** The keys that verifyIdentity takes, of all hosts. They change daily, and when an agent is started. */
  async identityKeys() {
    return JSON.parse((await this.call("HandlerRegistry", "GetIdentityKeys", {})).jwks);
  }

  /** @param {Record<string, any>} fields ContainerClass, by its names in JSON @param {CallOptions} [options] */
  async applyClass(fields, options) {
    return changeOf((await this.call("OutboundPolicy", "ApplyClass", { class: fields }, options)).result);
  }

  /** @param {string} id */
  container(id) {
    return new ContainerRules(this, id);
  }

  /**
   * Any call by its name.
   * @param {string} name of the service
   * @param {string} method
   * @param {Record<string, any>} fields of the request, as in JSON; google.protobuf types as their messages
   * @param {CallOptions} [options] timeout: seconds to wait for enforcement; then the answer is PENDING
   * @returns {Promise<any>}
   */
  call(name, method, fields, { wait = "ENFORCED", timeout = 5, expectedRevision, requestId } = {}) {
    const definition = service(name)[method];
    if (definition === undefined) throw new TypeError(`${name} has no method ${method}`);
    const request = { ...fields, options: { wait: `WAIT_${wait}`, timeout: duration(timeout), expectedRevision, requestId } };
    const deadline = Date.now() + (timeout + MARGIN_SECONDS) * 1000;
    return new Promise((resolve, reject) => this.client.makeUnaryRequest(
      definition.path, definition.requestSerialize, definition.responseDeserialize, request, { deadline },
      (error, answer) => (error ? reject(this.errorOf(error)) : resolve(answer))));
  }

  /** @param {grpc.StatusObject} error */
  errorOf(error) {
    const code = grpc.status[error.code];
    const unreachable = error.code === grpc.status.UNAVAILABLE;
    return new ControlPlaneError(code, unreachable ? `cannot reach the control plane at ${this.address}: ${error.details}` : error.details);
  }
}

/** @typedef {{ revision: number, enforcement: string, enforcedHosts: string[], pendingHosts: string[], rejections: string[] }} Change */

/** One container's rules. Each method takes options as ControlPlane.call, and returns once its host enforces the change. */
export class ContainerRules {
  #controlPlane;

  /** @param {ControlPlane} controlPlane @param {string} id */
  constructor(controlPlane, id) {
    this.#controlPlane = controlPlane;
    this.id = id;
  }

  /** @param {string} className @param {CallOptions} [options] */
  create = (className, options) => this.#call("CreateContainer", { className }, options);

  /** What holds now. */
  get = async () => (await this.#call("GetContainer", {})).container;

  /** @param {string} host @param {string} handler @param {object} [params] @param {CallOptions} [options] */
  setOutboundByHost = (host, handler, params, options) =>
    this.#change("SetOutboundByHost", { host, handler, params: toStruct(params) }, options);

  /** @param {Record<string, string | { handler: string, params?: object }>} rules replace all @param {CallOptions} [options] */
  setOutboundByHosts = (rules, options) => this.#change("SetOutboundByHosts", { rules: ruleList(rules) }, options);

  /** @param {string} host @param {CallOptions} [options] */
  removeOutboundByHost = (host, options) => this.#change("RemoveOutboundByHost", { host }, options);

  /** @param {string} handler @param {object} [params] @param {CallOptions} [options] */
  setOutboundHandler = (handler, params, options) =>
    this.#change("SetOutboundHandler", { handler, params: toStruct(params) }, options);

  /** @param {CallOptions} [options] */
  clearOutboundHandler = (options) => this.#change("ClearOutboundHandler", {}, options);

  /** @param {string[]} hosts @param {CallOptions} [options] */
  setAllowedHosts = (hosts, options) => this.#change("SetAllowedHosts", { hosts }, options);

  /** @param {string[]} hosts @param {CallOptions} [options] */
  setDeniedHosts = (hosts, options) => this.#change("SetDeniedHosts", { hosts }, options);

  /** @param {CallOptions} [options] */
  clearAllowedHosts = (options) => this.#change("ClearAllowedHosts", {}, options);

  /** @param {CallOptions} [options] */
  clearDeniedHosts = (options) => this.#change("ClearDeniedHosts", {}, options);

  /** @param {string} host @param {CallOptions} [options] */
  allowHost = (host, options) => this.#change("AllowHost", { host }, options);

  /** @param {string} host @param {CallOptions} [options] */
  denyHost = (host, options) => this.#change("DenyHost", { host }, options);

  /** @param {string} host @param {CallOptions} [options] */
  removeAllowedHost = (host, options) => this.#change("RemoveAllowedHost", { host }, options);

  /** @param {string} host @param {CallOptions} [options] */
  removeDeniedHost = (host, options) => this.#change("RemoveDeniedHost", { host }, options);

  /** @param {boolean | undefined} enableInternet undefined: as the class says @param {CallOptions} [options] */
  setEnableInternet = (enableInternet, options) => this.#change("SetEnableInternet", { enableInternet }, options);

  /** @param {string} target host pattern, address or CIDR @param {string} handler @param {object} [params] @param {CallOptions} [options] */
  interceptOutboundHttp = (target, handler, params, options) =>
    this.#change("InterceptOutboundHttp", { target, handler, params: toStruct(params) }, options);

  /** @param {string} target @param {string} handler @param {object} [params] @param {CallOptions} [options] */
  interceptOutboundHttps = (target, handler, params, options) =>
    this.#change("InterceptOutboundHttps", { target, handler, params: toStruct(params) }, options);

  /** @param {string} handler @param {object} [params] @param {CallOptions} [options] */
  interceptAllOutboundHttp = (handler, params, options) =>
    this.#change("InterceptAllOutboundHttp", { handler, params: toStruct(params) }, options);

  /** @param {string} method @param {Record<string, any>} fields @param {CallOptions} [options] @returns {Promise<any>} */
  #call(method, fields, options) {
    return this.#controlPlane.call("OutboundPolicy", method, { containerId: this.id, ...fields }, options);
  }

  /** @param {string} method @param {Record<string, any>} fields @param {CallOptions} [options] @returns {Promise<Change>} */
  async #change(method, fields, options) {
    return changeOf(await this.#call(method, fields, options));
  }
}

/** @param {Record<string, string | { handler: string, params?: object }>} rules in order */
function ruleList(rules) {
  return Object.entries(rules).map(([host, rule]) => {
    const { handler, params } = typeof rule === "string" ? { handler: rule, params: undefined } : rule;
    return { host, handler: { handler, params: toStruct(params) } };
  });
}

/** @param {any} result MutationResult @returns {Change} */
function changeOf({ revision, enforcement, enforcedHosts, pendingHosts, rejections }) {
  return { revision, enforcement, enforcedHosts, pendingHosts, rejections };
}
