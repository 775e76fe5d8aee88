import assert from "node:assert/strict";
import { test } from "node:test";

import { redactor } from "../examples/redactor.mjs";
import { sign } from "../examples/sigv4.mjs";

const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
const scope = { service: "service", region: "us-east-1", now: new Date("2015-08-30T12:36:00Z") };

// Of AWS's published test suite for signature version 4.
const vectors = {
  "get-vanilla": [["https://example.amazonaws.com/"], "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"],
  "get-vanilla-query-order-key-case": [["https://example.amazonaws.com/?Param2=value2&Param1=value1"],
    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"],
  "post-vanilla": [["https://example.amazonaws.com/", { method: "POST" }],
    "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"],
};

for (const [name, [request, signature]] of Object.entries(vectors)) {
  test(`signature version 4: ${name}`, async () => {
    const signed = new Request(...request);
    await sign(signed, credentials, scope);
    assert.equal(signed.headers.get("authorization"), "AWS4-HMAC-SHA256 "
      + `Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=${signature}`);
  });
}

test("signing for S3 leaves the body where it is", async () => {
  const signed = new Request("https://b.s3.amazonaws.com/a%20b", { method: "PUT", body: "x" });
  await sign(signed, { ...credentials, sessionToken: "t" }, { ...scope, service: "s3" });
  assert.equal(signed.bodyUsed, false);
  assert.equal(signed.headers.get("x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
  assert.match(signed.headers.get("authorization"), /SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,/);
});

test("secrets are found wherever the stream is cut", async () => {
  const text = "a hunter2 and s3cret-s3cret, hunter hunter2; s3cretary";
  const expected = "a ******* and ******-******, hunter *******; *********";
  for (let size = 1; size <= text.length; size++) {
    const pieces = Buffer.from(text).toString("latin1").match(new RegExp(`.{1,${size}}`, "g")).map((piece) => Buffer.from(piece));
    const stream = new ReadableStream({
      start(controller) {
        for (const piece of pieces) controller.enqueue(piece);
        controller.close();
      },
    });
    assert.equal(await new Response(stream.pipeThrough(redactor(["hunter2", "s3cret", "cretary"]))).text(), expected, `pieces of ${size}`);
  }
});
