"""Headers, and the two things that a handler may return."""

import json as _json


class Headers:
    """Header fields in order. Names compare without case; a name may come more than once."""

    def __init__(self, fields=()):
        if isinstance(fields, Headers):
            fields = fields.items()
        elif hasattr(fields, "items"):
            fields = fields.items()
        self._fields = [(name.lower(), _text(value)) for name, value in fields]

    def get(self, name, default=None):
        """The values of that name, joined by a comma and a space (RFC 9110 section 5.3)."""
        values = self.get_all(name)
        return ", ".join(values) if values else default

    def get_all(self, name):
        name = name.lower()
        return [value for key, value in self._fields if key == name]

    def __getitem__(self, name):
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __setitem__(self, name, value):
        """Replaces every field of that name by one."""
        del self[name]
        self.add(name, value)

    def __delitem__(self, name):
        name = name.lower()
        self._fields = [field for field in self._fields if field[0] != name]

    def __contains__(self, name):
        return bool(self.get_all(name))

    def __iter__(self):
        return iter(dict(self._fields))

    def __len__(self):
        return len(self._fields)

    def add(self, name, value):
        self._fields.append((name.lower(), _text(value)))

    def items(self):
        return list(self._fields)

    def __repr__(self):
        return f"Headers({[name for name, _ in self._fields]})"  # Values may be secrets.


class Response:
    """The handler's own answer.

    status: 200 to 599.
    body: str, bytes, an iterable of bytes, or an asynchronous iterable of bytes, sent as it comes.
    headers: dict, list of pairs, or Headers.
    trailers: the same, sent after the body.
    """

    def __init__(self, body=b"", status=200, headers=(), trailers=()):
        if not 200 <= status <= 599:
            raise ValueError(f"a status of {status}; write one of 200 to 599")
        self.status = status
        self.headers = Headers(headers)
        self.trailers = Headers(trailers)
        if isinstance(body, str):
            body = body.encode()
            if "content-type" not in self.headers:
                self.headers["content-type"] = "text/plain; charset=utf-8"
        self.body = body

    @classmethod
    def json(cls, value, status=200, headers=()):
        headers = Headers(headers)
        if "content-type" not in headers:
            headers["content-type"] = "application/json"
        return cls(_json.dumps(value).encode(), status, headers)

    @classmethod
    def redirect(cls, location, status=302):
        return cls(status=status, headers={"location": location})


class Forward:
    """Send the request on, changed. Made by Request.forward."""

    def __init__(self, method, scheme, authority, path, set_headers, remove_headers):
        self.method = method
        self.scheme = scheme
        self.authority = authority
        self.path = path
        self.set_headers = Headers(set_headers)
        self.remove_headers = [name.lower() for name in remove_headers]


def _text(value):
    # Bytes on the wire are Latin-1 (RFC 9110 section 5.5).
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
