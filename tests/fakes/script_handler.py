"""A handler over plain gRPC that does what its rule's params say, legal or not. Events are JSON lines on stdout.

  script   params {"steps": […]}: a string awaits a message of that kind ("response", "end", …), an object is sent, as JSON
           of HandleResponse, or {"repeat": N, "message": …}; then the stream ends. "forever": until the proxy ends the call;
           "stall": the same, without reading what comes.
  upper    forwards, with both bodies transformed to upper case, and a trailer added to each
  copy     forwards, with both bodies as they are, by way of the handler

Events: {"event": "call", "start": …}, {"event": KIND, "message": …} for each message that a script awaits, and
{"event": "over", "request": ID, "finished": …}, whether the handler had said its last word.
"""

import argparse
import json
import os
import sys
import threading
from concurrent import futures

import grpc
from google.protobuf import json_format

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from api import Schema  # noqa: E402  (Beside the folder of this file.)

LOCK = threading.Lock()


def log(**fields):
    with LOCK:
        sys.stdout.write(json.dumps(fields) + "\n")
        sys.stdout.flush()


def as_json(message):
    return json_format.MessageToDict(message)


class Service:
    def __init__(self, schema):
        method = schema.methods["OutboundHandler.Handle"]
        self.request, self.answer = (schema.message(side) for side in (method.input_type, method.output_type))

    def handlers(self):
        handle = grpc.stream_stream_rpc_method_handler(self.handle, self.request.FromString, self.answer.SerializeToString)
        return grpc.method_handlers_generic_handler("sallyport.v1.OutboundHandler", {"Handle": handle})

    def handle(self, messages, rpc):
        start = next(messages).start
        log(event="call", start=as_json(start))
        state = {"finished": False, "over": threading.Event()}

        def end():
            log(event="over", request=start.context.request_id, finished=state["finished"])
            state["over"].set()
        rpc.add_callback(end)
        work = {"script": self.script, "upper": self.transform, "copy": self.transform}[start.context.handler]
        yield from work(start, messages, state)

    def script(self, start, messages, state):
        for step in as_json(start.context.params)["steps"]:
            if step == "forever":
                for _ in messages:
                    pass
                return
            if step == "stall":
                state["over"].wait()
                return
            if isinstance(step, str):
                for message in messages:
                    log(event=message.WhichOneof("message"), message=as_json(message))
                    if message.WhichOneof("message") == step:
                        break
            else:
                for _ in range(int(step.get("repeat", 1))):
                    yield json_format.ParseDict(step.get("message", step), self.answer())
        state["finished"] = True

    def transform(self, start, messages, state):
        change = bytes.upper if start.context.handler == "upper" else bytes
        yield self.answer(forward={"inspect_response": True, "transform_request": True})
        # One loop for both directions: each message is answered before the next is read.
        for message in messages:
            kind = message.WhichOneof("message")
            if kind == "body":
                yield self.answer(request_body=change(message.body))
            elif kind == "end":
                yield self.answer(request_end=self.end(message.end))
            elif kind == "response":
                yield self.answer(pass_response={"transform_body": True})
            elif kind == "response_body":
                yield self.answer(body=change(message.response_body))
            elif kind == "response_end":
                yield self.answer(end=self.end(message.response_end))
                state["finished"] = True

    @staticmethod
    def end(received):
        trailers = [{"name": trailer.name, "value": trailer.value.upper()} for trailer in received.trailers]
        return {"trailers": [*trailers, {"name": "x-handler", "value": b"was here"}]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--descriptors", required=True, metavar="FILE", help="the API as a FileDescriptorSet")
    options = parser.parse_args()
    server = grpc.server(futures.ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((Service(Schema(options.descriptors)).handlers(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on 127.0.0.1:{port}", flush=True)
    server.wait_for_termination()


if __name__ == "__main__":
    main()
