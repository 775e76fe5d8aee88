import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { test } from "node:test";

import { asked, plain } from "./proxy.js";

const upper = () => new TransformStream({
  transform: (piece, controller) => controller.enqueue(Buffer.from(Buffer.from(piece).toString().toUpperCase())),
});
const tick = () => new Promise((resolve) => setTimeout(resolve, 5));

const readers = {
  text: async (request) => new Response(await request.text()),
  json: async (request) => new Response((await request.json())[0]),
  stream: async (request) => new Response(request.body),
  "a clone": async (request) => new Response(await request.clone().text()),
  "a copy": async (request) => new Response(await new Request(request).text()),
  form: async (request) => new Response((await request.formData()).get("a")),
};
const bodies = { json: '["hello"]', form: "a=hello" };

for (const [name, handler] of Object.entries(readers)) {
  test(`a body comes when it is read: ${name}`, async (t) => {
    const ask = await asked(t, { it: handler });
    const call = ask({ method: "POST", hasBody: true, headers: { "content-type": "application/x-www-form-urlencoded" } });
    await call.next("readBody");
    call.sendBody(bodies[name] ?? "hello");
    assert.equal((await call.next("respond")).status, 200);
    assert.equal((await call.body()).text, "hello");
    await call.ended();
  });
}

test("a body that is not there is empty", async (t) => {
  const ask = await asked(t, { it: async (request) => Response.json([request.body, await request.text()]) });
  const call = ask();
  assert.equal(plain((await call.next("respond")).headers)["content-type"], "application/json");
  assert.equal((await call.body()).text, '[null,""]');
});

test("a body that was read goes on by way of the handler", async (t) => {
  const ask = await asked(t, {
    it: async (request) => (await request.clone().text() === "hello" ? fetch(request) : new Response()),
  });
  const call = ask({ method: "POST", hasBody: true, contentLength: 5 });
  await call.next("readBody");
  call.sendBody("hello", { "x-trailer": "t" });
  const forward = await call.next("forward");
  assert.deepEqual([forward.transformRequest, forward.inspectResponse, forward.contentLength], [true, false, 5]);
  const sent = await call.body("requestBody", "requestEnd");
  assert.deepEqual([sent.text, plain(sent.trailers)], ["hello", { "x-trailer": "t" }]);
  await call.ended();
});

test("a body that is piped through something is asked for by the forward", async (t) => {
  const ask = await asked(t, {
    it: async (request) => fetch(new Request(request, { body: request.body.pipeThrough(upper()), duplex: "half" })),
  });
  const call = ask({ method: "POST", hasBody: true });
  const first = await call.next("readBody").then(() => call.next("forward"));
  assert.equal(first.transformRequest, true);
  call.sendBody("hello");
  assert.equal((await call.body("requestBody", "requestEnd")).text, "HELLO");
});

test("another body takes the place of the container's", async (t) => {
  const ask = await asked(t, { it: (request) => fetch(request, { method: "POST", body: new URLSearchParams({ a: "b" }) }) });
  const call = ask();
  const forward = await call.next("forward");
  assert.deepEqual([forward.method, forward.transformRequest, forward.contentLength], ["POST", true, 3]);
  assert.deepEqual(plain(forward.setHeaders), { "content-type": "application/x-www-form-urlencoded;charset=UTF-8" });
  assert.equal((await call.body("requestBody", "requestEnd")).text, "a=b");
});

test("a URL with the container's body is the container's request", async (t) => {
  const ask = await asked(t, {
    it: ({ method, headers, body }) => fetch("http://other.test/", { method, headers, body, duplex: "half" }),
  });
  const forward = await ask({ method: "PUT", hasBody: true, headers: { "x-a": "1" } }).next("forward");
  assert.deepEqual([forward.method, forward.authority, forward.transformRequest, forward.removeHeaders], ["", "other.test", false, []]);
});

test("a body cannot be sent on when it was read", async (t) => {
  t.mock.method(console, "error", () => {});
  const ask = await asked(t, { it: async (request) => { await request.text(); return fetch(request); } });
  const call = ask({ method: "POST", hasBody: true });
  await call.next("readBody");
  call.sendBody("hello");
  await call.failed();
  assert.match(String(console.error.mock.calls[0].arguments[1]), /the body was read/);
});

