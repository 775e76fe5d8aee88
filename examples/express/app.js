// A handler that is an Express application and knows nothing of Sallyport's SDKs: see docs/http-handlers.md.
//
//     app.js --listen 127.0.0.1:7079 --tokens tokens.json        {"web-1": "s3cret"}
//     sallyport handler register app http://127.0.0.1:7079 --holds-secrets
//
// http://my.app/ is answered here; other hosts get a token of the container's and go on.
"use strict";
const fs = require("node:fs");
const http = require("node:http");
const { parseArgs } = require("node:util");
const express = require("express");

const { values: options } = parseArgs({
  options: { listen: { type: "string", default: "127.0.0.1:7079" }, tokens: { type: "string" } },
});

const app = express();

// The proxy says who asks; no container can.
app.use((request, response, next) => {
  request.container = request.get("sallyport-container-id");
  next();
});

app.get("/hello", (request, response, next) => {
  if (request.hostname !== "my.app") return next();
  response.type("text").send(`hello ${request.container}\n`);
});

// `asked` first: the body of a request is sent once it is asked for.
app.post("/echo", asked, express.text({ limit: "1mb" }), (request, response, next) => {
  if (request.hostname !== "my.app") return next();
  response.type("text").send(request.body);
});

app.use((request, response) => {
  if (request.hostname === "my.app") return response.status(404).type("text").send("not found\n");
  const token = JSON.parse(fs.readFileSync(options.tokens))[request.container];
  if (token === undefined) return response.status(403).type("text").send(`${request.container} has no token\n`);
  // The token never leaves in the clear, also if the container asks by http.
  response.status(299).set({
    "sallyport-forward": "1",
    "sallyport-forward-scheme": "https",
    "sallyport-set-header": `authorization: Bearer ${token}`,
  }).end();
});

function asked(request, response, next) {
  if (request.hostname !== "my.app") return next("route");
  if (request.get("expect") === "100-continue") response.writeContinue();
  next();
}

const server = http.createServer(app);
// Without this, Node asks for every body before the application runs, and none could go on to its origin.
server.on("checkContinue", app);
const [host, port] = [options.listen.slice(0, options.listen.lastIndexOf(":")), options.listen.split(":").pop()];
server.listen(Number(port), host, () => console.log(`listening on ${host}:${server.address().port}`));
