/** What a changed request asks for, in the contract's words. */

/**
 * @param {{ method: string, url: string }} before
 * @param {{ method: string, url: string }} after
 * @returns {{ method?: string, scheme?: string, authority?: string, path?: string }} without what stays as received, to the byte
 */
export function targetChanges(before, after) {
  /** @type {ReturnType<typeof targetChanges>} */
  const changed = {};
  if (after.method !== before.method) changed.method = after.method;
  if (after.url === before.url) return changed;
  const [from, to] = [new URL(before.url), new URL(after.url)];
  if (to.protocol !== "http:" && to.protocol !== "https:") throw new TypeError(`a request is sent on over http or https, not ${to.protocol}`);
  if (from.protocol === "https:" && to.protocol === "http:") {
    throw new TypeError("what the container asked for over https is not sent on over http");
  }
  if (to.username !== "" || to.password !== "") throw new TypeError("a URL with credentials; set the authorization header");
  if (to.protocol !== from.protocol) changed.scheme = to.protocol.slice(0, -1);
  if (to.host !== from.host) changed.authority = to.host;
  const path = to.pathname + to.search;
  if (path !== from.pathname + from.search) changed.path = path;
  return changed;
}
