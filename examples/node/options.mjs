// Flags that every example has.

import { parseArgs } from "node:util";

/** @param {Record<string, { type: "string", default?: string }>} more flags of the example's own */
export function options(more = {}) {
  const { values } = parseArgs({
    options: { listen: { type: "string", default: "127.0.0.1:7070" }, "control-plane": { type: "string" }, ...more },
  });
  for (const name of Object.keys(more)) {
    if (values[name] === undefined) throw new TypeError(`--${name} is missing`);
  }
  return { ...values, listen: values.listen, controlPlane: values["control-plane"] };
}
