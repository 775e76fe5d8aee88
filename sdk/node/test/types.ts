// Compiled, never run: what users write has types.
import { Container, ControlPlane, deploy, fetch, getContainer, serve, type OutboundHandlerContext } from "../index.js";

interface Env {
  tokens: Map<string, string>;
}

class Sandbox extends Container<Env> {
  override enableInternet = false;
  override allowedHosts = ["*.test"];
  static override outboundByHost = {
    "api.test": (request: Request, env: Env, ctx: OutboundHandlerContext) => {
      request.headers.set("authorization", env.tokens.get(ctx.containerId) ?? "");
      return fetch(request);
    },
  };
}

export async function main() {
  const server = await serve<Env>({ listen: "127.0.0.1:0", env: { tokens: new Map() } }, {
    add: async (request, env, ctx) => {
      const scope: string = ctx.params.scope;
      const response = await fetch(new Request("https://other.test/", request));
      return new Response(response.body, { status: response.status, headers: { scope } });
    },
    it: { timeout: 5, holdsSecrets: true, fetch: (request, env) => fetch(request.clone(), { body: env.tokens.get("x") }) },
    // @ts-expect-error A handler returns a Response.
    wrong: () => "text",
  });
  await server.close();
  const deployment = await deploy(Sandbox, { controlPlane: new ControlPlane(), env: { tokens: new Map() } });
  const change = await getContainer(deployment, "web-1").setOutboundByHost("api.test", "github", { scope: "read" });
  return change.revision;
}
