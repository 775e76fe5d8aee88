"""Who asks, and why."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Context:
    """Who asks, and why this handler is asked. Set by the proxy, never taken from the request."""

    container_id: str
    class_name: str
    handler: str
    params: dict[str, Any]  # The rule's, as JSON.
    rule: str  # The rule that matched, as "instance github.com".
    policy_revision: int
    request_id: str  # In the audit record as well.
    dialled_address: str
    dialled_port: int
    tls_version: str  # "TLSv1.3"; empty: plain HTTP.
    tls_server_name: str  # What the container asked for by TLS (SNI); empty: none, or plain HTTP.
    http_version: str  # The container's: "HTTP/1.0", "HTTP/1.1" or "HTTP/2".
    # Who asks, signed: for verify_identity. Empty: the handler is registered without. Whoever has it is the container: log it nowhere.
    identity_token: str = dataclasses.field(default="", repr=False)

    @classmethod
    def of(cls, message: Any, identity_token: str = "") -> "Context":
        """From a message of sallyport.v1.Context, and the call's metadata `sallyport-identity`."""
        fields = {field.name: getattr(message, field.name) for field in dataclasses.fields(cls) if field.name != "identity_token"}
        fields["params"] = _struct(message.params)
        return cls(**fields, identity_token=identity_token)


def _struct(struct: Any) -> dict[str, Any]:
    return {name: _value(value) for name, value in struct.fields.items()}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _struct(value.struct_value)
    if kind == "list_value":
        return [_value(one) for one in value.list_value.values]
    if kind == "number_value":
        # A Struct has doubles only; 3 was written as 3, and not as 3.0.
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) < 2**53 else number
    return None if kind in (None, "null_value") else getattr(value, kind)
