// Runs a Worker's module as a handler of Sallyport: who asks is in the headers that only the proxy can send.

import { whileIntercepted } from "./forward.js";
// After forward.js, whose globals it uses.
import worker from "./handler.js";

export default {
  async fetch(request, env, ctx) {
    const said = (name) => request.headers.get(`sallyport-${name}`) ?? "";
    const context = {
      containerId: said("container-id"),
      className: said("class"),
      handler: said("handler"),
      params: JSON.parse(said("params") || "{}"),
      rule: said("rule"),
      requestId: said("request-id"),
      waitUntil: (task) => ctx.waitUntil(task),
      passThroughOnException() { throw new TypeError("a handler that fails lets nothing out"); },
    };
    try {
      return await whileIntercepted(request, () => worker.fetch(request, env, context));
    } catch (error) {
      console.error(`${context.handler}, request ${context.requestId}:`, error.stack);
      // A 299 that says nothing is handler_failed: the container gets a 502 without the text.
      return new Response(null, { status: 299 });
    }
  },
};
