/** Identity tokens: which container asks, signed by the agent of its host. */

import { createPublicKey, verify } from "node:crypto";

const CLOCK_SKEW_SECONDS = 30;

/** The token does not prove who asks; the message says why. */
export class IdentityError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = "IdentityError";
  }
}

/**
 * @param {string} token of the context, or of the header `sallyport-identity`
 * @param {{ keys: Record<string, any>[] } | string} jwks as ControlPlane.identityKeys() gives it, or JSON text
 * @param {string} audience as the handler is registered; by default its name
 * @param {{ now?: number }} [options] seconds since 1970
 * @returns {import("../index.d.ts").IdentityClaims}
 */
export function verifyIdentity(token, jwks, audience, { now = Date.now() / 1000 } = {}) {
  const parts = token.split(".");
  if (parts.length !== 3) throw new IdentityError(token === "" ? "there is no token" : "it is no signed token");
  const [header, claims] = parts.slice(0, 2).map(parse);
  if (header.alg !== "EdDSA") throw new IdentityError("it is not signed by EdDSA");
  const { keys } = typeof jwks === "string" ? JSON.parse(jwks) : jwks;
  const key = keys.find((/** @type {any} */ one) => one.kid === header.kid && one.kty === "OKP" && one.crv === "Ed25519");
  if (key === undefined) {
    throw new IdentityError("it is signed by a key that is not among these: fetch them again, at most once in a while");
  }
  const signature = Buffer.from(parts[2], "base64url");
  if (signature.toString("base64url") !== parts[2]
      || !verify(null, Buffer.from(`${parts[0]}.${parts[1]}`), createPublicKey({ key, format: "jwk" }), signature)) {
    throw new IdentityError("its signature is wrong");
  }
  // A host speaks for its own containers alone.
  if (claims.iss !== key.host) throw new IdentityError(`it names the host ${claims.iss}, and the key is of ${key.host}`);
  if (claims.aud !== audience) throw new IdentityError(`it is for ${claims.aud}, not for ${audience}`);
  if (!(claims.nbf - CLOCK_SKEW_SECONDS <= now && now < claims.exp + CLOCK_SKEW_SECONDS)) {
    throw new IdentityError("it has expired, or does not hold yet");
  }
  if (typeof claims.sub !== "string") throw new IdentityError("it names no container");
  return /** @type {any} */ (claims);
}

/** @param {string} part @returns {Record<string, any>} */
function parse(part) {
  try {
    const value = JSON.parse(Buffer.from(part, "base64url").toString());
    if (value !== null && typeof value === "object") return value;
  } catch {
    // Below.
  }
  throw new IdentityError("it is no signed token");
}
