// Takes secrets out of a stream of bytes, wherever the pieces are cut.

/**
 * @param {string[]} secrets none of them empty
 * @returns {TransformStream<Uint8Array, Uint8Array>} each byte of a secret becomes "*", so that lengths stay
 */
export function redactor(secrets) {
  const needles = secrets.map((secret) => Buffer.from(secret));
  if (needles.some((needle) => needle.length === 0)) throw new TypeError("an empty secret");
  // What may be the beginning of a secret waits for the next piece: as it came, and with what was found in it covered.
  const kept = Math.max(0, ...needles.map((needle) => needle.length - 1));
  let [seen, covered] = [Buffer.alloc(0), Buffer.alloc(0)];
  return new TransformStream({
    transform(piece, controller) {
      seen = Buffer.concat([seen, piece]);
      covered = Buffer.concat([covered, piece]);
      for (const needle of needles) {
        for (let at = seen.indexOf(needle); at >= 0; at = seen.indexOf(needle, at + 1)) {
          covered.fill("*", at, at + needle.length);
        }
      }
      const ready = Math.max(0, seen.length - kept);
      if (ready > 0) controller.enqueue(covered.subarray(0, ready));
      [seen, covered] = [seen.subarray(ready), covered.subarray(ready)];
    },
    flush(controller) {
      if (covered.length > 0) controller.enqueue(covered);
    },
  });
}
