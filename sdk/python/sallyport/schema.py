"""The messages and methods of the API, read from the descriptors beside this file: no generated code."""

import importlib.resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "sallyport.v1"


def _read_descriptors() -> bytes:
    try:
        return importlib.resources.files(__package__).joinpath("descriptors.binpb").read_bytes()
    except FileNotFoundError:
        raise ImportError(
            "sallyport/descriptors.binpb is missing; build the package with `bazel build //sdk/python:sallyport`, or make the "
            "file with `protoc --include_imports --descriptor_set_out=sdk/python/sallyport/descriptors.binpb "
            "proto/sallyport/v1/*.proto`") from None


_pool = descriptor_pool.DescriptorPool()
_factory = message_factory.MessageFactory(_pool)
_services: dict[str, Any] = {}
for _file in descriptor_pb2.FileDescriptorSet.FromString(_read_descriptors()).file:
    _pool.Add(_file)
    _services.update(_pool.FindFileByName(_file.name).services_by_name)


class Method:
    """A method's path, and the classes of its messages."""

    def __init__(self, service: str, name: str) -> None:
        descriptor = _services[service].methods_by_name[name]
        self.path: str = f"/{_PACKAGE}.{service}/{name}"
        self.request: Any = _factory.GetPrototype(descriptor.input_type)
        self.response: Any = _factory.GetPrototype(descriptor.output_type)
