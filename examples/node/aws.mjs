// Signs requests to AWS: the container calls it without credentials (`aws --no-sign-request`, or any HTTP client), and the
// key never leaves this process.
//
//   AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… node aws.mjs
//   sallyport set-outbound-by-host web-1 '*.amazonaws.com' aws --params '{"service": "s3", "region": "eu-central-1"}'

import { serve } from "@sallyport/handler";

import { options } from "./options.mjs";
import { sign } from "./sigv4.mjs";

const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN: sessionToken } = process.env;
if (!accessKeyId || !secretAccessKey) throw new TypeError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set");

await serve(options(), {
  aws: {
    holdsSecrets: true,
    async fetch(request, env, ctx) {
      const secure = new Request(request.url.replace(/^http:/, "https:"), request);
      for (const name of [...secure.headers.keys()]) if (name.startsWith("x-amz-")) secure.headers.delete(name);
      await sign(secure, { accessKeyId, secretAccessKey, sessionToken }, ctx.params);
      return fetch(secure);
    },
  },
});
