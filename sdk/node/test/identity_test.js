import assert from "node:assert/strict";
import { createPrivateKey, sign } from "node:crypto";
import { test } from "node:test";
import { inspect } from "node:util";

import { verifyIdentity } from "../src/index.js";
import { asked } from "./proxy.js";

// RFC 8037 appendix A: the key, its public half and its thumbprint.
const jwk = { kty: "OKP", crv: "Ed25519", kid: "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
  x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", host: "host-7", alg: "EdDSA", use: "sig" };
const key = createPrivateKey({ key: { ...jwk, d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A" }, format: "jwk" });
const other = { ...jwk, kid: "other", x: Buffer.alloc(32).toString("base64url") };
const keys = { keys: [other, jwk] };
const now = 1_800_000_000;
const claims = { iss: "host-7", sub: "web-1", aud: "keys", iat: now, nbf: now, exp: now + 300, class: "agents", handler: "keys" };
const header = { alg: "EdDSA", kid: jwk.kid, typ: "JWT" };

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

function token(changed = {}, head = header) {
  const signed = `${encode(head)}.${encode({ ...claims, ...changed })}`;
  return `${signed}.${sign(null, Buffer.from(signed), key).toString("base64url")}`;
}

test("a token that holds says who asks", () => {
  assert.deepEqual(verifyIdentity(token(), keys, "keys", { now }), claims);
  assert.deepEqual(verifyIdentity(token(), JSON.stringify(keys), "keys", { now: now + 329 }), claims);
});

const [head, , signature] = token().split(".");
const refused = {
  "it has expired": [token(), { at: now + 330 }, /expired/],
  "it does not hold yet": [token(), { at: now - 31 }, /does not hold yet/],
  "it has no end": [token({ exp: undefined }), {}, /expired/],
  "it is for somebody else": [token(), { audience: "other" }, /it is for keys, not for other/],
  "another host signed it": [token({ iss: "host-8" }), {}, /names the host host-8, and the key is of host-7/],
  "it names no container": [token({ sub: undefined }), {}, /names no container/],
  "its key is not known": [token(), { jwks: { keys: [other] } }, /fetch them again/],
  "it is signed by another key": [token({}, { ...header, kid: "other" }), {}, /signature is wrong/],
  "its claims were changed": [[head, encode({ ...claims, sub: "web-2" }), signature].join("."), {}, /signature is wrong/],
  "its signature has more than it should": [`${token()}=`, {}, /signature is wrong/],
  "it is not signed": [token({}, { ...header, alg: "none" }), {}, /EdDSA/],
  "there is none": ["", {}, /there is no token/],
  "it is something else": ["a.b.c", {}, /no signed token/],
  "it is null": [`${encode(null)}.${encode(null)}.`, {}, /no signed token/],
};

for (const [name, [text, { at = now, audience = "keys", jwks = keys }, message]] of Object.entries(refused)) {
  test(`a token proves nothing if ${name}`, () => {
    assert.throws(() => verifyIdentity(text, jwks, audience, { now: at }), { name: "IdentityError", message });
  });
}

test("the context has the token of the call, and does not show it", async (t) => {
  const seen = [];
  const ask = await asked(t, { it: (request, env, ctx) => {
    seen.push([ctx.identityToken, inspect(ctx).includes("canary"), JSON.stringify(ctx).includes("canary")]);
    return new Response("");
  } });
  for (const metadata of [{}, { "sallyport-identity": "canary" }]) await ask({ metadata }).next("respond");
  assert.deepEqual(seen, [["", false, false], ["canary", false, false]]);
});
