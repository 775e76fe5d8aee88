"""A decision that holds for further requests."""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any, Union

_MIN_TTL = datetime.timedelta(milliseconds=1)
_MAX_TTL = datetime.timedelta(hours=1)


@dataclasses.dataclass(frozen=True)
class Lease:
    """The agent decides the same for further requests without a call: of the same container, scheme, host and port under the same rule.
    It ends early when the rule, its params or the handler's registration changes, or by `revoke_leases=True` in a later answer.

    ttl: seconds or a timedelta; 1 ms to 1 h.
    max_uses: how many further requests; 0: as many as come in its time.
    methods: default: that of this request.
    path_prefix: begins with "/"; matches itself and what lies below, segment by segment. Default: this request's path alone.
    """

    ttl: Union[float, datetime.timedelta]
    max_uses: int = 0
    methods: Sequence[str] = ()
    path_prefix: str = ""

    def __post_init__(self) -> None:
        if not _MIN_TTL <= self.duration <= _MAX_TTL:
            raise ValueError(f"a lease of {self.duration.total_seconds()} s; write 0.001 to 3600")
        if self.max_uses < 0:
            raise ValueError(f"a lease of {self.max_uses} uses; write 0 for as many as come")
        if isinstance(self.methods, str):
            raise ValueError(f"methods are a list; write [{self.methods!r}]")
        if self.path_prefix and not self.path_prefix.startswith("/"):
            raise ValueError(f"the path prefix {self.path_prefix!r} does not begin with /")

    @property
    def duration(self) -> datetime.timedelta:
        return self.ttl if isinstance(self.ttl, datetime.timedelta) else datetime.timedelta(seconds=self.ttl)

    def write(self, message: Any) -> None:
        """Into a message of sallyport.v1.Lease."""
        message.ttl.FromTimedelta(self.duration)
        message.max_uses = self.max_uses
        message.methods.extend(self.methods)
        message.path_prefix = self.path_prefix
