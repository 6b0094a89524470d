"""What is dialled besides keys and numbers: codes of the PBX, and conference rooms (product §5)."""

from typing import Final

from pbx.office.snapshot import Office
from pbx.rules.decision import Reject, Serve

# Code -> service, and whether something has to follow the code. The longest code that fits counts.
SERVICES: Final = {
    "*43": ("echo test", False),
    "*44": ("say keys", False),
    "*97": ("own mailbox", False),
    "*98": ("any mailbox", False),
    "*85": ("park", False),
    "*86": ("fetch", True),
    "**": ("pick up", True),
    "*8": ("pick up in group", False),
    "*72": ("forward on", True),
    "*73": ("forward off", False),
    "*78": ("do not disturb on", False),
    "*79": ("do not disturb off", False),
    "*11": ("hot desk", False),
    "00": ("hot desk", False),
    "00#": ("hot desk", False),
    "*12": ("hot desk logout", False),
}


def decide_feature(office: Office, dialled: str) -> Serve | Reject | None:
    """The service that was dialled; None: it is no code and no room."""
    if office.room(dialled) is not None:
        return Serve("room", dialled, f"{dialled} is a conference room")
    if not dialled.startswith(("*", "#", "0")):
        return None
    for code in sorted(SERVICES, key=len, reverse=True):
        service, needs_more = SERVICES[code]
        rest = dialled[len(code) :]
        if dialled.startswith(code) and bool(rest) == needs_more:
            return Serve(service, rest, f"{code} is: {service}")
    return None if dialled.startswith("0") else Reject(404, "Not Found", f"{dialled} is no code")
