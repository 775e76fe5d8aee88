"""Removes secrets from bytes that come piece by piece."""

import re
from collections.abc import Iterable

MASK = b"[redacted]"


class Redactor:
    """A secret is found wherever the pieces are cut. What cannot be the beginning of one is given out at once, so that an event stream
    does not wait; at most the longest secret's length is kept."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        # At one place the longest counts.
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)
        # A lookahead finds those that overlap, too.
        self._pattern = re.compile(b"(?=(%s))" % b"|".join(map(re.escape, self._secrets))) if self._secrets else None
        self._kept = b""
        self._masked = 0  # So much of it belongs to a secret whose mask was given out.

    def feed(self, piece: bytes) -> bytes:
        """What may go on now."""
        self._kept += piece
        return self._give(self._undecided())

    def end(self) -> bytes:
        """The rest."""
        return self._give(len(self._kept))

    def whole(self, text: bytes) -> bytes:
        """One value by itself."""
        redactor = Redactor(self._secrets)
        return redactor.feed(text) + redactor.end()

    def _undecided(self) -> int:
        """Where the first thing begins that may be a secret with more to come."""
        longest = len(self._secrets[0]) if self._secrets else 1
        for at in range(max(0, len(self._kept) - longest + 1), len(self._kept)):
            rest = self._kept[at:]
            if any(len(secret) > len(rest) and secret.startswith(rest) for secret in self._secrets):
                return at
        return len(self._kept)

    def _give(self, end: int) -> bytes:
        """The bytes before `end`. Secrets that overlap are masked as one."""
        out, at = [], self._masked
        for match in self._pattern.finditer(self._kept) if self._pattern else ():
            start, stop = match.span(1)
            if start >= end:
                break
            if start >= at:
                out += [self._kept[at:start], MASK]
            at = max(at, stop)
        out.append(self._kept[at:end])
        self._kept = self._kept[end:]
        self._masked = max(0, at - end)
        return b"".join(out)
