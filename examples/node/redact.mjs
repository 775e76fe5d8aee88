// Takes secrets out of what origins answer, as it streams: nothing that is listed in the file reaches a container.
//
//   node redact.mjs --secrets secrets.txt        one secret a line
//   sallyport set-outbound-handler web-1 redact

import { readFileSync } from "node:fs";

import { serve } from "@sallyport/handler";

import { options } from "./options.mjs";
import { redactor } from "./redactor.mjs";

const { secrets: file, ...listening } = options({ secrets: { type: "string" } });
const secrets = readFileSync(file, "utf8").split("\n").filter((line) => line !== "");
// What fetch takes off by itself.
const CODINGS = "gzip, deflate, br";

await serve(listening, {
  async redact(request) {
    request.headers.set("accept-encoding", CODINGS);
    // A part of a secret could not be told from another text.
    request.headers.delete("range");
    const response = await fetch(request);
    const coding = response.headers.get("content-encoding");
    if (coding !== null && !`${CODINGS}, identity`.split(", ").includes(coding)) {
      return new Response(`${coding} cannot be looked into\n`, { status: 502 });
    }
    const headers = new Headers();
    for (const [name, value] of response.headers) headers.append(name, cover(value));
    return new Response(response.body?.pipeThrough(redactor(secrets)), { status: response.status, headers });
  },
});

/** @param {string} text */
function cover(text) {
  return secrets.reduce((covered, secret) => covered.replaceAll(secret, "*".repeat(secret.length)), text);
}
