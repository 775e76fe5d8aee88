"""Header fields."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, Union


class _Items(Protocol):
    def items(self) -> Iterable[tuple[str, Union[str, bytes]]]: ...


# What stands where headers are given: a dict, a list of pairs, or Headers.
HeaderSource = Union[_Items, Iterable[tuple[str, Union[str, bytes]]]]


class Headers(Mapping[str, str]):
    """Header fields in order, as received. Names compare without case; a name may come more than once."""

    def __init__(self, fields: HeaderSource = ()) -> None:
        pairs: Any = fields.items() if hasattr(fields, "items") else fields
        self._fields = [(name.lower(), _text(value)) for name, value in pairs]

    def get_all(self, name: str) -> list[str]:
        name = name.lower()
        return [value for key, value in self._fields if key == name]

    def __getitem__(self, name: str) -> str:
        """The values of that name, joined by a comma and a space (RFC 9110 section 5.3)."""
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_all(name))

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._fields))

    def __len__(self) -> int:
        """How many names."""
        return len(dict(self._fields))

    def items(self) -> list[tuple[str, str]]:  # type: ignore[override]
        """Every field; a name stands as often as it was received."""
        return list(self._fields)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({[name for name, _ in self._fields]})"  # Values may be secrets.


class MutableHeaders(Headers):
    """Header fields to be sent."""

    def __setitem__(self, name: str, value: Union[str, bytes]) -> None:
        """Replaces every field of that name by one."""
        self.remove(name)
        self.add(name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self.remove(name)

    def add(self, name: str, value: Union[str, bytes]) -> None:
        """One more field, beside those of that name."""
        self._fields.append((name.lower(), _text(value)))

    def remove(self, name: str) -> None:
        """Every field of that name, if there is one."""
        name = name.lower()
        self._fields = [field for field in self._fields if field[0] != name]


def _text(value: Union[str, bytes]) -> str:
    # Bytes on the wire are Latin-1 (RFC 9110 section 5.5).
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
