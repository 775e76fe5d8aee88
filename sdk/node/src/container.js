/** Classes in the shape of Cloudflare's @cloudflare/containers: what a container may reach, and the code that answers for it. */

import { createHash } from "node:crypto";

import { ControlPlane } from "./control.js";
import { serve } from "./serve.js";

/** @typedef {import("./serve.js").HandlerFunction} HandlerFunction */

/**
 * Extend it, and give the class to `deploy`. An instance stands for one container: `deployment.getByName("web-1")`.
 * What Sallyport does not do is not here: containers are started by whoever starts them.
 */
export class Container {
  /** @type {HandlerFunction | undefined} for every host that no other handler is for */
  static outbound;
  /** @type {Record<string, HandlerFunction> | undefined} by host pattern */
  static outboundByHost;
  /** @type {Record<string, HandlerFunction> | undefined} what `setOutboundByHost` and `setOutboundHandler` may name */
  static outboundHandlers;

  enableInternet = true;
  interceptHttps = false;
  /** @type {string[] | undefined} */
  allowedHosts;
  /** @type {string[] | undefined} */
  deniedHosts;

  /** @param {InstanceContext} ctx @param {any} env */
  constructor(ctx, env) {
    this.ctx = ctx;
    this.env = env;
  }

  /** @param {string} host @param {string} method of outboundHandlers @param {object} [params] */
  setOutboundByHost(host, method, params) {
    return this.ctx.rules.setOutboundByHost(host, this.ctx.handlerName(method), params);
  }

  /** @param {Record<string, string | { method: string, params?: object }>} handlers replace all */
  setOutboundByHosts(handlers) {
    const rules = Object.entries(handlers).map(([host, rule]) => {
      const { method, params } = typeof rule === "string" ? { method: rule, params: undefined } : rule;
      return [host, { handler: this.ctx.handlerName(method), params }];
    });
    return this.ctx.rules.setOutboundByHosts(Object.fromEntries(rules));
  }

  /** @param {string} host */
  removeOutboundByHost(host) { return this.ctx.rules.removeOutboundByHost(host); }

  /** @param {string} method of outboundHandlers @param {object} [params] */
  setOutboundHandler(method, params) {
    return this.ctx.rules.setOutboundHandler(this.ctx.handlerName(method), params);
  }

  clearOutboundHandler() { return this.ctx.rules.clearOutboundHandler(); }

  /** @param {string[]} hosts */
  setAllowedHosts(hosts) { return this.ctx.rules.setAllowedHosts(hosts); }

  /** @param {string[]} hosts */
  setDeniedHosts(hosts) { return this.ctx.rules.setDeniedHosts(hosts); }

  /** @param {string} host */
  allowHost(host) { return this.ctx.rules.allowHost(host); }

  /** @param {string} host */
  denyHost(host) { return this.ctx.rules.denyHost(host); }

  /** @param {string} host */
  removeAllowedHost(host) { return this.ctx.rules.removeAllowedHost(host); }

  /** @param {string} host */
  removeDeniedHost(host) { return this.ctx.rules.removeDeniedHost(host); }
}

/** Cloudflare's programs export it; here nothing has to be. */
export class ContainerProxy {}

/** A handler as a class, for the low level: `ctx.container.interceptOutboundHttp(target, ctx.exports.Name({ props }))`. */
export class WorkerEntrypoint {
  /** @param {{ props: any }} ctx `props`, and what every handler's context has @param {any} env */
  constructor(ctx, env) {
    this.ctx = ctx;
    this.env = env;
  }
}

/** @typedef {{ handler: string, props: object }} EntrypointReference */

/** The `ctx` of an instance. */
class InstanceContext {
  #deployment;

  /** @param {Deployment} deployment @param {string} id */
  constructor(deployment, id) {
    this.#deployment = deployment;
    this.id = { name: id, toString: () => id };
    this.rules = deployment.controlPlane.container(id);
    /** @type {Record<string, (options?: { props?: object }) => EntrypointReference>} */
    this.exports = Object.fromEntries(deployment.names.entrypoints.map((name) => [
      name, ({ props = {} } = {}) => ({ handler: `${deployment.name}.${name}`, props })]));
    this.container = {
      /** @param {string} target host pattern, address or CIDR @param {EntrypointReference} to */
      interceptOutboundHttp: (target, to) => this.rules.interceptOutboundHttp(target, to.handler, to.props),
      /** @param {string} target @param {EntrypointReference} to */
      interceptOutboundHttps: (target, to) => this.rules.interceptOutboundHttps(target, to.handler, to.props),
      /** @param {EntrypointReference} to */
      interceptAllOutboundHttp: (to) => this.rules.interceptAllOutboundHttp(to.handler, to.props),
    };
  }

