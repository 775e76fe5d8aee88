// Handlers by the Node SDK:
//
//   node-answer    the 1 KiB of alone.mjs
//   node-forward   adds a header and forwards
//
//   node handlers.mjs LISTEN

import { serve } from "@sallyport/handler";

const body = "x".repeat(1024);

await serve({ listen: process.argv[2] }, {
  "node-answer": () => new Response(body, { headers: { "content-type": "text/plain", "content-length": `${body.length}` } }),
  "node-forward": (request) => {
    request.headers.set("authorization", "Bearer of-the-benchmark");
    return fetch(request);
  },
});
