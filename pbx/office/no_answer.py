"""What becomes of a call that nobody answers."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pbx.office.marks import Many
from pbx.office.prompt import Prompt
from pbx.office.values import E164, Email, Whole


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """`timeout` is in seconds, from the start of the call."""

    action: Literal["forward", "hangup", "notify", "voicemail"] = "voicemail"
    timeout: Annotated[int, Whole(5, 60, "seconds")] = 20
    forward_to: Annotated[str, E164()] = ""
    emails: Annotated[tuple[str, ...], Many(Email(), limit=20)] = ()
    greeting: Prompt = field(default_factory=Prompt)
