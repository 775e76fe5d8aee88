import assert from "node:assert/strict";
import { test } from "node:test";

import { asked, plain } from "./proxy.js";

const cases = {
  "returned from an asynchronous function": async (request) => fetch(request),
  "returned from a plain function": (request) => fetch(request),
  "after a wait": async (request) => { await null; return fetch(request); },
  "after a longer wait": async (request) => {
    await new Promise((resolve) => setTimeout(resolve, 3));
    return fetch(request);
  },
  "after a wait that ends with others": async (request) => {
    const ends = Date.now() + 10;
    await Promise.all([10, 10].map((time) => new Promise((resolve) => setTimeout(resolve, time))));
    const later = [1, 1, 1].map((time) => new Promise((resolve) => setTimeout(resolve, time)));
    while (Date.now() < ends + 10) { /* All of them are due at once. */ }
    await later[0];
    return fetch(request);
  },
  "from within try and finally": async (request) => { try { return fetch(request); } finally { void 0; } },
  "a copy": async (request) => fetch(new Request(request)),
  "a clone": async (request) => fetch(request.clone()),
};

for (const [name, handler] of Object.entries(cases)) {
  test(`a request that nobody looked at is sent on unseen: ${name}`, async (t) => {
    const ask = await asked(t, { it: handler });
    const call = ask({ method: "POST", hasBody: true, path: "/a/../b", headers: { "x-a": "1", accept: "*/*" } });
    const forward = await call.next("forward");
    assert.deepEqual([forward.inspectResponse, forward.transformRequest], [false, false]);
    assert.deepEqual([forward.method, forward.scheme, forward.authority, forward.path], ["", "", "", ""]);
    assert.deepEqual([forward.setHeaders, forward.removeHeaders], [[], []]);
    await call.ended();
  });
}

const looking = {
  "await": async (request) => { const response = await fetch(request); return response; },
  "then": (request) => fetch(request).then((response) => response),
  "bound function": (request) => fetch(request).then(Response.prototype.clone.call.bind(Response.prototype.clone)),
  "catch": async (request) => fetch(request).catch(() => new Response("x")),
  "race": async (request) => Promise.race([fetch(request), new Promise(() => {})]),
  "another function that returns it": async (request) => {
    const helper = async () => fetch(request);
    const response = await helper();
    return response.status === 200 ? response : new Response("no");
  },
  "another function that returns it later": async (request) => {
    const helper = async () => { await null; return fetch(request); };
    return (await helper()).ok ? helper && new Response("ok") : new Response("no");
  },
  "kept and returned after a wait": async (request) => {
    const response = fetch(request);
    await new Promise((resolve) => setTimeout(resolve, 3));
    return response;
  },
};

for (const [name, handler] of Object.entries(looking)) {
  test(`who looks at the response gets it: ${name}`, async (t) => {
    const ask = await asked(t, { it: handler });
    const call = ask();
    assert.equal((await call.next("forward")).inspectResponse, true);
  });
}

test("headers that were changed are set and removed, and no others", async (t) => {
  const ask = await asked(t, {
    it: async (request) => {
      request.headers.set("authorization", "Bearer s3cret");
      request.headers.delete("cookie");
      request.headers.append("x-list", "b");
      request.headers.set("host", "elsewhere.test");
      request.headers.set("connection", "close");
      return fetch(request);
    },
  });
  const headers = [["authorization", "mine"], ["cookie", "a=1"], ["cookie", "b=2"], ["x-list", "a"], ["x-same", "\xe9"]];
  const call = ask({ headers });
  const forward = await call.next("forward");
  assert.deepEqual(plain(forward.setHeaders), { authorization: "Bearer s3cret", "x-list": "a, b" });
  assert.deepEqual(forward.removeHeaders, ["cookie"]);
});

const targets = {
  "another URL": [(request) => fetch(new Request("https://other.test:8443/x?y=1", request)),
    { scheme: "https", authority: "other.test:8443", path: "/x?y=1" }],
  "another URL, by fetch": [(request) => fetch("http://other.test/a%20b?q=1", request), { authority: "other.test" }],
  "another scheme": [(request) => fetch(new Request(request.url.replace("http:", "https:"), request)), { scheme: "https" }],
  "another path": [(request) => { const url = new URL(request.url); url.pathname = "/z"; return fetch(new Request(url, request)); },
    { path: "/z?q=1" }],
  "another method": [(request) => fetch(new Request(request, { method: "put" })), { method: "PUT" }],
  "another method, by fetch": [(request) => fetch(request, { method: "REPORT" }), { method: "REPORT" }],
};

for (const [name, [handler, expected]] of Object.entries(targets)) {
  test(`a request may be sent to ${name}`, async (t) => {
    const ask = await asked(t, { it: handler });
    const forward = await ask({ path: "/a b?q=1".replace(" ", "%20"), headers: { "x-kept": "1" } }).next("forward");
    const { method, scheme, authority, path } = forward;
    assert.deepEqual({ method, scheme, authority, path }, { method: "", scheme: "", authority: "", path: "", ...expected });
    assert.deepEqual([forward.setHeaders, forward.removeHeaders], [[], []]);
  });
}

