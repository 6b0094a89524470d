"""Whom the figures are compared with, by name."""

from bench.support.kamailio import Kamailio, KamailioRtpengine
from bench.support.pbx import Pbx
from bench.support.peer import AbsentError, Peer
from bench.support.sippy import Sippy

PEERS: dict[str, type[Peer]] = {peer.name: peer for peer in (Pbx, Kamailio, KamailioRtpengine, Sippy)}


def open_peer(
    name: str,
    accounts: int,
    under: str = "",
    audio: bool = False,
    registrar: bool = False,
    kernel: str = "off",
) -> Peer:
    """The server of that name, not started yet.

    Raises:
        AbsentError: it does not do what shall be measured.
    """
    kind = PEERS[name]
    if audio and not kind.relays_audio:
        raise AbsentError("relays no audio")
    if not audio and kind is KamailioRtpengine:
        raise AbsentError("measured with audio only")
    if registrar and not kind.registers:
        raise AbsentError("is no registrar")
    return Pbx(accounts, under, kernel) if kind is Pbx else kind(accounts, under)
