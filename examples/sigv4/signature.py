"""AWS Signature Version 4 in the header Authorization: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html"""

import dataclasses
import datetime
import hashlib
import hmac
import re
import urllib.parse
from collections.abc import Iterable

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclasses.dataclass(frozen=True)
class Key:
    access_key_id: str
    secret_access_key: str = dataclasses.field(repr=False)
    session_token: str = dataclasses.field(default="", repr=False)


@dataclasses.dataclass(frozen=True)
class Scope:
    region: str
    service: str

    def on(self, date: str) -> str:
        return f"{date}/{self.region}/{self.service}/aws4_request"


def timestamp(time: datetime.datetime) -> str:
    """As x-amz-date has it."""
    return time.astimezone(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")


def canonical_query(query: str) -> str:
    """Encoded as AWS does, and sorted. A plus is a space, as S3 reads it."""
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    return "&".join(f"{name}={value}" for name, value in sorted((_encode(name), _encode(value)) for name, value in pairs))


def canonical_path(path: str, service: str) -> str:
    """Of a path on the wire: S3 encodes an object's key once, the others what is on the wire once more."""
    if service == "s3":
        return "/".join(_encode(urllib.parse.unquote(segment)) for segment in path.split("/"))
    return "/".join(_encode(segment) for segment in path.split("/"))


def canonical_request(method: str, path: str, query: str, headers: Iterable[tuple[str, str]], payload: str, service: str) -> tuple[str, str]:
    """That, and the names of its headers. headers: all that are signed, host among them. payload: its SHA-256, or what stands for it."""
    fields: dict[str, list[str]] = {}
    for name, value in headers:
        fields.setdefault(name.lower(), []).append(re.sub(r"\s+", " ", value.strip()))
    names = ";".join(sorted(fields))
    lines = "".join(f"{name}:{','.join(fields[name])}\n" for name in sorted(fields))
    return "\n".join([method, canonical_path(path, service), canonical_query(query), lines, names, payload]), names


def authorization(key: Key, scope: Scope, time: str, method: str, path: str, query: str, headers: Iterable[tuple[str, str]], payload: str) -> str:
    """The header's value. time: as the header x-amz-date has it."""
    canonical, names = canonical_request(method, path, query, headers, payload, scope.service)
    date = time[:8]
    to_sign = "\n".join([ALGORITHM, time, scope.on(date), hashlib.sha256(canonical.encode()).hexdigest()])
    secret = ("AWS4" + key.secret_access_key).encode()
    for part in scope.on(date).split("/"):
        secret = _hmac(secret, part)
    return f"{ALGORITHM} Credential={key.access_key_id}/{scope.on(date)}, SignedHeaders={names}, Signature={_hmac(secret, to_sign).hex()}"


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _encode(text: str) -> str:
    return urllib.parse.quote(text, safe="-_.~")
