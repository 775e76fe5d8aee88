"""Policy at run time: the calls of the control plane.

    async with ControlPlane() as control_plane:
        sandbox = control_plane.container("web-1")
        await sandbox.set_outbound_by_host("github.com", "authenticated-github", params={"scope": "repo:read"})

A call returns once the container's host enforces the change: the next request that the container makes obeys.
"""

import dataclasses
import datetime
import enum
import os
import pathlib

import grpc
import grpc.aio
from google.protobuf import json_format

from . import schema

DEFAULT_ADDRESS = "unix:/run/sallyport/controlplane.sock"
_MARGIN = 5  # Seconds beyond the wait for enforcement before the call itself is given up.


class ControlPlaneError(Exception):
    """The control plane refused, or cannot be reached. code: gRPC's name, such as "NOT_FOUND"."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Enforcement(enum.Enum):
    ENFORCED = "ENFORCED"
    PENDING = "PENDING"  # Stored; a host does not enforce it yet, and will when it can.
    NOT_ATTACHED = "NOT_ATTACHED"  # Stored; the container is attached nowhere.
    REJECTED = "REJECTED"  # Stored; a host refused it and keeps the last good policy.


@dataclasses.dataclass(frozen=True)
class Change:
    """What a mutation answers."""

    revision: int
    enforcement: Enforcement
    enforced_hosts: tuple
    pending_hosts: tuple
    rejections: tuple

    @classmethod
    def _of(cls, result):
        name = result.DESCRIPTOR.enum_types_by_name["Enforcement"].values_by_number[result.enforcement].name
        return cls(result.revision, Enforcement(name), tuple(result.enforced_hosts), tuple(result.pending_hosts),
                   tuple(result.rejections))


class ControlPlane:
    """address: HOST:PORT or unix:PATH; default: the environment's SALLYPORT_CONTROL_PLANE, else the local socket.
    tls_dir: ca.crt, tls.crt and tls.key of this client; default: SALLYPORT_TLS_DIR, else none.
    """

    def __init__(self, address=None, tls_dir=None):
        self.address = address or os.environ.get("SALLYPORT_CONTROL_PLANE") or DEFAULT_ADDRESS
        tls_dir = tls_dir or os.environ.get("SALLYPORT_TLS_DIR")
        if tls_dir:
            files = [pathlib.Path(tls_dir, name).read_bytes() for name in ("ca.crt", "tls.key", "tls.crt")]
            self._channel = grpc.aio.secure_channel(self.address, grpc.ssl_channel_credentials(*files))
        else:
            self._channel = grpc.aio.insecure_channel(self.address)
        self._stubs = {}

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def close(self):
        await self._channel.close()

    def container(self, container_id):
        return Container(self, container_id)

    async def register_handler(self, name, endpoints, timeout=None, on_failure="DENY", holds_secrets=False, **options):
        """endpoints: "grpc://HOST:PORT" or a list of them. timeout: seconds. on_failure: "DENY" or "EGRESS"."""
        fields = {"name": name, "endpoints": [endpoints] if isinstance(endpoints, str) else list(endpoints),
                  "onFailure": f"ON_FAILURE_{on_failure}", "holdsSecrets": holds_secrets}
        if timeout is not None:
            fields["timeout"] = f"{timeout}s"
        answer = await self.call("HandlerRegistry", "RegisterHandler", {"handler": fields}, **options)
        return Change._of(answer.result)

    async def remove_handler(self, name, **options):
        return Change._of(await self.call("HandlerRegistry", "RemoveHandler", {"name": name}, **options))

    async def apply_class(self, name, **fields):
        """Fields as in ContainerClass, by their names in Python or JSON; lists of hosts as plain lists."""
        for key in ("allowed_hosts", "denied_hosts"):
            if isinstance(fields.get(key), (list, tuple)):
                fields[key] = {"hosts": list(fields[key])}
        answer = await self.call("OutboundPolicy", "ApplyClass", {"class": {"name": name, **fields}}, wait=None)
        return Change._of(answer.result)

    async def call(self, service, method, fields, *, wait="ENFORCED", timeout=5, expected_revision=None, request_id=""):
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
            text = error.details()
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                text = f"cannot reach the control plane at {self.address}: {text}"
            raise ControlPlaneError(error.code().name, text) from None

    def _stub(self, service, name):
        if (service, name) not in self._stubs:
            method = schema.Method(service, name)
            stub = self._channel.unary_unary(
                method.path, request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString)
            self._stubs[service, name] = stub, method.request
        return self._stubs[service, name]


class Container:
    """One container's rules. Each method takes wait=, timeout=, expected_revision= and request_id= as ControlPlane.call."""

    def __init__(self, control_plane, container_id):
        self._control_plane = control_plane
        self.id = container_id

    async def create(self, class_name, **options):
        answer = await self._call("CreateContainer", {"className": class_name}, options)
        return answer.revision

    async def delete(self, **options):
        answer = await self._call("DeleteContainer", {}, options)
        return answer.revision

    async def get(self):
        """What holds now, as the API's JSON."""
        answer = await self._call("GetContainer", {}, {})
        return json_format.MessageToDict(answer.container)

    async def set_outbound_by_host(self, host, handler, params=None, **options):
        return await self._change("SetOutboundByHost", {"host": host, "handler": handler, "params": params or {}}, options)

    async def set_outbound_by_hosts(self, rules, **options):
        """Replaces all. rules: {host: handler} or {host: (handler, params)}, in order."""
        listed = []
        for host, reference in rules.items():
            handler, params = (reference, {}) if isinstance(reference, str) else reference
            listed.append({"host": host, "handler": {"handler": handler, "params": params}})
        return await self._change("SetOutboundByHosts", {"rules": listed}, options)

    async def remove_outbound_by_host(self, host, **options):
        return await self._change("RemoveOutboundByHost", {"host": host}, options)

    async def set_outbound_handler(self, handler, params=None, **options):
        return await self._change("SetOutboundHandler", {"handler": handler, "params": params or {}}, options)

    async def clear_outbound_handler(self, **options):
        return await self._change("ClearOutboundHandler", {}, options)

    async def set_allowed_hosts(self, hosts, **options):
        return await self._change("SetAllowedHosts", {"hosts": list(hosts)}, options)

    async def set_denied_hosts(self, hosts, **options):
        return await self._change("SetDeniedHosts", {"hosts": list(hosts)}, options)

    async def clear_allowed_hosts(self, **options):
        return await self._change("ClearAllowedHosts", {}, options)

    async def clear_denied_hosts(self, **options):
        return await self._change("ClearDeniedHosts", {}, options)

    async def allow_host(self, host, **options):
        return await self._change("AllowHost", {"host": host}, options)

    async def deny_host(self, host, **options):
        return await self._change("DenyHost", {"host": host}, options)

    async def remove_allowed_host(self, host, **options):
        return await self._change("RemoveAllowedHost", {"host": host}, options)

    async def remove_denied_host(self, host, **options):
        return await self._change("RemoveDeniedHost", {"host": host}, options)

    async def set_enable_internet(self, enable, **options):
        """enable: True, False, or None: as the class says."""
        fields = {} if enable is None else {"enableInternet": enable}
        return await self._change("SetEnableInternet", fields, options)

    async def intercept_outbound_http(self, target, handler, params=None, **options):
        """target: a host pattern, an address or a CIDR."""
        fields = {"target": target, "handler": handler, "params": params or {}}
        return await self._change("InterceptOutboundHttp", fields, options)

    async def intercept_outbound_https(self, target, handler, params=None, **options):
        fields = {"target": target, "handler": handler, "params": params or {}}
        return await self._change("InterceptOutboundHttps", fields, options)

    async def intercept_all_outbound_http(self, handler, params=None, **options):
        return await self._change("InterceptAllOutboundHttp", {"handler": handler, "params": params or {}}, options)

    async def _call(self, method, fields, options):
        return await self._control_plane.call(
            "OutboundPolicy", method, {"containerId": self.id, **fields}, **options)

    async def _change(self, method, fields, options):
        return Change._of(await self._call(method, fields, options))