test("a handler that does not read lets the proxy wait", async (t) => {
  let reader;
  const ask = await asked(t, {
    it: async (request) => {
      reader = request.body.getReader();
      await reader.read();
      return new Promise(() => {});
    },
  });
  const call = ask({ method: "POST", hasBody: true });
  await call.next("readBody");
  const piece = Buffer.alloc(64 * 1024);
  let sent = 0;
  while (call.send({ body: piece }) || sent < 64) sent++;
  for (let still = -1; still !== call.stream.writableLength;) { still = call.stream.writableLength; await tick(); await tick(); }
  assert.ok(call.stream.writableLength > 0, "everything was taken");
  let taken = 0;
  while (call.stream.writableLength > 0) { await reader.read(); taken++; }
  assert.ok(taken > 0);
});

test("a response is sent at the pace of the container", async (t) => {
  let made = 0;
  const ask = await asked(t, {
    it: () => new Response(new ReadableStream({
      pull: (controller) => { made++; controller.enqueue(new Uint8Array(64 * 1024)); },
    })),
  });
  const call = ask();
  call.stream.pause();
  for (let still = -1; still !== made;) { still = made; await new Promise((resolve) => setTimeout(resolve, 50)); }
  assert.ok(made < 200, `${made} pieces`);
});

test("a response that is there at once has a length, others have not", async (t) => {
  const slow = () => new ReadableStream({
    async start(controller) {
      controller.enqueue(Buffer.from("a"));
      await tick();
      controller.enqueue(Buffer.from("b"));
      controller.close();
    },
  });
  const responses = {
    "/text": () => new Response("abc"), "/none": () => new Response(null), "/slow": () => new Response(slow()),
    "/said": () => new Response(slow(), { headers: { "content-length": "2" } }), "/204": () => new Response(null, { status: 204 }),
  };
  const ask = await asked(t, { it: (request) => responses[new URL(request.url).pathname]() });
  const lengths = {};
  for (const path of Object.keys(responses)) {
    const call = ask({ path });
    lengths[path] = plain((await call.next("respond")).headers)["content-length"];
    await call.body();
    await call.ended();
  }
  assert.deepEqual(lengths, { "/text": "3", "/none": "0", "/slow": undefined, "/said": "2", "/204": undefined });
});

test("HEAD is answered without a body", async (t) => {
  const ask = await asked(t, { it: () => new Response("abc", { headers: { "content-length": "3" } }) });
  const call = ask({ method: "HEAD" });
  assert.equal(plain((await call.next("respond")).headers)["content-length"], "3");
  assert.equal((await call.body()).text, "");
});

test("headers of the connection are left off a response, cookies stay apart", async (t) => {
  const headers = [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["connection", "close"], ["transfer-encoding", "chunked"]];
  const ask = await asked(t, { it: () => new Response("x", { headers }) });
  assert.deepEqual(plain((await ask().next("respond")).headers),
    { "content-length": "1", "content-type": "text/plain;charset=UTF-8", "set-cookie": ["a=1", "b=2"] });
});

test("a body that breaks off is cut", async (t) => {
  t.mock.method(console, "error", () => {});
  const ask = await asked(t, {
    it: () => new Response(new ReadableStream({
      async pull(controller) { controller.enqueue(Buffer.from("a")); await tick(); controller.error(new Error("canary")); },
    })),
  });
  const call = ask();
  await call.next("respond");
  assert.equal((await call.next("body")).toString(), "a");
  assert.doesNotMatch(await call.failed(), /canary/);
});

const passed = {
  "as it is": [async (request) => { const it = await fetch(request); return it; }, {}],
  "with another header": [async (request) => {
    const it = await fetch(request);
    it.headers.set("x-seen", "1");
    it.headers.delete("server");
    return it;
  }, { setHeaders: { "x-seen": "1" }, removeHeaders: ["server"] }],
  "with another status": [async (request) => { const it = await fetch(request); return new Response(it.body, { ...it, headers: it.headers, status: 299 }); },
    { status: 299 }],
  "by a plain function that looks too": [(request) => { const it = fetch(request); it.catch(() => {}); return it; }, {}],
};

