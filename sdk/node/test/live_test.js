import assert from "node:assert/strict";
import { test } from "node:test";

import grpc from "@grpc/grpc-js";

import { ControlPlane, serve } from "../src/index.js";
import { service } from "../src/proto.js";
import { asked } from "./proxy.js";

const result = { revision: 1, enforcement: "ENFORCED" };

/** A control plane that keeps streams, and says what it heard. */
async function controlPlane(t, refusal) {
  const server = new grpc.Server();
  const heard = [];
  let wake = () => {};
  const hear = (what) => { heard.push(what); wake(); };
  const streams = new Set();
  server.addService(service("HandlerRegistry"), { ServeHandler: (stream) => {
    if (refusal) return stream.emit("error", refusal);
    streams.add(stream);
    stream.on("data", (message) => {
      hear(message.message === "start" ? [message.start.name, message.start.endpoint, message.start.gracePeriod?.seconds] : message.message);
      stream.write(message.message === "start" ? { registered: { result } } : { drained: { result } });
    });
    stream.on("end", () => { hear("end"); stream.end(); });
    stream.on("error", () => {});
  } });
  const port = await new Promise((resolve) => server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (_, bound) => resolve(bound)));
  t.after(() => server.forceShutdown());
  const next = async () => {
    while (heard.length === 0) await new Promise((resolve) => { wake = resolve; });
    return heard.shift();
  };
  const breakOff = () => { for (const stream of streams) stream.emit("error", { code: grpc.status.UNAVAILABLE, details: "it stops" }); };
  return { address: `127.0.0.1:${port}`, next, breakOff };
}

const handlers = { it: () => new Response("it"), other: () => new Response("other") };

test("a served endpoint is registered, and drains when the server closes", async (t) => {
  const there = await controlPlane(t);
  const ask = await asked(t, handlers, { controlPlane: there.address, live: ["it"], gracePeriod: 3, advertise: "grpc://10.0.0.7:1" });
  assert.deepEqual(await there.next(), ["it", "grpc://10.0.0.7:1", 3]);
  await ask.close();
  assert.equal(await there.next(), "drain");
  assert.equal(await there.next(), "end");
});

test("it comes back when the stream breaks off", async (t) => {
  const there = await controlPlane(t);
  t.mock.method(console, "error", () => {});
  await asked(t, handlers, { controlPlane: there.address, live: true });
  assert.deepEqual([(await there.next())[0], (await there.next())[0]], ["it", "other"]);
  there.breakOff();
  assert.deepEqual([(await there.next())[0], (await there.next())[0]].sort(), ["it", "other"]);
});

test("a refusal is an error, a control plane that is away is none", async (t) => {
  const there = await controlPlane(t, { code: grpc.status.NOT_FOUND, details: "no such handler" });
  await assert.rejects(asked(t, handlers, { controlPlane: there.address, live: true }), { code: "NOT_FOUND", message: "no such handler" });
  t.mock.method(console, "error", () => {});
  const away = new ControlPlane("127.0.0.1:9");
  t.after(() => away.close());
  const live = await away.serveHandler("it", "grpc://10.0.0.7:1");
  assert.equal(live.registered, false);
  await live.drain();
  await live.close();
});

test("health is that of the whole and of each handler", async (t) => {
  const server = await serve({ listen: "127.0.0.1:0", quiet: true, signals: false }, handlers);
  t.after(() => server.close(1));
  const client = new grpc.Client(server.address, grpc.credentials.createInsecure());
  t.after(() => client.close());
  const check = (name) => new Promise((resolve, reject) => client.makeUnaryRequest("/grpc.health.v1.Health/Check", (bytes) => bytes, (bytes) => bytes,
    Buffer.from(name ? [10, name.length, ...Buffer.from(name)] : []), (error, bytes) => (error ? reject(error) : resolve([...bytes]))));
  assert.deepEqual([await check(""), await check("it")], [[8, 1], [8, 1]]);
  server.serving = false;
  assert.deepEqual(await check("it"), [8, 2]);
  await assert.rejects(check("nobody"), { code: grpc.status.NOT_FOUND });
});
