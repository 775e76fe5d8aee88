"""Stands between an agent and its control plane: keeps what passes, and changes or withholds it when asked.

It is how a test sees what a delta carries, and how it plays a control plane that is newer, or that has gone back in time.
"""

import concurrent.futures
import contextlib
import queue
import threading

import grpc


class SyncTap:
    """Listens at `address`; the control plane is at `target`. `messages` are all that passed, as (side, message).

    `change_response(response)` may change a message to the agent in place; it returns the messages to send in its place.
    """

    METHOD = "/sallyport.v1.PolicySync/Sync"

    def __init__(self, address, target, schema):
        self.request_class, self.response_class = schema.named("SyncRequest"), schema.named("SyncResponse")
        self.messages = []
        self.lock = threading.Lock()
        self.change_response = lambda response: [response]
        self.streams = set()
        self.apart = False
        self.injected = queue.SimpleQueue()
        self.target = target
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        method = grpc.stream_stream_rpc_method_handler(self.sync, self.request_class.FromString, lambda message: message.SerializeToString())
        service, name = self.METHOD[1:].split("/")
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {name: method})])
        self.server.add_insecure_port(address)
        self.server.start()

    def sync(self, requests, context):
        # A channel for each stream: nothing is remembered of a control plane that was away.
        with grpc.insecure_channel(self.target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = channel.stream_stream(self.METHOD, lambda message: message.SerializeToString(), self.response_class.FromString)
            with self.lock:
                if self.apart:
                    context.abort(grpc.StatusCode.UNAVAILABLE, "kept apart by the test")
                call = stub(self.passing(requests))
                self.streams.add(call)
            context.add_callback(call.cancel)
            try:
                for response in call:
                    for message in self.change_response(response):
                        self.keep("control plane", message)
                        yield message
            except grpc.RpcError as error:
                context.abort(error.code(), error.details())
            finally:
                with self.lock:
                    self.streams.discard(call)

    def passing(self, requests):
        try:
            for request in requests:
                self.keep("agent", request)
                yield request
                while not self.injected.empty():
                    yield self.injected.get()
        except grpc.RpcError:
            return  # The agent went away.

    def keep(self, side, message):
        with self.lock:
            self.messages.append((side, self.copy(message)))

    @staticmethod
    def copy(message):
        copy = type(message)()
        copy.CopyFrom(message)
        return copy

    def inject(self, ack):
        """Has an ack of the test's own follow the agent's next message."""
        self.injected.put(self.request_class(ack=ack))

    @contextlib.contextmanager
    def separated(self):
        """As if the network between the two had failed."""
        self.apart = True
        with self.lock:
            streams = list(self.streams)
        for call in streams:
            call.cancel()
        try:
            yield
        finally:
            self.apart = False

    def count(self):
        with self.lock:
            return len(self.messages)

    def of(self, side, kind, since=0):
        """Messages of a kind ("delta", "hello", "ack") that passed since `count()` was `since`."""
        with self.lock:
            return [getattr(message, kind) for who, message in self.messages[since:] if who == side and message.HasField(kind)]

    def deltas(self, since=0):
        return self.of("control plane", "delta", since)

    def close(self):
        self.server.stop(None).wait()
