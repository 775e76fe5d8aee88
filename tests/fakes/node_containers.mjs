// What Cloudflare's page "Handle outbound traffic" shows, as one program: written for @cloudflare/containers, run here with
// the import changed. Commands come on standard input, one JSON line each; each is answered by one.
//
//   node node_containers.mjs CONTROL_PLANE

import { createInterface } from "node:readline";

import { Container, ContainerProxy, deploy, getContainer, WorkerEntrypoint } from "@sallyport/handler";

export { ContainerProxy };

// Denied hosts and networks, everything else as it was.
class Wary extends Container {
  interceptHttps = true;
  deniedHosts = ["other.test", "198.51.100.64/26"];
}

// Nothing but what is listed.
class Walled extends Container {
  interceptHttps = true;
  enableInternet = false;
  allowedHosts = ["api.test"];
}

// One handler for everything, which looks at methods.
class ReadOnly extends Container {
  interceptHttps = true;
}
ReadOnly.outbound = async (request, env, ctx) => {
  if (request.method !== "GET" && request.method !== "HEAD") {
    console.error(`${ctx.containerId} may not ${request.method}`);
    return new Response("read only\n", { status: 405 });
  }
  return fetch(request);
};

// Hosts that exist nowhere else, and one that needs a secret; a handler by host comes before the one for all.
class Bound extends Container {
  interceptHttps = true;
  static outbound = () => new Response("for all");
}
Bound.outboundByHost = {
  "my.worker": async (request, env) => env.WORKER.handle(await request.text()),
  "my.kv": async (request, env) => {
    const value = await env.KV.get(new URL(request.url).pathname.slice(1));
    return new Response(value, { status: value === null ? 404 : 200 });
  },
  "my.bucket": async (request, env, ctx) => {
    const object = await env.BUCKET.get(`${ctx.containerId}${new URL(request.url).pathname}`);
    return new Response(object?.body ?? null, { status: object ? 200 : 404 });
  },
  "api.test": (request, env) => {
    const withToken = new Request(request);
    withToken.headers.set("x-auth-token", env.SECRET);
    return fetch(withToken);
  },
  "*.vcs.test": async (request, env, ctx) => {
    const withToken = new Request(request);
    withToken.headers.set("x-auth-token", await env.KEYS.get(ctx.containerId));
    return fetch(withToken);
  },
};

// Handlers that containers get at run time.
class Flexible extends Container {
  interceptHttps = true;
  enableInternet = false;
  static outboundHandlers = {
    async authenticated(request, env, ctx) {
      const headers = new Headers(request.headers);
      headers.set("authorization", `Bearer ${env.SECRET} ${ctx.params.scope ?? "all"}`);
      return fetch(new Request(request, { headers }));
    },
    greet: (request, env, ctx) => new Response(`${ctx.className} ${ctx.containerId} ${ctx.params.hello}`),
  };
  // The low level, as a Durable Object would use it.
  intercept(target, phase) {
    return this.ctx.container.interceptOutboundHttp(target, this.ctx.exports.Outbound({ props: { phase } }));
  }
  interceptSecure(target, phase) {
    return this.ctx.container.interceptOutboundHttps(target, this.ctx.exports.Outbound({ props: { phase } }));
  }
  interceptAll(phase) {
    return this.ctx.container.interceptAllOutboundHttp(this.ctx.exports.Outbound({ props: { phase } }));
  }
}

class Outbound extends WorkerEntrypoint {
  fetch(request) {
    return new Response(`${this.ctx.props.phase} ${request.url} ${this.env.WORKER !== undefined}`);
  }
}

const map = (entries) => ({ get: async (key) => new Map(Object.entries(entries)).get(key) ?? null });
const env = {
  SECRET: "s3cret",
  KV: map({ colour: "blue" }),
  KEYS: map({ "bound-1": "key-of-1", "bound-2": "key-of-2" }),
  BUCKET: map({ "bound-1/file.txt": { body: "file of 1" } }),
  WORKER: { handle: (text) => Response.json({ heard: text }) },
};

const classes = { Wary, Walled, ReadOnly, Bound, Flexible };
const deployments = {};
for (const [name, ContainerClass] of Object.entries(classes)) {
  deployments[name] = await deploy(ContainerClass, { controlPlane: process.argv[2], env, exports: { Outbound }, quiet: true });
}
console.log("listening on", deployments.Flexible.server.address);

for await (const line of createInterface({ input: process.stdin })) {
  const { className, id, method, args } = JSON.parse(line);
  try {
    const change = await getContainer(deployments[className], id)[method](...args);
    console.log(JSON.stringify({ change }));
  } catch (error) {
    console.log(JSON.stringify({ error: { name: error.name, code: error.code, message: error.message } }));
  }
}
await Promise.all(Object.values(deployments).map((deployment) => deployment.close()));
