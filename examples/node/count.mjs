// Writes a line for each request, and counts them by container and host; http://count.test/ shows the counts. Looks at
// nothing that the proxy would not tell anyway, so bodies and responses stay where they are.
//
//   node count.mjs
//   sallyport set-outbound-handler web-1 count

import { serve } from "@sallyport/handler";

import { options } from "./options.mjs";

const counts = new Map();

await serve(options(), {
  count(request, env, ctx) {
    const { host } = new URL(request.url);
    if (host === "count.test") return Response.json(Object.fromEntries(counts));
    const key = `${ctx.containerId} ${host}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    // The query may hold what logs should not.
    console.log(JSON.stringify({ request: ctx.requestId, container: ctx.containerId, method: request.method, host }));
    return fetch(request);
  },
});
