/** Handlers for Sallyport: trusted code, outside of the sandbox, on every request that its rule names. */

declare const NodeRequest: typeof globalThis.Request;

/**
 * A request that came from a container, or was made of one, keeps its body where it is until it is read, and has every
 * method that HTTP has. Every other is Node's own.
 */
export class Request extends NodeRequest {
  constructor(input: string | URL | globalThis.Request, init?: RequestInit | globalThis.Request);
  clone(): Request;
}

/** Of a request made of the container's: the proxy sends it on. Of anything else: Node's own fetch. */
export function fetch(input: string | URL | globalThis.Request, init?: RequestInit | globalThis.Request): Promise<Response>;

export interface Lease {
  /** From now: 0.001 to 3600. */
  seconds: number;
  /** How many further requests it may decide. Default: as many as come in its time. */
  maxUses?: number;
  /** Default: the method of this request. */
  methods?: string[];
  /** Matches itself and what lies below it, segment by segment. Default: the path of this request alone. */
  pathPrefix?: string;
}

/** Who asks, and why this handler is asked. Set by the proxy, never taken from the request. */
export interface Context<Params = Record<string, any>> {
  readonly containerId: string;
  readonly className: string;
  /** The handler's name in the rule. */
  readonly handler: string;
  /** The rule's params. */
  readonly params: Params;
  /** The rule that matched, as "instance github.com". */
  readonly rule: string;
  readonly policyRevision: number;
  /** In the audit record as well. */
  readonly requestId: string;
  readonly dialledAddress: string;
  readonly dialledPort: number;
  /** "TLSv1.3"; empty: plain HTTP. */
  readonly tlsVersion: string;
  readonly tlsServerName: string;
  /** Of the container: "HTTP/1.1". */
  readonly httpVersion: string;
  /** Who asks, signed: for verifyIdentity. Empty: the handler is registered without. Not enumerable; log it nowhere. */
  readonly identityToken: string;
  /** The server does not end before it; its failure is logged. */
  waitUntil(task: unknown): void;
  /** Throws: a handler that fails lets nothing out, unless it is registered with `onFailure: "EGRESS"`. */
  passThroughOnException(): never;
  /** The answer to this request holds for further ones, which are not asked about. Not with a response that was looked at. */
  lease(lease: Lease): void;
  /** Ends every lease that this handler gave for this container. */
  revokeLeases(): void;
  /** The origin gets `requestId` as the header `sallyport-request-id`. */
  sendRequestId(): void;
}

export type HandlerFunction<Env = any, Params = any> =
  (request: Request, env: Env, ctx: Context<Params>) => Response | Promise<Response>;

export interface Registration {
  /** Seconds until the answer must have begun. Default: 30. */
  timeout?: number;
  /** What happens to requests while the handler fails. Default: "DENY". */
  onFailure?: "DENY" | "EGRESS";
  /** Such a handler may not fail open. */
  holdsSecrets?: boolean;
  /** Seconds that one endpoint may take to accept a connection. Default: 5. */
  connectTimeout?: number;
  /** How often a call is made again that failed before anything of the request's body was sent. Default: 0. */
  retries?: number;
  /** Calls of one container in flight. Default: no limit. */
  maxConcurrency?: number;
}

export type Handler<Env = any> = HandlerFunction<Env> | ({ fetch: HandlerFunction<Env> } & Registration);

export interface ServeOptions<Env = any> {
  /** "HOST:PORT", port 0: a free one; or "unix:PATH". */
  listen: string;
  /** Registers the handlers there; with `live`, the endpoint. Address as in `new ControlPlane`. */
  controlPlane?: string | ControlPlane;
  /**
   * Registers the endpoint for as long as it is served, with all handlers or those of these names. They are registered already, as by
   * `sallyport handler register NAME --live`. When the server closes, no new calls come, and those that run end.
   */
  live?: boolean | string[];
  /** For that: seconds for which the endpoint stays when the program is gone without a word. Default: 10. */
  gracePeriod?: number;
  /** ca.crt, tls.crt and tls.key for the control plane. Default: SALLYPORT_TLS_DIR. */
  tlsDir?: string;
  /** The endpoint to register, if it is not what is listened on: "grpc://10.0.0.5:7070". */
  advertise?: string;
  /** The handlers' second argument. */
  env?: Env;
  /** false: the global `fetch` and `Request` stay Node's, and handlers import these. */
  globals?: boolean;
  /** false: SIGINT and SIGTERM are left to the program. */
  signals?: boolean;
  /** true: the line "listening on …" is not printed. */
  quiet?: boolean;
}

