// `fetch` of a container's request, over the protocol of docs/http-handlers.md: status 299 has the proxy send it on. To be
// imported before the Worker, because it stands in for the globals `fetch` and `Request`.

const Native = { fetch: globalThis.fetch, Request: globalThis.Request };
const ID = "sallyport-request-id";

/** Requests that are being answered, by their id; every request that is made of one has the header. */
const intercepted = new Map();
/** Requests and streams with the container's body, which nobody has read. */
const unread = new WeakSet();

class Request extends Native.Request {
  constructor(input, init) {
    super(input, init);
    const given = init instanceof Native.Request || init?.body === undefined ? undefined : init.body;
    if (given === undefined ? unread.has(input) || unread.has(init) : unread.has(given)) unread.add(this);
  }
}

globalThis.Request = Request;

globalThis.fetch = async function fetch(input, init) {
  const request = new Request(input, init);
  const original = intercepted.get(request.headers.get(ID));
  return original === undefined ? Native.fetch(request) : forward(original, request);
};

/** Runs `answer` while requests that are made of this one are sent on by the proxy. */
export async function whileIntercepted(request, answer) {
  const id = request.headers.get(ID);
  intercepted.set(id, request);
  unread.add(request);
  if (request.body !== null) unread.add(request.body);
  try {
    return await answer();
  } finally {
    intercepted.delete(id);
  }
}

function forward(original, request) {
  if (!unread.has(request)) throw new TypeError("a web server as a handler cannot send another body on than the container's, unread");
  const headers = new Headers({ "sallyport-forward": "1" });
  const [from, to] = [new URL(original.url), new URL(request.url)];
  const change = (name, before, after) => { if (before !== after) headers.set(`sallyport-forward-${name}`, after); };
  change("method", original.method, request.method);
  change("scheme", from.protocol.slice(0, -1), to.protocol.slice(0, -1));
  change("authority", from.host, to.host);
  change("path", from.pathname + from.search, to.pathname + to.search);
  for (const [name, value] of request.headers) {
    if (!isOurs(name) && original.headers.get(name) !== value) headers.append("sallyport-set-header", `${name}: ${value}`);
  }
  for (const name of original.headers.keys()) {
    if (!isOurs(name) && !request.headers.has(name)) headers.append("sallyport-remove-header", name);
  }
  return unseen(new Response(null, { status: 299, headers }));
}

// The proxy's word, and what belongs to the connection between it and this server.
function isOurs(name) {
  return name.startsWith("sallyport-") || ["connection", "content-length", "expect", "host", "transfer-encoding"].includes(name);
}

/** The origin has not been asked yet: who looks at the response would take the 299 for its answer. */
function unseen(response) {
  const get = () => { throw new TypeError("a web server as a handler cannot look at what the origin answers; return it as it is"); };
  for (const name of ["status", "ok", "statusText", "headers", "body", "text", "json", "arrayBuffer", "blob", "formData", "clone"]) {
    Object.defineProperty(response, name, { get });
  }
  return response;
}