for (const [name, [handler, expected]] of Object.entries(passed)) {
  test(`an origin's response passes without its body: ${name}`, async (t) => {
    const ask = await asked(t, { it: handler });
    const call = ask();
    assert.equal((await call.next("forward")).inspectResponse, true);
    call.answer({ status: 201, headers: { server: "x", etag: "e" }, body: "hello" });
    const { status, transformBody, setHeaders, removeHeaders } = await call.next("passResponse");
    assert.deepEqual({ status, transformBody, setHeaders: plain(setHeaders), removeHeaders },
      { status: 0, transformBody: false, setHeaders: {}, removeHeaders: [], ...expected });
    await call.ended();
  });
}

const changed = {
  "piped": async (request) => { const it = await fetch(request); return new Response(it.body.pipeThrough(upper()), it); },
  "by hand": async (request) => {
    const it = await fetch(request);
    const { readable, writable } = upper();
    it.body.pipeTo(writable);
    return new Response(readable, it);
  },
  "read whole": async (request) => { const it = await fetch(request); return new Response((await it.text()).toUpperCase(), it); },
  "a clone read": async (request) => {
    const it = await fetch(request);
    return new Response((await it.clone().text()).toUpperCase(), it);
  },
};

for (const [name, handler] of Object.entries(changed)) {
  for (const coding of ["", "gzip"]) {
    test(`an origin's body goes by way of the handler: ${name} ${coding}`, async (t) => {
      const ask = await asked(t, { it: handler });
      const call = ask();
      await call.next("forward");
      const headers = { "content-type": "text/plain", ...(coding && { "content-encoding": coding }) };
      call.answer({ headers, body: coding ? gzipSync("hello") : "hello", trailers: { "grpc-status": "0" } });
      // What is read before the handler ends comes before the head goes, and has a length then.
      const first = name.includes("read");
      if (first) {
        await call.next("readResponseBody");
        call.sendResponseBody();
      }
      const pass = await call.next("passResponse");
      assert.deepEqual([pass.transformBody, pass.removeHeaders, plain(pass.setHeaders)],
        [true, coding ? ["content-encoding"] : [], first ? { "content-length": "5" } : {}]);
      if (!first) call.sendResponseBody();
      const { text, trailers } = await call.body();
      assert.deepEqual([text, plain(trailers)], ["HELLO", { "grpc-status": "0" }]);
      await call.ended();
    });
  }
}

test("a handler may put a response of its own in the origin's place", async (t) => {
  const ask = await asked(t, { it: async (request) => ((await fetch(request)).status === 401 ? new Response("no", { status: 403 }) : null) });
  const call = ask();
  await call.next("forward");
  call.answer({ status: 401, body: "hello" });
  assert.equal((await call.next("respond")).status, 403);
  assert.equal((await call.body()).text, "no");
});

test("a handler that did not wait for the origin answers in its place", async (t) => {
  const ask = await asked(t, { it: async (request) => { fetch(request); await tick(); return new Response("mine"); } });
  const call = ask();
  await call.next("forward");
  call.answer({ body: "hello" });
  await call.next("respond");
  assert.equal((await call.body()).text, "mine");
});

const decided = {
  "another response": [async (request) => {
    const it = await fetch(request);
    return (await it.text()) === "hello" ? new Response("no", { status: 403 }) : it;
  }, { status: 403, setHeaders: { "content-length": "2", "content-type": "text/plain;charset=UTF-8" }, removeHeaders: ["etag"], text: "no" }],
  "another status and header": [async (request) => {
    const it = await fetch(request);
    const changed = new Response((await it.json()).toFixed(2), { status: 203, headers: it.headers });
    changed.headers.set("x-n", "1");
    return changed;
  }, { status: 203, setHeaders: { "content-length": "4", "content-type": "text/plain;charset=UTF-8", "x-n": "1" }, removeHeaders: [],
    text: "7.00", body: "7" }],
  "the same response, of which a clone was read": [async (request) => {
    const it = await fetch(request);
    it.headers.set("x-length", String((await it.clone().text()).length));
    return it;
  }, { status: 0, setHeaders: { "content-length": "5", "x-length": "5" }, removeHeaders: [], text: "hello" }],
  "a status without body": [async (request) => {
    const it = await fetch(request);
    await it.arrayBuffer();
    return new Response(null, { status: 204, headers: it.headers });
  }, { status: 204, setHeaders: {}, removeHeaders: [], text: "" }],
  "the rest of a body": [async (request) => {
    const it = await fetch(request);
    const reader = it.body.getReader();
    const { value } = await reader.read();
    return new Response(new ReadableStream({
      async start(controller) {
        controller.enqueue(Buffer.from(`${value.length}:`));
        for (let next = await reader.read(); !next.done; next = await reader.read()) controller.enqueue(next.value);
        controller.close();
      },
    }), { status: 201, headers: it.headers });
  }, { status: 201, setHeaders: {}, removeHeaders: [], text: "4:more", pieces: ["head", "more"] }],
};

