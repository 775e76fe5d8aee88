// Handlers for tests, by the Node SDK; each does what its name says.
//
//   node node_handlers.mjs LISTEN [CONTROL_PLANE [live HANDLER]]

import { serve } from "@sallyport/handler";

const [listen, controlPlane, , live] = process.argv.slice(2);

const pieces = () => new ReadableStream({
  start(controller) {
    for (let digit = 0; digit < 10; digit++) controller.enqueue(new TextEncoder().encode(String(digit)));
    controller.close();
  },
});

await serve({ listen, controlPlane, live: live && [live], gracePeriod: live && 60, env: { secret: "s3cret" } }, {
  forward: async (request, env) => {
    request.headers.set("authorization", `Bearer ${env.secret}`);
    return fetch(request);
  },
  elsewhere: async (request) => fetch(new Request("http://other.test/moved", request)),
  stream: () => new Response(pieces()),
  json: async (request) => Response.json({ got: await request.json(), query: new URL(request.url).search }),
  echo: (request) => new Response(request.body, { headers: { "x-method": request.method } }),
  context: (request, env, ctx) => Response.json(ctx),
  raises: () => { throw new Error("canary"); },
  unread: async (request) => { await request.text(); return fetch(request); },
  limited: { timeout: 2.5, holdsSecrets: true, retries: 1, maxConcurrency: 7, fetch: () => new Response("limited") },
  wait: () => new Promise((resolve) => setTimeout(() => resolve(new Response(listen)), 1000)),
  outside: () => fetch("http://203.0.113.10/from-the-handler"),
});
