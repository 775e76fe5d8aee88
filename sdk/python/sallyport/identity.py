"""Identity tokens: which container asks, signed by the agent of its host."""

import base64
import binascii
import importlib
import json
import time
from collections.abc import Mapping
from typing import Any, Optional, Union

_CLOCK_SKEW = 30  # Seconds.


class IdentityError(Exception):
    """The token does not prove who asks; the message says why."""


def verify_identity(token: str, jwks: Union[str, Mapping[str, Any]], audience: str, *, now: Optional[float] = None) -> dict[str, Any]:
    """The claims of a token that holds: `sub` is the container, `class` its class, `handler` the handler's name, `iss` the host.

    jwks: as ControlPlane.identity_keys() gives it, or JSON text. audience: as the handler is registered; by default its name.
    now: seconds since 1970. Raises IdentityError. Needs the package `cryptography` (Debian: python3-cryptography).
    """
    signed, _, signature = token.rpartition(".")
    parts = signed.split(".")
    if len(parts) != 2:
        raise IdentityError("there is no token" if not token else "it is no signed token")
    header, claims = (_object(part) for part in parts)
    if header.get("alg") != "EdDSA":
        raise IdentityError("it is not signed by EdDSA")
    key = _find(jwks, header.get("kid"))
    if not _is_signed(_bytes(key.get("x")), _bytes(signature), signed.encode("ascii")):
        raise IdentityError("its signature is wrong")
    # A host speaks for its own containers alone.
    if claims.get("iss") != key.get("host"):
        raise IdentityError(f"it names the host {claims.get('iss')!r}, and the key is of {key.get('host')!r}")
    if claims.get("aud") != audience:
        raise IdentityError(f"it is for {claims.get('aud')!r}, not for {audience!r}")
    moment = time.time() if now is None else now
    if not _number(claims, "nbf") - _CLOCK_SKEW <= moment < _number(claims, "exp") + _CLOCK_SKEW:
        raise IdentityError("it has expired, or does not hold yet")
    if not isinstance(claims.get("sub"), str):
        raise IdentityError("it names no container")
    return claims


def _find(jwks: Union[str, Mapping[str, Any]], key_id: Any) -> Mapping[str, Any]:
    keys = (json.loads(jwks) if isinstance(jwks, str) else jwks).get("keys", [])
    for key in keys:
        if key.get("kid") == key_id and key.get("kty") == "OKP" and key.get("crv") == "Ed25519":
            found: Mapping[str, Any] = key
            return found
    raise IdentityError("it is signed by a key that is not among these: fetch them again, at most once in a while")


def _is_signed(public_key: bytes, signature: bytes, message: bytes) -> bool:
    # Not needed by handlers that do not verify.
    ed25519: Any = importlib.import_module("cryptography.hazmat.primitives.asymmetric.ed25519")
    invalid: Any = importlib.import_module("cryptography.exceptions").InvalidSignature
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (invalid, ValueError):
        return False
    return True


def _bytes(text: Any) -> bytes:
    if not isinstance(text, str) or not text.isascii():
        raise IdentityError("it is no signed token")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise IdentityError("it is no signed token") from None


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_bytes(part))
    except ValueError:
        raise IdentityError("it is no signed token") from None
    if not isinstance(value, dict):
        raise IdentityError("it is no signed token")
    return value


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise IdentityError(f"it has no {name}")
    return value
