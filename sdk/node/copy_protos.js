// Puts the API's protos into the package: `npm pack` and `npm install` of the folder run it. A git clone needs no copy.
import { cpSync, existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const from = fileURLToPath(new URL("../../proto/sallyport/v1", import.meta.url));
const to = fileURLToPath(new URL("proto/sallyport/v1", import.meta.url));
if (existsSync(from)) cpSync(from, to, { recursive: true, filter: (name) => !name.endsWith("BUILD") });