export class Server {
  private constructor();
  /** "127.0.0.1:7070" or "unix:/path". */
  readonly address: string;
  /** What it says of itself when it is asked (grpc.health.v1), of the whole and of each handler. Default: true, until it closes. */
  serving: boolean;
  /** Takes no new requests, and ends when those that run have; those that take longer are cut. Default: 10 seconds. */
  close(graceSeconds?: number): Promise<void>;
}

/** Resolves when the handlers can be asked. */
export function serve<Env = any>(options: ServeOptions<Env>, handlers: Record<string, Handler<Env>>): Promise<Server>;

/** A JWK Set. */
export interface IdentityKeys {
  keys: Record<string, any>[];
}

export interface IdentityClaims {
  /** The host. */
  iss: string;
  /** The container. */
  sub: string;
  aud: string;
  iat: number;
  nbf: number;
  exp: number;
  class: string;
  handler: string;
}

/** The token does not prove who asks; the message says why. */
export class IdentityError extends Error {}

/**
 * What a token says that holds; throws IdentityError. token: of the context, or of the header `sallyport-identity`. audience: as the
 * handler is registered; by default its name. now: seconds since 1970.
 */
export function verifyIdentity(
  token: string, jwks: IdentityKeys | string, audience: string, options?: { now?: number }): IdentityClaims;

/** The control plane refused, or cannot be reached. */
export class ControlPlaneError extends Error {
  constructor(code: string, message: string);
  /** gRPC's name, such as "NOT_FOUND". */
  readonly code: string;
}

export interface CallOptions {
  /** Default: "ENFORCED", the call returns when the container's host enforces the change. */
  wait?: "ENFORCED" | "STORED";
  /** Seconds to wait for enforcement; then the answer is PENDING. Default: 5. */
  timeout?: number;
  /** The revision that was read; if another is stored, the call changes nothing and fails with ABORTED. */
  expectedRevision?: number;
  /** Makes it safe to repeat the call. */
  requestId?: string;
}

export interface Change {
  revision: number;
  enforcement: "ENFORCED" | "PENDING" | "NOT_ATTACHED" | "REJECTED";
  enforcedHosts: string[];
  pendingHosts: string[];
  rejections: string[];
}

export class ControlPlane {
  /** Default: SALLYPORT_CONTROL_PLANE, else the local socket. */
  constructor(address?: string, options?: { tlsDir?: string });
  readonly address: string;
  close(): void;
  registerHandler(name: string, endpoints: string | string[], registration?: Registration, options?: CallOptions): Promise<Change>;
  /** Registers an endpoint of a handler, which is there already, until it is closed or this program is gone. */
  serveHandler(name: string, endpoint: string, options?: { gracePeriod?: number }): Promise<LiveEndpoint>;
  removeHandler(name: string, options?: CallOptions): Promise<Change>;
  /** The keys that verifyIdentity takes, of all hosts. They change daily, and when an agent is started. */
  identityKeys(): Promise<IdentityKeys>;
  /** Ends every lease that the handler gave. */
  revokeLeases(name: string, options?: CallOptions): Promise<Change>;
  /** ContainerClass of the API, by its names in JSON. */
  applyClass(fields: Record<string, any>, options?: CallOptions): Promise<Change>;
  container(id: string): ContainerRules;
  /** Any call of the API by its name. */
  call(service: string, method: string, fields: Record<string, any>, options?: CallOptions): Promise<any>;
}

/** Comes back by itself when the control plane was away. */
export class LiveEndpoint {
  private constructor();
  readonly name: string;
  readonly endpoint: string;
  /** Whether the control plane knows it now. */
  readonly registered: boolean;
  /** Resolves when no host sends new calls any more, or cannot be told. Those that run go on. */
  drain(): Promise<void>;
  /** Takes the endpoint away. */
  close(): Promise<void>;
}

