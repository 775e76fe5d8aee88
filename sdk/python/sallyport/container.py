"""One container's rules, and the handlers of containers of one kind."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Optional, Union

from google.protobuf import json_format

from .change import Change
from .handlers import Handler, Handlers

if TYPE_CHECKING:
    from .control import ControlPlane

Params = Optional[Mapping[str, Any]]
Named = Union[str, Handler]
Rule = Union[Named, tuple[Named, Mapping[str, Any]]]


class Container:
    """One container's rules: each method is a call of the API, and takes wait=, timeout=, expected_revision= and request_id= as
    ControlPlane.call.

    A subclass says what containers of one kind may reach, and which functions answer for them. `serve(…, containers=[Sandbox])` serves
    the functions, registers them as CLASS.FUNCTION, and applies the class:

        class Sandbox(Container):
            allowed_hosts = ["github.com", "my.kv"]
            intercept_https = True
            outbound_by_host = {"github.com": github, "my.kv": (kv, {"max_bytes": 1024})}
            outbound = read_only

        sandbox = control_plane.container("web-1", Sandbox)
        await sandbox.create()
        await sandbox.set_outbound_by_host("api.example.com", slow)
    """

    class_name: ClassVar[str] = ""  # Default: the name of the Python class.
    enable_internet: ClassVar[Optional[bool]] = None
    intercept_https: ClassVar[Optional[bool]] = None
    allowed_hosts: ClassVar[Optional[Iterable[str]]] = None  # None restricts nothing; an empty list allows nothing.
    denied_hosts: ClassVar[Iterable[str]] = ()
    tls_passthrough_hosts: ClassVar[Iterable[str]] = ()
    outbound_by_host: ClassVar[Mapping[str, Rule]] = {}
    outbound: ClassVar[Optional[Rule]] = None
    # Those that rules of single containers may use, by short names; empty: any.
    outbound_handlers: ClassVar[Mapping[str, Handler]] = {}
    handler_timeout: ClassVar[Optional[float]] = None  # Seconds until a handler's answer begins.
    holds_secrets: ClassVar[bool] = False  # Whether the handlers add credentials.

    def __init__(self, control_plane: "ControlPlane", container_id: str) -> None:
        self._control_plane = control_plane
        self.id = container_id

    @classmethod
    def name_of_class(cls) -> str:
        return cls.class_name or cls.__name__

    @classmethod
    def functions(cls) -> dict[str, Handler]:
        """The class's handlers, by the names that they are registered by."""
        rules = [*cls.outbound_by_host.values(), *([cls.outbound] if cls.outbound else [])]
        named = [rule[0] if isinstance(rule, tuple) else rule for rule in rules]
        found: dict[str, Handler] = {}
        for function in [*named, *cls.outbound_handlers.values()]:
            if isinstance(function, str):
                continue
            name = cls._name(function)
            if found.setdefault(name, function) is not function:
                raise ValueError(f"two handlers of the name {name!r}")
        return found

    @classmethod
    def add_handlers(cls, handlers: Handlers) -> None:
        for name, function in cls.functions().items():
            handlers.add(name, function)

    @classmethod
    async def publish(cls, control_plane: "ControlPlane", endpoint: str, **options: Any) -> Change:
        """Registers the handlers at `endpoint` and applies the class, at one revision. options: as for ControlPlane.call."""
        registration: dict[str, Any] = {"endpoints": [endpoint], "holdsSecrets": cls.holds_secrets}
        if cls.handler_timeout is not None:
            registration["timeout"] = f"{cls.handler_timeout}s"
        handlers = [{"name": name, **registration} for name in cls.functions()]
        return await control_plane.apply_policy(handlers, [cls._class_fields()], **options)

    @classmethod
    def _class_fields(cls) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "name": cls.name_of_class(), "deniedHosts": {"hosts": list(cls.denied_hosts)},
            "tlsPassthroughHosts": list(cls.tls_passthrough_hosts),
            "outboundByHost": [{"host": host, "handler": cls._rule(rule)} for host, rule in cls.outbound_by_host.items()]}
        if cls.enable_internet is not None:
            fields["enableInternet"] = cls.enable_internet
        if cls.intercept_https is not None:
            fields["interceptHttps"] = cls.intercept_https
        if cls.allowed_hosts is not None:
            fields["allowedHosts"] = {"hosts": list(cls.allowed_hosts)}
        if cls.outbound is not None:
            fields["outbound"] = cls._rule(cls.outbound)
        if cls.outbound_handlers:
            fields["outboundHandlers"] = {"names": [cls._name(name) for name in cls.outbound_handlers]}
        return fields

    @classmethod
    def _rule(cls, rule: Rule) -> dict[str, Any]:
        return cls._reference(*rule) if isinstance(rule, tuple) else cls._reference(rule, None)

    @classmethod
    def _reference(cls, handler: Named, params: Params) -> dict[str, Any]:
        return {"handler": cls._name(handler), "params": dict(params or {})}

    @classmethod
    def _name(cls, handler: Named) -> str:
        if isinstance(handler, str):
            function = cls.outbound_handlers.get(handler)
            return handler if function is None else cls._name(function)
        return f"{cls.name_of_class()}.{getattr(handler, '__name__', type(handler).__name__)}"

    async def create(self, class_name: str = "", **options: Any) -> int:
        """class_name: default: that of this class. Returns the revision."""
        answer = await self._call("CreateContainer", {"className": class_name or self.name_of_class()}, options)
        return int(answer.revision)

    async def delete(self, **options: Any) -> int:
        answer = await self._call("DeleteContainer", {}, options)
        return int(answer.revision)

    async def get(self) -> dict[str, Any]:
        """What holds now, as the API's JSON."""
        answer = await self._call("GetContainer", {}, {})
        status: dict[str, Any] = json_format.MessageToDict(answer.container)
        return status

    async def set_outbound_by_host(self, host: str, handler: Named, params: Params = None, **options: Any) -> Change:
        """handler: a registered name, one of this class's `outbound_handlers`, or a function of this class."""
        return await self._change("SetOutboundByHost", {"host": host, **self._reference(handler, params)}, options)

    async def set_outbound_by_hosts(self, rules: Mapping[str, Rule], **options: Any) -> Change:
        """Replaces all. rules: {host: handler} or {host: (handler, params)}, in order."""
        listed = [{"host": host, "handler": self._rule(rule)} for host, rule in rules.items()]
        return await self._change("SetOutboundByHosts", {"rules": listed}, options)

    async def remove_outbound_by_host(self, host: str, **options: Any) -> Change:
        return await self._change("RemoveOutboundByHost", {"host": host}, options)

    async def set_outbound_handler(self, handler: Named, params: Params = None, **options: Any) -> Change:
        return await self._change("SetOutboundHandler", self._reference(handler, params), options)

    async def clear_outbound_handler(self, **options: Any) -> Change:
        return await self._change("ClearOutboundHandler", {}, options)

    async def set_allowed_hosts(self, hosts: Iterable[str], **options: Any) -> Change:
        return await self._change("SetAllowedHosts", {"hosts": list(hosts)}, options)

    async def set_denied_hosts(self, hosts: Iterable[str], **options: Any) -> Change:
        return await self._change("SetDeniedHosts", {"hosts": list(hosts)}, options)

    async def clear_allowed_hosts(self, **options: Any) -> Change:
        return await self._change("ClearAllowedHosts", {}, options)

    async def clear_denied_hosts(self, **options: Any) -> Change:
        return await self._change("ClearDeniedHosts", {}, options)

    async def allow_host(self, host: str, **options: Any) -> Change:
        return await self._change("AllowHost", {"host": host}, options)

    async def deny_host(self, host: str, **options: Any) -> Change:
        return await self._change("DenyHost", {"host": host}, options)

    async def remove_allowed_host(self, host: str, **options: Any) -> Change:
        return await self._change("RemoveAllowedHost", {"host": host}, options)

    async def remove_denied_host(self, host: str, **options: Any) -> Change:
        return await self._change("RemoveDeniedHost", {"host": host}, options)

    async def set_enable_internet(self, enable: Optional[bool], **options: Any) -> Change:
        """enable: True, False, or None: as the class says."""
        fields = {} if enable is None else {"enableInternet": enable}
        return await self._change("SetEnableInternet", fields, options)

    async def intercept_outbound_http(self, target: str, handler: Named, params: Params = None, **options: Any) -> Change:
        """target: a host pattern, an address or a CIDR."""
        fields = {"target": target, **self._reference(handler, params)}
        return await self._change("InterceptOutboundHttp", fields, options)

    async def intercept_outbound_https(self, target: str, handler: Named, params: Params = None, **options: Any) -> Change:
        fields = {"target": target, **self._reference(handler, params)}
        return await self._change("InterceptOutboundHttps", fields, options)

    async def intercept_all_outbound_http(self, handler: Named, params: Params = None, **options: Any) -> Change:
        return await self._change("InterceptAllOutboundHttp", self._reference(handler, params), options)

    async def remove_intercept_outbound_http(self, target: str, **options: Any) -> Change:
        return await self._change("RemoveInterceptOutboundHttp", {"host": target}, options)

    async def remove_intercept_outbound_https(self, target: str, **options: Any) -> Change:
        return await self._change("RemoveInterceptOutboundHttps", {"host": target}, options)

    async def remove_intercept_all_outbound_http(self, **options: Any) -> Change:
        return await self._change("RemoveInterceptAllOutboundHttp", {}, options)

    async def _call(self, method: str, fields: dict[str, Any], options: dict[str, Any]) -> Any:
        return await self._control_plane.call(
            "OutboundPolicy", method, {"containerId": self.id, **fields}, **options)

    async def _change(self, method: str, fields: dict[str, Any], options: dict[str, Any]) -> Change:
        return Change.of(await self._call(method, fields, options))