  /** @param {string} method */
  handlerName(method) {
    if (!this.#deployment.names.methods.includes(method)) {
      throw new TypeError(`${this.#deployment.name}.outboundHandlers has no ${method}`);
    }
    return `${this.#deployment.name}.${method}`;
  }
}

/** A class that is in force, and the way to its containers. Made by `deploy`. */
export class Deployment {
  #ContainerClass;

  /** @param {typeof Container} ContainerClass @param {any} options of `deploy` */
  constructor(ContainerClass, options) {
    const { name = ContainerClass.name, env = {}, controlPlane, tlsDir, exports = {} } = options;
    this.#ContainerClass = ContainerClass;
    this.name = /** @type {string} */ (name);
    this.env = env;
    this.controlPlane = controlPlane instanceof ControlPlane ? controlPlane : new ControlPlane(controlPlane, { tlsDir });
    this.exports = /** @type {Record<string, any>} */ (exports);
    this.names = { methods: Object.keys(ContainerClass.outboundHandlers ?? {}), entrypoints: Object.keys(this.exports) };
    /** @type {import("./serve.js").Server | undefined} */
    this.server = undefined;
  }

  /** The instance for one container. @param {string} id */
  getByName(id) {
    return new this.#ContainerClass(new InstanceContext(this, id), this.env);
  }

  /** @param {string} id */
  idFromName(id) { return id; }

  /** @param {string} id */
  get(id) { return this.getByName(id); }

  /** Handlers, by the names that they are registered under. @returns {Record<string, HandlerFunction>} */
  handlers() {
    const { outbound, outboundByHost = {}, outboundHandlers = {} } = this.#ContainerClass;
    return {
      ...(outbound && { [`${this.name}.outbound`]: outbound }),
      ...Object.fromEntries(Object.entries(outboundByHost).map(([host, handler]) => [this.#hostHandler(host), handler])),
      ...Object.fromEntries(Object.entries(outboundHandlers).map(([name, handler]) => [`${this.name}.${name}`, handler])),
      ...Object.fromEntries(Object.entries(this.exports).map(([name, Entrypoint]) => [
        `${this.name}.${name}`, (request, env, ctx) => new Entrypoint({ ...ctx, props: ctx.params }, env).fetch(request)])),
    };
  }

  /** ContainerClass of the API. */
  policy() {
    const { outbound, outboundByHost = {} } = this.#ContainerClass;
    const { enableInternet, interceptHttps, allowedHosts, deniedHosts } = this.getByName("a-container");
    return {
      name: this.name, enableInternet, interceptHttps,
      allowedHosts: allowedHosts && { hosts: allowedHosts },
      deniedHosts: deniedHosts && { hosts: deniedHosts },
      outboundByHost: Object.keys(outboundByHost).map((host) => ({ host, handler: { handler: this.#hostHandler(host) } })),
      outbound: outbound && { handler: `${this.name}.outbound` },
      outboundHandlers: { names: [...this.names.methods, ...this.names.entrypoints].map((name) => `${this.name}.${name}`) },
    };
  }

  /** Takes no new requests; the class stays as it is. */
  async close() {
    await this.server?.close();
    this.controlPlane.close();
  }

  /** @param {string} host */
  #hostHandler(host) {
    const name = `${this.name}.by-host.${host}`;
    if (/^[\w.-]{1,63}$/.test(name)) return name;
    return `${this.name}.by-host.${createHash("sha256").update(host).digest("hex").slice(0, 12)}`;
  }
}

/**
 * Serves the class's handlers, registers them, and puts the class in force.
 * @param {typeof Container} ContainerClass
 * @param {Partial<import("./serve.js").Options> & { name?: string, exports?: Record<string, any> }} [options]
 *   name: of the class; default: the class's own. exports: WorkerEntrypoints by name.
 * @returns {Promise<Deployment>} once both hold
 */
export async function deploy(ContainerClass, options = {}) {
  const deployment = new Deployment(ContainerClass, options);
  const { controlPlane } = deployment;
  try {
    const taken = deployment.names.methods.find((name) => name === "outbound" || deployment.exports[name]);
    if (taken !== undefined) throw new TypeError(`two handlers of the name ${taken}`);
    deployment.server = await serve({ listen: "127.0.0.1:0", ...options, controlPlane }, deployment.handlers());
    await controlPlane.applyClass(deployment.policy());
  } catch (error) {
    await deployment.close();
    throw error;
  }
  return deployment;
}

/** @param {Deployment} deployment @param {string} [id] as in Cloudflare's package */
export function getContainer(deployment, id = "cf-singleton-container") {
  return deployment.getByName(id);
}
