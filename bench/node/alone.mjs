// A web server that answers 1 KiB by itself, on two addresses: what a process of Node can do without a handler's contract.
//
//   node alone.mjs PORT SOCKET

import { createServer } from "node:http";

const [port, socket] = process.argv.slice(2);
const body = "x".repeat(1024);

function answer(request, response) {
  response.setHeader("content-type", "text/plain");
  response.setHeader("content-length", body.length);
  response.end(body);
}

const keepAlive = { keepAliveTimeout: 0 };
await new Promise((resolve) => createServer(keepAlive, answer).listen(socket, resolve));
const server = createServer(keepAlive, answer);
await new Promise((resolve) => server.listen(Number(port), "127.0.0.1", resolve));
console.log(`listening on 127.0.0.1:${server.address().port}`);
