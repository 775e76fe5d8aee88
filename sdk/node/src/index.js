/** Handlers for Sallyport: trusted code, outside of the sandbox, on every request that its rule names. See README.md. */

export { Container, ContainerProxy, deploy, Deployment, getContainer, WorkerEntrypoint } from "./container.js";
export { ContainerRules, ControlPlane, ControlPlaneError } from "./control.js";
export { fetch } from "./fetch.js";
export { IdentityError, verifyIdentity } from "./identity.js";
export { LiveEndpoint } from "./live.js";
export { Request } from "./request.js";
export { serve, Server } from "./serve.js";
