"""What a change of policy came to."""

import dataclasses
import enum
from typing import Any


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
    enforced_hosts: tuple[str, ...]
    pending_hosts: tuple[str, ...]
    rejections: tuple[str, ...]

    @classmethod
    def of(cls, result: Any) -> "Change":
        """From a message of sallyport.v1.MutationResult."""
        name = result.DESCRIPTOR.enum_types_by_name["Enforcement"].values_by_number[result.enforcement].name
        return cls(result.revision, Enforcement(name), tuple(result.enforced_hosts), tuple(result.pending_hosts),
                   tuple(result.rejections))
