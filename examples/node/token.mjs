// Adds a token to the container's requests, one per container, that no container ever sees. The store is a file that only
// this process can read; it is read anew each time, so that a changed token counts for the next request.
//
//   node token.mjs --tokens tokens.json          {"web-1": "s3cret"}
//   sallyport set-outbound-by-host web-1 api.github.com token

import { readFile } from "node:fs/promises";

import { serve } from "@sallyport/handler";

import { options } from "./options.mjs";

const { tokens, ...listening } = options({ tokens: { type: "string" } });

const store = {
  async get(containerId) {
    const all = JSON.parse(await readFile(tokens, "utf8"));
    return Object.hasOwn(all, containerId) ? all[containerId] : undefined;
  },
};

await serve({ ...listening, env: { store } }, {
  token: {
    holdsSecrets: true,
    async fetch(request, env, ctx) {
      const token = await env.store.get(ctx.containerId);
      if (token === undefined) return new Response(`${ctx.containerId} has no token\n`, { status: 403 });
      request.headers.set("authorization", `Bearer ${token}`);
      return fetch(request);
    },
  },
});
