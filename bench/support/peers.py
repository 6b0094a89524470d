"""Whom the figures are compared with, by name."""

from bench.support.pbx import Pbx
from bench.support.peer import Peer

PEERS = ("pbx",)


def open_peer(name: str, accounts: int, under: str = "", audio: bool = True, kernel: str = "off") -> Peer:
    """The server of that name, not started yet.

    Raises:
        AbsentError: it cannot be measured here, or not with audio.
    """
    assert name == "pbx", audio
    return Pbx(accounts, under, kernel)