test("methods and targets that fetch does not know come and go as they are", async (t) => {
  const seen = [];
  const ask = await asked(t, { it: (request) => { seen.push([request.method, request.url]); return fetch(request); } });
  for (const [method, path] of [["TRACE", "/"], ["get", "/"], ["OPTIONS", "*"], ["M-SEARCH", "/"]]) {
    const forward = await ask({ method, path }).next("forward");
    assert.deepEqual([forward.method, forward.path], ["", ""]);
  }
  assert.deepEqual(seen, [["TRACE", "http://api.test/"], ["get", "http://api.test/"], ["OPTIONS", "http://api.test/*"],
    ["M-SEARCH", "http://api.test/"]]);
});

const refused = {
  "https sent on over http": [(request) => fetch(new Request("http://api.test/", request)), { scheme: "https" }],
  "a file": [(request) => fetch(new Request("file:///etc/passwd", request)), {}],
  "a second time": [async (request) => { await fetch(request.clone()); return fetch(request); }, {}],
  "something else returned": [() => "text", {}],
  "nothing returned": [() => undefined, {}],
  "an exception": [() => { throw new Error("canary"); }, {}],
  "a rejection": [async () => { throw new Error("canary"); }, {}],
  "passThroughOnException": [(request, env, ctx) => { ctx.passThroughOnException(); return fetch(request); }, {}],
  "a header that cannot be": [(request) => { request.headers.set("x", "a\r\nb"); return fetch(request); }, {}],
  "a method that cannot be": [(request) => fetch(request, { method: "A B" }), {}],
  "a lease for a response that was looked at": [async (request, env, ctx) => {
    ctx.lease({ seconds: 1 });
    return await fetch(request);
  }, {}],
  "a lease for a request with another body, from a plain function": [(request, env, ctx) => {
    ctx.lease({ seconds: 1 });
    return fetch(new Request(request, { body: "another" }));
  }, { method: "POST" }],
  "another body that cannot be read": [async (request) => fetch(failing(request)), { method: "POST" }],
  "another body that cannot be read, from a plain function": [(request) => fetch(failing(request)), { method: "POST" }],
};

function failing(request) {
  return new Request(request, { body: new ReadableStream({ pull() { throw new Error("canary"); } }), duplex: "half" });
}

for (const [name, [handler, start]] of Object.entries(refused)) {
  test(`a handler fails without a word of why to the container: ${name}`, async (t) => {
    t.mock.method(console, "error", () => {});
    const ask = await asked(t, { it: handler });
    const call = ask(start);
    if (name === "a second time") {
      await call.next("forward");
      call.answer();
    }
    assert.equal(await call.failed(), "the handler failed; its own log says why");
    assert.equal(console.error.mock.callCount(), 1);
    assert.match(console.error.mock.calls[0].arguments[0], /^sallyport: handler it, request r-1: failed/);
  });
}

test("a handler that is not served here fails", async (t) => {
  t.mock.method(console, "error", () => {});
  const ask = await asked(t, { it: () => new Response() });
  await ask({}, "another").failed();
});

test("a lease, a revocation and the request id go with what is sent on", async (t) => {
  const ask = await asked(t, {
    it: async (request, env, ctx) => {
      ctx.lease({ seconds: 1.5, maxUses: 3, methods: ["GET"], pathPrefix: "/a" });
      ctx.revokeLeases();
      ctx.sendRequestId();
      return fetch(request);
    },
  });
  const { lease, revokeLeases, sendRequestId } = await ask().next("forward");
  assert.deepEqual([lease.ttl, lease.maxUses, lease.methods, lease.pathPrefix, revokeLeases, sendRequestId],
    [{ seconds: 1, nanos: 5e8 }, 3, ["GET"], "/a", true, true]);
});

test("the context says who asks", async (t) => {
  let seen;
  const ask = await asked(t, { it: (request, env, ctx) => { seen = { env, ...ctx }; return new Response(); } }, { env: { KEY: 1 } });
  const params = { fields: { scope: { listValue: { values: [{ stringValue: "a" }, { numberValue: 1 }, { nullValue: 0 }] } },
    deep: { structValue: { fields: { yes: { boolValue: true } } } } } };
  await ask({ context: { params, tlsVersion: "TLSv1.3" } }).next("respond");
  assert.deepEqual([seen.env, seen.containerId, seen.className, seen.handler, seen.rule, seen.policyRevision, seen.requestId],
    [{ KEY: 1 }, "web-1", "c", "it", "class api.test", 7, "r-1"]);
  assert.deepEqual([seen.params, seen.tlsVersion], [{ scope: ["a", 1, null], deep: { yes: true } }, "TLSv1.3"]);
});

test("the signal of a request that is over stays still", async (t) => {
  let signal;
  const ask = await asked(t, { it: (request) => { ({ signal } = request); return fetch(request); } });
  const call = ask();
  await call.next("forward");
  await call.ended();
  call.stream.cancel();
  await ask.close();
  assert.equal(signal.aborted, false);
});

test("the signal of a request says that the container hung up", async (t) => {
  const [started, aborted] = [withResolvers(), withResolvers()];
  const ask = await asked(t, {
    it: (request) => {
      request.signal.addEventListener("abort", () => aborted.resolve(request.signal.reason.name));
      started.resolve();
      return new Promise(() => {});
    },
  });
  const call = ask();
  await started.promise;
  call.stream.cancel();
  assert.equal(await aborted.promise, "AbortError");
});

function withResolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
