// AWS Signature Version 4, in the header `authorization`.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html

import { createHash, createHmac } from "node:crypto";

const sha256 = (data) => createHash("sha256").update(data).digest("hex");
const hmac = (key, data) => createHmac("sha256", key).update(data).digest();
// encodeURIComponent leaves five characters that AWS encodes.
const encode = (text) => encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);

/**
 * Signs a request: sets its headers.
 * @param {Request} request
 * @param {{ accessKeyId: string, secretAccessKey: string, sessionToken?: string }} credentials
 * @param {{ service: string, region: string, now?: Date }} scope
 */
export async function sign(request, credentials, { service, region, now = new Date() }) {
  const time = now.toISOString().replace(/[-:]|\.\d+/g, "");
  const { headers } = request;
  headers.set("x-amz-date", time);
  if (credentials.sessionToken) headers.set("x-amz-security-token", credentials.sessionToken);
  else headers.delete("x-amz-security-token");
  // S3 takes a body unsigned, so that it needs not come here; the others want its digest.
  const payload = service === "s3" ? "UNSIGNED-PAYLOAD" : sha256(Buffer.from(await request.clone().arrayBuffer()));
  if (service === "s3") headers.set("x-amz-content-sha256", payload);

  const url = new URL(request.url);
  const signed = [["host", url.host], ...[...headers].filter(([name]) => name.startsWith("x-amz-"))]
    .sort(([one], [other]) => (one < other ? -1 : 1));
  const names = signed.map(([name]) => name).join(";");
  const canonical = [request.method, path(url, service), query(url),
    ...signed.map(([name, value]) => `${name}:${value.trim().replace(/ +/g, " ")}`), "", names, payload].join("\n");

  const day = time.slice(0, 8);
  const scope = `${day}/${region}/${service}/aws4_request`;
  const key = [day, region, service, "aws4_request"].reduce(hmac, `AWS4${credentials.secretAccessKey}`);
  const signature = hmac(key, ["AWS4-HMAC-SHA256", time, scope, sha256(canonical)].join("\n")).toString("hex");
  headers.set("authorization",
    `AWS4-HMAC-SHA256 Credential=${credentials.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`);
}

/** @param {URL} url @param {string} service */
function path(url, service) {
  const segments = url.pathname.split("/").map((segment) => encode(decodeURIComponent(segment)));
  // All but S3 encode twice.
  return segments.map((segment) => (service === "s3" ? segment : encode(segment))).join("/");
}

/** @param {URL} url */
function query(url) {
  const pairs = url.search.slice(1).split("&").filter((pair) => pair !== "").map((pair) => {
    const [name, ...value] = pair.split("=");
    return `${encode(decodeURIComponent(name))}=${encode(decodeURIComponent(value.join("=")))}`;
  });
  return pairs.sort().join("&");
}
