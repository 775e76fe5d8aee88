// Hosts that exist nowhere but here: http://my.bucket/NAME are files of a folder, each container in one of its own.
// GET, HEAD, PUT and DELETE; GET / lists.
//
//   node bucket.mjs --folder /var/lib/buckets
//   sallyport set-outbound-by-host web-1 my.bucket bucket

import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import { serve } from "@sallyport/handler";

import { options } from "./options.mjs";

const { folder, ...listening } = options({ folder: { type: "string" } });
// A name is one segment, so that no path leads out; and no name of a file that is being written.
const NAME = /^[\w-][\w.-]{0,199}$/;

let writes = 0;

await serve(listening, {
  async bucket(request, env, ctx) {
    const own = join(folder, encodeURIComponent(ctx.containerId));
    const name = new URL(request.url).pathname.slice(1);
    if (name === "" && request.method === "GET") return list(own);
    if (!NAME.test(name)) return new Response("no such name\n", { status: 404 });
    const path = join(own, name);
    switch (request.method) {
      case "GET":
      case "HEAD":
        return read(path);
      case "PUT":
        return write(own, path, request.body);
      case "DELETE":
        await rm(path, { force: true });
        return new Response(null, { status: 204 });
      default:
        return new Response(null, { status: 405, headers: { allow: "GET, HEAD, PUT, DELETE" } });
    }
  },
});

async function list(own) {
  const names = await readdir(own).catch(() => []);
  return new Response(names.filter((name) => NAME.test(name)).sort().map((name) => `${name}\n`).join(""));
}

async function read(path) {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) return new Response("no such file\n", { status: 404 });
  const headers = { "content-type": "application/octet-stream", "content-length": String(found.size) };
  return new Response(found.size === 0 ? "" : Readable.toWeb(createReadStream(path, { end: found.size - 1 })), { headers });
}

async function write(own, path, body) {
  await mkdir(own, { recursive: true });
  const part = join(own, `~${writes++}`);
  try {
    await pipeline(body ?? [], createWriteStream(part));
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
  return new Response(null, { status: 201 });
}
