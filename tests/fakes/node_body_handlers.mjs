// Handlers that look at responses and change bodies, by the Node SDK.
//
//   node node_body_handlers.mjs LISTEN CONTROL_PLANE

import { serve } from "@sallyport/handler";

const [listen, controlPlane] = process.argv.slice(2);

const upper = () => new TransformStream({
  transform: (piece, controller) => controller.enqueue(Buffer.from(Buffer.from(piece).toString("latin1").toUpperCase(), "latin1")),
});

await serve({ listen, controlPlane }, {
  look: async (request) => {
    const response = await fetch(request);
    response.headers.set("x-seen", String(response.status));
    response.headers.delete("server");
    return response;
  },
  instead: async (request) => {
    const response = await fetch(request);
    return response.status === 302 ? new Response("nothing here", { status: 404 }) : response;
  },
  upper: async (request) => {
    const response = await fetch(request);
    return new Response(response.body.pipeThrough(upper()), response);
  },
  upper_whole: async (request) => {
    const response = await fetch(request);
    return new Response((await response.text()).toUpperCase(), response);
  },
  judge: async (request) => {
    const response = await fetch(request);
    const text = await response.text();
    if (text.includes("/secret")) return new Response("withheld", { status: 403 });
    return new Response(`${text.length} bytes`, { status: 203, headers: response.headers });
  },
  upper_request: async (request) => fetch(new Request(request, { body: request.body.pipeThrough(upper()), duplex: "half" })),
  both: async (request) => {
    const body = request.body.pipeThrough(upper());
    const response = await fetch(new Request("https://api.test:9443/echo", new Request(request, { body, duplex: "half" })));
    return new Response(response.body.pipeThrough(upper()), response);
  },
  checked: async (request) => {
    const { a } = await request.clone().json();
    return a === undefined ? new Response("no a", { status: 400 }) : fetch(request);
  },
  other_body: (request) => fetch(request, { method: "POST", body: "other" }),
  leased: (request, env, ctx) => {
    console.log("leased asked");
    ctx.lease({ seconds: 60 });
    request.headers.set("x-leased", "1");
    return fetch(request);
  },
  hangs: (request) => {
    request.signal.addEventListener("abort", () => console.log("the container hung up"));
    console.log("asked to wait");
    return new Promise(() => {});
  },
});