/** One container's rules. */
export class ContainerRules {
  private constructor();
  readonly id: string;
  create(className: string, options?: CallOptions): Promise<any>;
  /** What holds now. */
  get(): Promise<any>;
  setOutboundByHost(host: string, handler: string, params?: object, options?: CallOptions): Promise<Change>;
  /** Replaces all. */
  setOutboundByHosts(rules: Record<string, string | { handler: string; params?: object }>, options?: CallOptions): Promise<Change>;
  removeOutboundByHost(host: string, options?: CallOptions): Promise<Change>;
  setOutboundHandler(handler: string, params?: object, options?: CallOptions): Promise<Change>;
  clearOutboundHandler(options?: CallOptions): Promise<Change>;
  setAllowedHosts(hosts: string[], options?: CallOptions): Promise<Change>;
  setDeniedHosts(hosts: string[], options?: CallOptions): Promise<Change>;
  clearAllowedHosts(options?: CallOptions): Promise<Change>;
  clearDeniedHosts(options?: CallOptions): Promise<Change>;
  allowHost(host: string, options?: CallOptions): Promise<Change>;
  denyHost(host: string, options?: CallOptions): Promise<Change>;
  removeAllowedHost(host: string, options?: CallOptions): Promise<Change>;
  removeDeniedHost(host: string, options?: CallOptions): Promise<Change>;
  /** undefined: as the class says. */
  setEnableInternet(enableInternet: boolean | undefined, options?: CallOptions): Promise<Change>;
  /** target: host pattern, address or CIDR. */
  interceptOutboundHttp(target: string, handler: string, params?: object, options?: CallOptions): Promise<Change>;
  interceptOutboundHttps(target: string, handler: string, params?: object, options?: CallOptions): Promise<Change>;
  interceptAllOutboundHttp(handler: string, params?: object, options?: CallOptions): Promise<Change>;
}

export interface EntrypointReference {
  readonly handler: string;
  readonly props: object;
}

/** The `ctx` of an instance of a Container. */
export interface InstanceContext {
  readonly id: { name: string; toString(): string };
  readonly rules: ContainerRules;
  readonly exports: Record<string, (options?: { props?: object }) => EntrypointReference>;
  readonly container: {
    interceptOutboundHttp(target: string, to: EntrypointReference): Promise<Change>;
    interceptOutboundHttps(target: string, to: EntrypointReference): Promise<Change>;
    interceptAllOutboundHttp(to: EntrypointReference): Promise<Change>;
  };
}

/** What a container may reach, and the code that answers for it; the shape of Cloudflare's @cloudflare/containers. */
export class Container<Env = any> {
  constructor(ctx: InstanceContext, env: Env);
  /** For every host that no other handler is for. */
  static outbound?: HandlerFunction;
  /** By host pattern. */
  static outboundByHost?: Record<string, HandlerFunction>;
  /** What `setOutboundByHost` and `setOutboundHandler` may name. */
  static outboundHandlers?: Record<string, HandlerFunction>;
  protected readonly ctx: InstanceContext;
  protected readonly env: Env;
  enableInternet: boolean;
  interceptHttps: boolean;
  allowedHosts?: string[];
  deniedHosts?: string[];
  setOutboundByHost(host: string, method: string, params?: object): Promise<Change>;
  /** Replaces all. */
  setOutboundByHosts(handlers: Record<string, string | { method: string; params?: object }>): Promise<Change>;
  removeOutboundByHost(host: string): Promise<Change>;
  setOutboundHandler(method: string, params?: object): Promise<Change>;
  clearOutboundHandler(): Promise<Change>;
  setAllowedHosts(hosts: string[]): Promise<Change>;
  setDeniedHosts(hosts: string[]): Promise<Change>;
  allowHost(host: string): Promise<Change>;
  denyHost(host: string): Promise<Change>;
  removeAllowedHost(host: string): Promise<Change>;
  removeDeniedHost(host: string): Promise<Change>;
}

/** Cloudflare's programs export it; here nothing has to be. */
export class ContainerProxy {}

/** A handler as a class, for the low level. */
export abstract class WorkerEntrypoint<Env = any, Props = any> {
  constructor(ctx: Context & { props: Props }, env: Env);
  protected readonly ctx: Context & { props: Props };
  protected readonly env: Env;
  abstract fetch(request: Request): Response | Promise<Response>;
}

export interface OutboundHandlerContext<Params = Record<string, any>> extends Context<Params> {}

/** A class that is in force, and the way to its containers. */
export class Deployment<C extends Container = Container> {
  private constructor();
  readonly name: string;
  readonly controlPlane: ControlPlane;
  readonly server?: Server;
  /** The instance for one container. */
  getByName(id: string): C;
  idFromName(id: string): string;
  get(id: string): C;
  /** Takes no new requests; the class stays as it is. */
  close(): Promise<void>;
}

/** Serves the class's handlers, registers them, and puts the class in force. */
export function deploy<C extends Container>(
  ContainerClass: new (ctx: InstanceContext, env: any) => C,
  options?: Partial<ServeOptions> & {
    /** Of the class. Default: the class's own. */
    name?: string;
    /** By name, for `ctx.exports`. */
    exports?: Record<string, new (ctx: any, env: any) => WorkerEntrypoint>;
  },
): Promise<Deployment<C>>;

export function getContainer<C extends Container>(deployment: Deployment<C>, id?: string): C;
