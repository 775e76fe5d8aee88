/** grpc.health.v1: whether a server wants calls. */

import grpc from "@grpc/grpc-js";
import protoLoader from "@grpc/proto-loader";

const SERVING = 1;
const NOT_SERVING = 2;

// As on the wire: the enum's names are all that differs from the original.
const v1 = {
  Health: { methods: { Check: { requestType: "HealthCheckRequest", responseType: "HealthCheckResponse" } } },
  HealthCheckRequest: { fields: { service: { type: "string", id: 1 } } },
  HealthCheckResponse: { fields: { status: { type: "int32", id: 1 } } },
};
const nested = { grpc: { nested: { health: { nested: { v1: { nested: v1 } } } } } };
const definitions = protoLoader.fromJSON(/** @type {any} */ ({ nested }), { defaults: true });

/** Of the server as a whole ("") and of each name that it knows. */
export class Health {
  serving = true;
  #names;

  /** @param {Iterable<string>} names */
  constructor(names) {
    this.#names = new Set(names).add("").add("sallyport.v1.OutboundHandler");
  }

  /** @param {grpc.Server} server */
  addTo(server) {
    server.addService(/** @type {any} */ (definitions["grpc.health.v1.Health"]), {
      Check: (/** @type {any} */ call, /** @type {any} */ answer) => {
        const { service } = call.request;
        if (this.#names.has(service)) answer(null, { status: this.serving ? SERVING : NOT_SERVING });
        else answer({ code: grpc.status.NOT_FOUND, details: `no service ${JSON.stringify(service)} here` });
      },
    });
  }
}
