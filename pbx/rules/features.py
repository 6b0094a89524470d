"""What is dialled besides keys and numbers: codes of the PBX, and conference rooms (product §5)."""

from typing import Final

from pbx.office.snapshot import Office
from pbx.rules.decision import Reject, Serve

# The services of office.codes, and whether something has to follow their code.
SERVICES: Final = {
    "echo test": False,
    "say keys": False,
    "own mailbox": False,
    "any mailbox": False,
    "park": False,
    "fetch": True,
    "pick up": True,
    "pick up in group": False,
    "do not disturb on": False,
    "do not disturb off": False,
    "forward on": True,
    "forward off": False,
    "hot desk": False,
    "hot desk logout": False,
}
# What they do is done to the extension or the phone that dials them.
PERSONAL: Final = frozenset(
    {"own mailbox", "any mailbox", "hot desk", "hot desk logout"}
    | {"do not disturb on", "do not disturb off", "forward on", "forward off"}
)


def decide_feature(office: Office, dialled: str) -> Serve | Reject | None:
    """The service that was dialled; None: it is no code and no room."""
    if office.room(dialled) is not None:
        return Serve("room", dialled, f"{dialled} is a conference room")
    if not dialled.startswith(("*", "#", "0")):
        return None
    codes = office.settings.codes.dialled()
    for code in sorted(codes, key=len, reverse=True):  # the longest that fits counts
        service, rest = codes[code].replace("_", " "), dialled[len(code) :]
        if dialled.startswith(code) and SERVICES.get(service) == bool(rest):
            return Serve(service, rest, f"{code} is the code for: {service}")
    return None if dialled.startswith("0") else Reject(404, "Not Found", f"{dialled} is no code")
