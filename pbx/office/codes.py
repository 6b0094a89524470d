"""What can be dialled besides keys and numbers (product §4 and §5): these codes are nobody's key."""

from typing import Final

FEATURE_CODES: Final[dict[str, str]] = {
    "00": "hot desk login and logout",
    "00#": "hot desk login and logout",
    "*1": "record",
    "*8": "pick up in group",
    "*11": "hot desk login",
    "*12": "hot desk logout",
    "*43": "echo test",
    "*44": "say back the keys pressed",
    "*72": "forwarding on",
    "*73": "forwarding off",
    "*78": "do not disturb on",
    "*79": "do not disturb off",
    "*85": "park",
    "*86": "fetch a parked call",
    "*97": "own voicemail",
    "*98": "any voicemail",
    "**": "pick up",
    "##2": "transfer",
    "##3": "back from a transfer",
}
