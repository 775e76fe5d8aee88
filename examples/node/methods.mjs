// Lets some methods through, those that the rule's params name.
//
//   node methods.mjs
//   sallyport set-outbound-handler web-1 methods --params '{"methods": ["GET", "HEAD"]}'

import { serve } from "@sallyport/handler";

import { options } from "./options.mjs";

await serve(options(), {
  methods(request, env, ctx) {
    const allowed = ctx.params.methods ?? ["GET", "HEAD", "OPTIONS"];
    if (allowed.includes(request.method)) return fetch(request);
    return new Response(`${request.method} is not for this container\n`, { status: 405, headers: { allow: allowed.join(", ") } });
  },
});
