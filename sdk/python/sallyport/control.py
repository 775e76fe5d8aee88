"""Policy at run time: the calls of the control plane.

    async with ControlPlane() as control_plane:
        sandbox = control_plane.container("web-1")
        await sandbox.set_outbound_by_host("github.com", "authenticated-github", params={"scope": "repo:read"})

A call returns once the container's host enforces the change: the next request that the container makes obeys.
"""

import datetime
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any, Optional, TypeVar, Union

import grpc
import grpc.aio
from google.protobuf import json_format

from . import schema
from .change import Change
from .container import Container
from .live import LiveEndpoint

DEFAULT_ADDRESS = "unix:/run/sallyport/controlplane.sock"
_MARGIN = 5  # Seconds beyond the wait for enforcement before the call itself is given up.


# A control plane that was away is found again soon, and one that went without a word is noticed. Not
# grpc.min_reconnect_backoff_ms: it is also how long an attempt may take.
_CHANNEL = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 3000), ("grpc.keepalive_time_ms", 20_000),
            ("grpc.keepalive_timeout_ms", 10_000), ("grpc.http2.max_pings_without_data", 0)]

_Container = TypeVar("_Container", bound=Container)


class ControlPlaneError(Exception):
    """The control plane refused, or cannot be reached. code: gRPC's name, such as "NOT_FOUND"."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ControlPlane:
    """address: HOST:PORT or unix:PATH; default: the environment's SALLYPORT_CONTROL_PLANE, else the local socket.
    tls_dir: ca.crt, tls.crt and tls.key of this client; default: SALLYPORT_TLS_DIR, else none.
    """

    def __init__(self, address: Optional[str] = None, tls_dir: Optional[str] = None) -> None:
        self.address = address or os.environ.get("SALLYPORT_CONTROL_PLANE") or DEFAULT_ADDRESS
        tls_dir = tls_dir or os.environ.get("SALLYPORT_TLS_DIR")
        if tls_dir:
            files = [pathlib.Path(tls_dir, name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt")]
            self._channel = grpc.aio.secure_channel(self.address, grpc.ssl_channel_credentials(*files), options=_CHANNEL)
        else:
            self._channel = grpc.aio.insecure_channel(self.address, options=_CHANNEL)
        self._stubs: dict[tuple[str, str], Any] = {}

    async def __aenter__(self) -> "ControlPlane":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._channel.close()

    def container(self, container_id: str, kind: type[_Container] = Container) -> _Container:  # type: ignore[assignment]
        """kind: a subclass of Container whose handlers are named by its methods."""
        return kind(self, container_id)

    async def register_handler(self, name: str, endpoints: Union[str, Sequence[str]], timeout: Optional[float] = None,
                               on_failure: str = "DENY", holds_secrets: bool = False, *, connect_timeout: Optional[float] = None,
                               retries: int = 0, max_concurrency: int = 0, **options: Any) -> Change:
        """endpoints: "grpc://HOST:PORT", "unix:/PATH", "http://HOST:PORT", …, or a list of them; none: services register themselves
        (`serve_handler`). timeout: seconds until the answer begins. on_failure: "DENY" or "EGRESS". The others as in the API's Handler."""
        fields: dict[str, Any] = {
            "name": name, "endpoints": [endpoints] if isinstance(endpoints, str) else list(endpoints),
            "onFailure": f"ON_FAILURE_{on_failure}", "holdsSecrets": holds_secrets}
        for key, seconds in (("timeout", timeout), ("connectTimeout", connect_timeout)):
            if seconds is not None:
                fields[key] = f"{seconds}s"
        fields |= {key: count for key, count in (("retries", retries), ("maxConcurrency", max_concurrency)) if count}
        answer = await self.call("HandlerRegistry", "RegisterHandler", {"handler": fields}, **options)
        return Change.of(answer.result)

    def serve_handler(self, name: str, endpoint: str, grace_period: Optional[float] = None) -> LiveEndpoint:
        """Registers an endpoint of a handler for as long as the returned context is entered. The handler is there already.
        grace_period: seconds for which the endpoint stays when this program is gone without a word; default: 10."""
        return LiveEndpoint(self, name, endpoint, grace_period)

    async def revoke_leases(self, name: str, **options: Any) -> Change:
        """Ends every lease that the handler gave, to any container."""
        return Change.of((await self.call("HandlerRegistry", "RevokeLeases", {"name": name}, **options)).result)

    async def remove_handler(self, name: str, **options: Any) -> Change:
        return Change.of(await self.call("HandlerRegistry", "RemoveHandler", {"name": name}, **options))

    async def identity_keys(self) -> dict[str, Any]:
        """The keys that verify_identity takes, of all hosts. They change daily, and when an agent is started."""
        answer = await self.call("HandlerRegistry", "GetIdentityKeys", {}, wait=None)
        keys: dict[str, Any] = json.loads(answer.jwks)
        return keys

    async def apply_class(self, name: str, **fields: Any) -> Change:
        """Fields as in ContainerClass, by their names in Python or JSON; lists of hosts as plain lists."""
        for key in ("allowed_hosts", "denied_hosts"):
            if isinstance(fields.get(key), (list, tuple)):
                fields[key] = {"hosts": list(fields[key])}
        answer = await self.call("OutboundPolicy", "ApplyClass", {"class": {"name": name, **fields}}, wait=None)
        return Change.of(answer.result)

    async def apply_policy(self, handlers: Sequence[dict[str, Any]] = (), classes: Sequence[dict[str, Any]] = (),
                           containers: Sequence[dict[str, Any]] = (), **options: Any) -> Change:
        """All of it at one revision, or nothing; what is not named stays. Resources as the API's JSON."""
        fields = {"handlers": list(handlers), "classes": list(classes), "containers": list(containers)}
        return Change.of((await self.call("OutboundPolicy", "ApplyPolicy", fields, **options)).result)

    async def call(self, service: str, method: str, fields: dict[str, Any], *, wait: Optional[str] = "ENFORCED", timeout: float = 5,
                   expected_revision: Optional[int] = None, request_id: str = "") -> Any:
        """Any call by its name. fields: the request as JSON. Returns the answer's message.

        wait: "ENFORCED" or "STORED"; None: the call takes no options. timeout: seconds to wait for enforcement; then the
        answer is PENDING.
        """
        stub, request_class = self._stub(service, method)
        request = json_format.ParseDict(fields, request_class())
        if wait is not None and "options" in request.DESCRIPTOR.fields_by_name:
            options = request.options
            options.wait = options.DESCRIPTOR.fields_by_name["wait"].enum_type.values_by_name[f"WAIT_{wait}"].number
            options.timeout.FromTimedelta(datetime.timedelta(seconds=timeout))
            options.request_id = request_id
            if expected_revision is not None:
                options.expected_revision = expected_revision
        try:
            return await stub(request, timeout=timeout + _MARGIN)
        except grpc.aio.AioRpcError as error:
            raise self.error(error) from None

    def error(self, ended: Any) -> ControlPlaneError:
        """Of how a call ended."""
        text = ended.details()
        if ended.code() is grpc.StatusCode.UNAVAILABLE:
            text = f"cannot reach the control plane at {self.address}: {text}"
        return ControlPlaneError(ended.code().name, text)

    def open_stream(self, method: schema.Method) -> Any:
        return self._channel.stream_stream(
            method.path, request_serializer=method.request.SerializeToString, response_deserializer=method.response.FromString)()

    def _stub(self, service: str, name: str) -> Any:
        if (service, name) not in self._stubs:
            method = schema.Method(service, name)
            stub = self._channel.unary_unary(
                method.path, request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString)
            self._stubs[service, name] = stub, method.request
        return self._stubs[service, name]