for (const [name, [handler, { status, setHeaders, removeHeaders, text, body = "hello", pieces = [body] }]] of Object.entries(decided)) {
  test(`status and headers are decided after the body was read: ${name}`, async (t) => {
    const ask = await asked(t, { it: handler });
    const call = ask();
    await call.next("forward");
    call.answer({ headers: { etag: "e" }, body });
    await call.next("readResponseBody");
    for (const piece of pieces) call.send({ responseBody: Buffer.from(piece) });
    call.send({ responseEnd: { trailers: [] } });
    const pass = await call.next("passResponse");
    assert.deepEqual([pass.status, pass.transformBody, plain(pass.setHeaders), pass.removeHeaders],
      [status, true, setHeaders, removeHeaders]);
    assert.equal((await call.body()).text, text);
    await call.ended();
  });
}

test("an origin that breaks off while its body is read fails the read", async (t) => {
  t.mock.method(console, "error", () => {});
  let failed;
  const fails = new Promise((resolve) => { failed = resolve; });
  const ask = await asked(t, {
    it: async (request) => { const it = await fetch(request); return new Response(await it.text().catch(failed)); },
  });
  const call = ask();
  await call.next("forward");
  call.answer({ body: "hello" });
  await call.next("readResponseBody");
  call.send({ responseBody: Buffer.from("he") });
  call.stream.cancel();
  assert.equal((await fails).name, "AbortError");
});

test("both bodies move at once", async (t) => {
  const ask = await asked(t, {
    it: async (request) => {
      const it = await fetch(new Request(request, { body: request.body.pipeThrough(upper()), duplex: "half" }));
      return new Response(it.body.pipeThrough(upper()), it);
    },
  });
  const call = ask({ method: "POST", hasBody: true });
  await call.next("readBody");
  await call.next("forward");
  call.send({ body: Buffer.from("a") });
  assert.equal((await call.next("requestBody")).toString(), "A");
  call.answer({ body: "x" });
  await call.next("passResponse");
  call.send({ responseBody: Buffer.from("x") });
  assert.equal((await call.next("body")).toString(), "X");
  call.send({ body: Buffer.from("b") });
  assert.equal((await call.next("requestBody")).toString(), "B");
  call.send({ responseEnd: {} });
  await call.next("end");
});

test("a response is heard though the proxy is slow to take the request's body", async (t) => {
  let heard;
  const hears = new Promise((resolve) => { heard = resolve; });
  const ask = await asked(t, {
    it: async (request) => {
      const response = await fetch(new Request(request, { body: request.body.pipeThrough(upper()), duplex: "half" }));
      heard(response.status);
      return response;
    },
  });
  const call = ask({ method: "POST", hasBody: true });
  await call.next("readBody");
  await call.next("forward");
  call.stream.pause();
  for (let sent = 0; sent < 100; sent++) call.send({ body: Buffer.alloc(64 * 1024) });
  call.answer({ status: 413 });
  assert.equal(await hears, 413);
});

test("a task of waitUntil is waited for", async (t) => {
  let done = false;
  const ask = await asked(t, {
    it: (request, env, ctx) => {
      ctx.waitUntil(tick().then(() => { done = true; }));
      return new Response("x");
    },
  });
  const call = ask();
  await call.next("respond");
  await call.body();
  await call.ended();
  await ask.close();
  assert.ok(done);
});
