"""Extensions that ring for one key."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pbx.office.marks import Many, Reference
from pbx.office.values import KEY, LABEL, Whole


@dataclass(frozen=True, slots=True)
class Group:
    key: Annotated[str, KEY]
    label: Annotated[str, LABEL] = ""
    members: Annotated[tuple[str, ...], Many(Reference("extension", KEY))] = ()
    strategy: Literal["all", "sequence", "round_robin", "longest_idle"] = "all"
    ring_seconds: Annotated[int, Whole(5, 600, "seconds")] = 20
