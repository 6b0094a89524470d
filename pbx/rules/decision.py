"""What the rules decide about a call; each decision says why."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reject:
    """The caller is refused with a SIP status."""

    status: int
    reason: str
    why: str


@dataclass(frozen=True, slots=True)
class Ring:
    """Devices (by their SIP user names) ring together; nobody answers within `no_answer_s` seconds: 480."""

    devices: tuple[str, ...]
    no_answer_s: float | None
    why: str
    key: str = ""


Decision = Reject | Ring
