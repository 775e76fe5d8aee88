/** The API's services, read from its protos: no generated code. */

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

import protoLoader from "@grpc/proto-loader";

// In a git clone the protos are at the repository's root, in a package beside the sources.
const roots = ["../../../", "../"].map((path) => fileURLToPath(new URL(path, import.meta.url)));
const root = roots.find((folder) => existsSync(`${folder}proto/sallyport/v1/handler.proto`));
if (root === undefined) {
  throw new Error("the API's protos are missing: install the package with `npm install`, or from a whole git clone");
}

const definitions = protoLoader.loadSync(
  ["handler", "admin", "registry"].map((name) => `proto/sallyport/v1/${name}.proto`),
  { includeDirs: [root], longs: Number, enums: String, defaults: true, oneofs: true },
);

/**
 * @param {string} name such as "OutboundPolicy"
 * @returns {import("@grpc/proto-loader").ServiceDefinition} methods by their names
 */
export function service(name) {
  const definition = definitions[`sallyport.v1.${name}`];
  if (definition === undefined || "format" in definition) throw new TypeError(`no service of the name ${name}`);
  return /** @type {import("@grpc/proto-loader").ServiceDefinition} */ (definition);
}
