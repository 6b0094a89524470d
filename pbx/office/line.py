"""A virtual line: the inbound flow of a number, as named blocks of which the first is the start."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pbx.office.branch import ConditionBranch, GatherBranch
from pbx.office.marks import Inline, Many, Named, Reference
from pbx.office.prompt import Prompt
from pbx.office.values import E164, NAME, NAME_OR_NONE, Choice, Email, OneOf, Text, WebAddress, Whole

KEYED_EXTENSION = "keyed"
INSIDE = Text(17, r"(extension|group):[1-9][0-9]{1,5}", '"extension:KEY" or "group:KEY"', empty=False)
TRANSFER_TARGET = OneOf(
    (E164(empty=False), INSIDE, Choice((KEYED_EXTENSION,))),
    '"extension:KEY", "group:KEY", a number such as "+6531112222", or "keyed" for the extension just keyed',
)
NEXT = Reference("block", NAME)
NEXT_OR_END = Reference("block", NAME_OR_NONE)


@dataclass(frozen=True, slots=True)
class Gather:
    """Says something and waits for keys; `timeout` in seconds after the prompt and between keys."""

    kind: Literal["gather"] = field(default="gather", kw_only=True)
    name: Annotated[str, NAME]
    prompt: Annotated[Prompt, Inline()] = field(default_factory=Prompt)
    plays: Annotated[int, Whole(1, 10)] = 2
    timeout: Annotated[int, Whole(1, 60, "seconds")] = 5
    branches: Annotated[tuple[GatherBranch, ...], Inline()] = ()


@dataclass(frozen=True, slots=True)
class Transfer:
    """Rings all of `to` together; unanswered the flow goes on with `next`, "" = the call ends."""

    kind: Literal["transfer"] = field(default="transfer", kw_only=True)
    name: Annotated[str, NAME]
    to: Annotated[tuple[str, ...], Many(TRANSFER_TARGET, limit=20, low=1)]
    seconds: Annotated[int, Whole(5, 600, "seconds")] = 25
    next: Annotated[str, NEXT_OR_END] = ""


@dataclass(frozen=True, slots=True)
class Record:
    """Notes a missed call and mails it; with `voicemail` the caller may leave a message first."""

    kind: Literal["record"] = field(default="record", kw_only=True)
    name: Annotated[str, NAME]
    emails: Annotated[tuple[str, ...], Many(Email(), limit=20)] = ()
    voicemail: bool = False
    prompt: Annotated[Prompt, Inline()] = field(default_factory=Prompt)


@dataclass(frozen=True, slots=True)
class Play:
    kind: Literal["play"] = field(default="play", kw_only=True)
    name: Annotated[str, NAME]
    prompt: Annotated[Prompt, Inline()] = field(default_factory=Prompt)
    next: Annotated[str, NEXT_OR_END] = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """The first branch that is true is taken."""

    kind: Literal["condition"] = field(default="condition", kw_only=True)
    name: Annotated[str, NAME]
    branches: Annotated[tuple[ConditionBranch, ...], Inline()] = ()


@dataclass(frozen=True, slots=True)
class Confirm:
    """The key 1 goes on to `next`, any other, or none in `timeout` seconds, back to `back`."""

    kind: Literal["confirm"] = field(default="confirm", kw_only=True)
    name: Annotated[str, NAME]
    next: Annotated[str, NEXT]
    back: Annotated[str, NEXT]
    prompt: Annotated[Prompt, Inline()] = field(default_factory=Prompt)
    timeout: Annotated[int, Whole(1, 60, "seconds")] = 5


@dataclass(frozen=True, slots=True)
class Webhook:
    """Posts the call as JSON; no proper reply within `timeout` seconds goes to `failed`."""

    kind: Literal["webhook"] = field(default="webhook", kw_only=True)
    name: Annotated[str, NAME]
    url: Annotated[str, WebAddress()]
    next: Annotated[str, NEXT_OR_END] = ""
    failed: Annotated[str, NEXT_OR_END] = ""
    timeout: Annotated[int, Whole(1, 10, "seconds")] = 3


@dataclass(frozen=True, slots=True)
class Goto:
    """Jumps to `to`, at most `count` times a call; then goes on with `next`, "" = the call ends."""

    kind: Literal["goto"] = field(default="goto", kw_only=True)
    name: Annotated[str, NAME]
    to: Annotated[str, NEXT]
    count: Annotated[int, Whole(1, 50)] = 3
    next: Annotated[str, NEXT_OR_END] = ""


Block = Gather | Transfer | Record | Play | Condition | Confirm | Webhook | Goto


@dataclass(frozen=True, slots=True)
class Line:
    name: Annotated[str, NAME]
    blocks: Annotated[tuple[Block, ...], Named("block", by="name")] = ()
