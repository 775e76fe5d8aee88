"""The API over one kept channel: calls by name, requests and answers as the protos' JSON.

    api = Api("unix:/run/sallyport/controlplane.sock", "proto/sallyport/v1/descriptors.binpb")
    api.call("AllowHost", containerId="web-1", host="github.com")["enforcement"]   # "ENFORCED"
"""

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory


class ApiError(Exception):
    """The server refused, or was not there; `code` is gRPC's name for it."""

    def __init__(self, method, error):
        self.code = error.code().name
        self.details = error.details()
        super().__init__(f"{method}: {self.code}: {self.details}")


class Schema:
    """Every message and method of the API, from a FileDescriptorSet."""

    def __init__(self, path):
        with open(path, "rb") as file:
            files = descriptor_pb2.FileDescriptorSet.FromString(file.read()).file
        self.pool = descriptor_pool.DescriptorPool()
        self.methods = {}
        for proto in files:
            self.pool.Add(proto)
            for service in self.pool.FindFileByName(proto.name).services_by_name.values():
                for method in service.methods:
                    self.methods[f"{service.name}.{method.name}"] = self.methods[method.name] = method
        self.factory = message_factory.MessageFactory(self.pool)

    def message(self, descriptor):
        return self.factory.GetPrototype(descriptor)

    def named(self, name):
        return self.message(self.pool.FindMessageTypeByName(f"sallyport.v1.{name}"))


class Api:
    """Thread-safe. Methods by name; `Service.Method` where two services have one of the name."""

    def __init__(self, target, descriptors):
        self.schema = Schema(descriptors)
        self.target = target
        self.connect()

    def connect(self):
        # A server that was away is found again at once.
        options = [("grpc.initial_reconnect_backoff_ms", 20), ("grpc.min_reconnect_backoff_ms", 20),
                   ("grpc.max_reconnect_backoff_ms", 100), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.insecure_channel(self.target, options)
        self.stubs = {}

    def stub(self, name):
        if name not in self.stubs:
            method = self.schema.methods[name]
            request, response = (self.schema.message(side) for side in (method.input_type, method.output_type))
            self.stubs[name] = request, self.channel.unary_unary(
                f"/{method.containing_service.full_name}/{method.name}", request.SerializeToString, response.FromString)
        return self.stubs[name]

    def await_ready(self, seconds=20):
        """Until the server that was just started is there; calls give up at once while it is not."""
        # The channel to one that was killed may not have noticed yet.
        self.channel.close()
        self.connect()
        grpc.channel_ready_future(self.channel).result(seconds)

    def call(self, method, timeout=30, **fields):
        request_class, stub = self.stub(method)
        request = json_format.ParseDict(fields, request_class())
        try:
            return json_format.MessageToDict(stub(request, timeout=timeout))
        except grpc.RpcError as error:
            raise ApiError(method, error) from None

    def enforced(self, method, **fields):
        """A mutation that must be enforced when it is answered."""
        answer = self.call(method, **fields)
        result = answer.get("result", answer)
        if result.get("enforcement") != "ENFORCED":
            raise AssertionError(f"{method} {fields}: {result}")
        return answer

    def close(self):
        self.channel.close()
