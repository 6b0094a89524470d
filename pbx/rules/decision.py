"""What the rules decide about a call; each decision says why."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reject:
    """The caller is refused with a SIP status."""

    status: int
    reason: str
    why: str
    key: str = ""  # of the extension whose no-answer settings apply
    is_noted: bool = False  # the missed call is mailed
    announcement: str = ""  # the system prompt that the caller hears first


@dataclass(frozen=True, slots=True)
class Ring:
    """Devices (by their SIP user names) ring together; nobody answers within `no_answer_s` seconds: 480."""

    devices: tuple[str, ...]
    no_answer_s: float | None
    why: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class TakeMessage:
    """The caller is greeted and may leave a message for the extension `key`."""

    key: str
    why: str


@dataclass(frozen=True, slots=True)
class Serve:
    """The PBX itself is who was called.

    Attributes:
        service: what it does, one of `rules.features.SERVICES`.
        argument: what was dialled after the code: a slot, a key.
    """

    service: str
    argument: str
    why: str


Decision = Reject | Ring | TakeMessage | Serve
