"""grpc.health.v1: whether a server wants calls."""

from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "grpc.health.v1.Health"
SERVING, NOT_SERVING = 1, 2


def _message(name: str) -> Any:
    return _factory.GetPrototype(_pool.FindMessageTypeByName(f"grpc.health.v1.{name}"))


_Field = descriptor_pb2.FieldDescriptorProto
_pool = descriptor_pool.DescriptorPool()
_factory = message_factory.MessageFactory(_pool)
# As on the wire: the enum's values are all that differs from the original.
_pool.Add(descriptor_pb2.FileDescriptorProto(
    name="grpc/health/v1/health.proto", package="grpc.health.v1", syntax="proto3",
    message_type=[
        descriptor_pb2.DescriptorProto(name="HealthCheckRequest", field=[
            _Field(name="service", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)]),
        descriptor_pb2.DescriptorProto(name="HealthCheckResponse", field=[
            _Field(name="status", number=1, type=_Field.TYPE_INT32, label=_Field.LABEL_OPTIONAL)])]))
Request, Response = _message("HealthCheckRequest"), _message("HealthCheckResponse")


class Health:
    """Of the server as a whole ("") and of each name that `knows` knows."""

    def __init__(self, knows: Callable[[str], bool]) -> None:
        self._knows = knows
        self.serving = True

    def handler(self) -> Any:
        method = grpc.unary_unary_rpc_method_handler(self._check, Request.FromString, Response.SerializeToString)
        return grpc.method_handlers_generic_handler(SERVICE, {"Check": method})

    async def _check(self, request: Any, context: Any) -> Any:
        if request.service and not self._knows(request.service):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service!r} here")
        return Response(status=SERVING if self.serving else NOT_SERVING)
