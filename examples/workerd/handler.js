// A Worker as it would run anywhere: it knows nothing of Sallyport.
//
// Containers get a token of their own, may not change anything, and see a host that exists nowhere else.

export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    if (url.hostname === "my.worker") {
      return Response.json({ container: ctx.containerId, scope: ctx.params.scope, heard: await request.text() });
    }
    if (!["GET", "HEAD", "PUT"].includes(request.method)) {
      return new Response("Method Not Allowed\n", { status: 405 });
    }
    const token = env.TOKENS[ctx.containerId];
    if (token === undefined) throw new Error("a container without a token");
    const authenticated = new Request(request);
    authenticated.headers.set("authorization", `Bearer ${token}`);
    authenticated.headers.delete("cookie");
    if (url.pathname === "/moved") url.pathname = "/elsewhere";
    return fetch(new Request(url, authenticated));
  },
};
