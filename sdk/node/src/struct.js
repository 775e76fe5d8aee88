/** google.protobuf.Struct, as params come and go. */

/** @typedef {Record<string, any>} Value a google.protobuf.Value as proto-loader has it */

/**
 * @param {{ fields?: Record<string, Value> } | null | undefined} struct
 * @returns {Record<string, any>}
 */
export function fromStruct(struct) {
  return Object.fromEntries(Object.entries(struct?.fields ?? {}).map(([key, value]) => [key, fromValue(value)]));
}

/**
 * @param {unknown} object what JSON can say; undefined: the empty object
 * @returns {{ fields: Record<string, Value> }}
 */
export function toStruct(object) {
  // By way of JSON, so that dates and the like become what users expect of JSON.
  const plain = object === undefined ? {} : JSON.parse(JSON.stringify(object) ?? "null");
  if (plain === null || typeof plain !== "object" || Array.isArray(plain)) {
    throw new TypeError("params are a JSON object, such as { scope: \"repo:read\" }");
  }
  return structOf(plain);
}

/** @param {Value} value @returns {any} */
function fromValue(value) {
  switch (value.kind) {
    case "numberValue":
    case "stringValue":
    case "boolValue":
      return value[value.kind];
    case "structValue":
      return fromStruct(value.structValue);
    case "listValue":
      return (value.listValue.values ?? []).map(fromValue);
    default:
      return null;
  }
}

/** @param {Record<string, any>} object */
function structOf(object) {
  return { fields: Object.fromEntries(Object.entries(object).map(([key, value]) => [key, toValue(value)])) };
}

/** @param {any} value @returns {Value} */
function toValue(value) {
  if (value === null) return { nullValue: "NULL_VALUE" };
  if (typeof value === "number") return { numberValue: value };
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(toValue) } };
  return { structValue: structOf(value) };
}
