"""The joins of one media worker that the kernel carries: made, looked after, ended.

Each is asked for its counters every POLL_S, some of them at each tick and many with one system call. (A dump
of all would walk the whole table of the machine, with packets held up meanwhile: docs/decisions/kernel.md.)

What nobody can know beforehand, whether the other rules of this machine let the packets pass, is tried: the
first join of its kind is looked at soon, and when its packets are taken but do not come out the stream goes
back to user space, and others of that kind do not leave it for BLOCKED_S.
"""

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from math import ceil
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from pbx.errors import MediaError
from pbx.rtp.kernel.conntrack import (
    Flow,
    Traffic,
    pack_delete,
    pack_dump,
    pack_get,
    pack_join,
    unpack_entry,
    unpack_traffic,
)
from pbx.rtp.kernel.marks import Mark
from pbx.rtp.kernel.netlink import ERROR, Message
from pbx.rtp.kernel.nftables import PASSED

POLL_S: Final = 5.0
ASKED_S: Final = 10.0  # until the machine is asked anew whether it forwards, and which addresses it has
BATCH: Final = 50  # requests a system call: their answers fit well into the socket's buffer
TRIAL_S: Final = 0.15  # until the first join of a kind is looked at: some packets
TRIAL_PACKETS: Final = 3
TRIAL_MOST_S: Final = 1.0  # one whose peers fall silent holds up no others
BLOCKED_S: Final = 600.0
ATTEMPTS: Final = 4  # to insert an entry; each fails only if a packet came in between
TIMEOUT_S: Final = 120  # of an entry that sees no packet; the kernel's own value for streams
HEADERS: Final = {4: 28, 6: 48}  # octets of IP and UDP, which the kernel counts and we do not
FORWARDING: Final = {
    4: Path("/proc/sys/net/ipv4/ip_forward"),
    6: Path("/proc/sys/net/ipv6/conf/all/forwarding"),
}
NOT_COUNTED: Final = "the kernel does not count packets (net.netfilter.nf_conntrack_acct)"

Kind: TypeAlias = tuple[int, bool, bool]  # IP version; whether each peer is on this machine


class Asks(Protocol):
    """What is needed of a netlink socket."""

    def number(self) -> int: ...
    def ask(self, requests: bytes) -> list[Message]: ...
    def close(self) -> None: ...


class Way:
    """One direction of a join: what went there since it was last asked."""

    __slots__ = ("_before", "_headers", "join", "octets", "packets")

    def __init__(self, join: "KernelJoin", headers: int) -> None:
        self.join, self._headers = join, headers
        self.packets = self.octets = 0
        self._before = Traffic(0, 0)

    def count(self, traffic: Traffic) -> None:
        """The kernel's counters stand so."""
        packets = traffic.packets - self._before.packets
        self.packets += packets
        self.octets += traffic.octets - self._before.octets - packets * self._headers
        self._before = traffic

    @property
    def total(self) -> int:
        """Packets since the join."""
        return self._before.packets

    def take(self) -> tuple[int, int]:
        """Packets and octets of payload, counted anew afterwards."""
        packets, octets, self.packets, self.octets = self.packets, self.octets, 0, 0
        return packets, octets


class KernelJoin:
    """What comes as `flow` leaves as `onward`, and back; `there` and `back` count it."""

    __slots__ = ("back", "flow", "kind", "lost", "onward", "there")

    def __init__(self, flow: Flow, onward: Flow, kind: Kind, lost: Callable[[str], None]) -> None:
        self.flow, self.onward, self.kind, self.lost = flow, onward, kind, lost
        self.there, self.back = Way(self, HEADERS[kind[0]]), Way(self, HEADERS[kind[0]])


class KernelJoins:
    """All of them; `hasten` brings the next tick forward to a time."""

    def __init__(
        self,
        link: Asks,
        mark: Mark,
        hasten: Callable[[float], None],
        poll_s: float = POLL_S,
        is_local: Callable[[str], bool] | None = None,
        is_forwarding: Callable[[int], bool] | None = None,
    ) -> None:
        self._link, self._mark, self._hasten, self._poll_s = link, mark, hasten, poll_s
        self._ask_local, self._ask_forwarding = is_local or has_address, is_forwarding or forwards
        self._joins: dict[KernelJoin, None] = {}  # in the order of their turn
        self._polled = 0.0
        self._asked_anew = 0.0
        self._local: dict[str, bool] = {}
        self._forwards: dict[int, bool] = {}
        self._proven: set[Kind] = set()
        self._trials: dict[Kind, tuple[KernelJoin, float]] = {}
        self._blocked: dict[Kind, float] = {}
        self.trouble = ""  # what the operator should know

    def __len__(self) -> int:
        return len(self._joins)

    def join(
        self, flow: Flow, onward: Flow, lost: Callable[[str], None], now: float
    ) -> KernelJoin | str | None:
        """Hand a stream to the kernel.

        Args:
            flow: from one peer to our port for it; onward: from our other port to the other peer.
            lost: called when the kernel does not carry it any more, with what there is against trying again.

        Returns:
            The join; or why this stream cannot be; or None: not now.
        """
        kind = self._kind(flow, onward)
        if isinstance(kind, str):
            return kind
        if kind not in self._proven:
            if self._blocked.get(kind, now) > now:
                return _blocked(kind)
            if kind in self._trials:
                return None
        if (why := self._insert(flow, onward)) is not None:
            return why
        made = KernelJoin(flow, onward, kind, lost)
        self._joins[made] = None
        if kind not in self._proven:
            self._trials[kind] = made, now
            self._hasten(now + TRIAL_S)
        return made

    def leave(self, join: KernelJoin) -> None:
        """Give a stream back to its sockets; its ways have the last counts then."""
        if join not in self._joins:
            return
        self._forget(join)
        link = self._link
        with suppress(OSError, MediaError):  # then the kernel is done with it, or with us
            request = pack_get(link.number(), join.flow) + pack_delete(link.number(), join.flow)
            for answer in link.ask(request):
                if answer.kind != ERROR:
                    self._count(join, answer)

    def poll(self, now: float) -> None:
        """Once a tick: ask for the counters of those whose turn it is."""
        if now >= self._asked_anew:
            self._asked_anew = now + ASKED_S
            self._local.clear()
            self._forwards.clear()
        share = min(1.0, (now - self._polled) / self._poll_s)
        self._polled = now
        turn = [
            *(join for join, _ in self._trials.values()),
            *islice(self._joins, ceil(share * len(self._joins))),
        ]
        for at in range(0, len(turn), BATCH):
            self._ask(turn[at : at + BATCH], now)

    def sweep(self) -> None:
        """Remove what a worker of the same number left behind when it died."""
        flows = {join.flow for join in self._joins}
        remove_entries(self._link, self._mark, spared=flows)

    def close(self) -> None:
        for join in list(self._joins):
            self.leave(join)
        self._link.close()

    # Whether and how.

    def _kind(self, flow: Flow, onward: Flow) -> Kind | str:
        hosts = (flow.source[0], flow.target[0], onward.source[0], onward.target[0])
        version = 6 if ":" in hosts[0] else 4
        if any((":" in host) != (version == 6) for host in hosts):
            return "one side has IPv4, the other IPv6"
        if any("%" in host or host in {"0.0.0.0", "::"} for host in hosts):  # noqa: S104
            return "an address without a place"
        kind = (version, self._is_local(flow.source[0]), self._is_local(onward.target[0]))
        if not any(kind[1:]) and not self._is_forwarding(version):
            return f"this machine does not forward IPv{version}"
        return kind

    def _is_local(self, host: str) -> bool:
        if (known := self._local.get(host)) is None:
            known = self._local[host] = self._ask_local(host)
        return known

    def _is_forwarding(self, version: int) -> bool:
        if (known := self._forwards.get(version)) is None:
            known = self._forwards[version] = self._ask_forwarding(version)
        return known

    def _insert(self, flow: Flow, onward: Flow) -> str | None:
        """Put the entry in place of those that latching left; why not, if not."""
        link = self._link
        code = 0
        for _ in range(ATTEMPTS):
            request = pack_delete(link.number(), flow) + pack_delete(link.number(), onward)
            last = link.number()
            try:
                answers = link.ask(request + pack_join(last, flow, onward, self._mark.value, TIMEOUT_S))
            except (OSError, MediaError) as error:
                return f"the kernel refuses: {error}"
            code = next((answer.code for answer in answers if answer.sequence == last), errno.EIO)
            if code != errno.EEXIST:
                break
        return f"the kernel refuses: {os.strerror(code)}" if code else None

    # Looking after them.

    def _ask(self, joins: list[KernelJoin], now: float) -> None:
        link = self._link
        asked = {link.number(): join for join in joins}
        try:
            answers = link.ask(b"".join(pack_get(number, join.flow) for number, join in asked.items()))
        except (OSError, MediaError) as error:
            self.trouble = f"the kernel cannot be asked: {error}"
            for each in joins:
                self._lose(each, self.trouble)
            return
        for answer in answers:
            join = asked.get(answer.sequence)  # none: to what was asked before reading failed once
            if join is None or join not in self._joins:
                continue
            self._joins[join] = self._joins.pop(join)  # to the end of the queue
            if answer.kind == ERROR:
                self._lose(join, "")
            else:
                self._examine(join, answer, now)

    def _examine(self, join: KernelJoin, answer: Message, now: float) -> None:
        mark = self._count(join, answer)
        if mark is None:
            self.trouble = NOT_COUNTED
            self._lose(join, NOT_COUNTED)
            return
        if mark & self._mark.mask != self._mark.value:
            self._lose(join, "")  # it ran out, and a packet made the kernel track the flow anew
            return
        unproven = [bit for bit in PASSED if not mark & bit]
        ways = dict(zip(PASSED, (join.there, join.back), strict=True))
        if any(ways[bit].total >= TRIAL_PACKETS for bit in unproven):
            self._proven.discard(join.kind)
            self._blocked[join.kind] = now + BLOCKED_S
            self.trouble = _blocked(join.kind)
            self._lose(join, self.trouble)
            return
        if not unproven:
            self._proven.add(join.kind)
        trial = self._trials.get(join.kind)
        if trial is not None and (not unproven or (trial[0] is join and now - trial[1] >= TRIAL_MOST_S)):
            del self._trials[join.kind]

    def _count(self, join: KernelJoin, answer: Message) -> int | None:
        """Take the counters over; the mark, or None when there are no counters."""
        mark, there, back = unpack_traffic(answer.body)
        if mark & self._mark.mask != self._mark.value:
            return mark
        if there is None or back is None:
            return None
        join.there.count(there)
        join.back.count(back)
        return mark

    def _lose(self, join: KernelJoin, why: str) -> None:
        self.leave(join)
        join.lost(why)

    def _forget(self, join: KernelJoin) -> None:
        del self._joins[join]
        if self._trials.get(join.kind, (None,))[0] is join:
            del self._trials[join.kind]


def remove_entries(link: Asks, mark: Mark, spared: set[Flow] | frozenset[Flow] = frozenset()) -> None:
    """Remove the entries of a mark, and no other.

    Raises:
        OSError, MediaError: the kernel does not answer.
    """
    for answer in link.ask(pack_dump(link.number(), mark.value, mark.mask)):
        if answer.kind <= ERROR + 1:
            continue
        entry = unpack_entry(answer.body)
        if mark.owns(entry) and entry.original is not None and entry.original not in spared:
            link.ask(pack_delete(link.number(), entry.original, entry.id))


def has_address(host: str) -> bool:
    """Whether an IP address is one of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


def forwards(version: int) -> bool:
    """Whether this machine forwards packets of an IP version."""
    try:
        return FORWARDING[version].read_text().strip() != "0"
    except OSError:
        return False


def _blocked(kind: Kind) -> str:
    where = "between other machines" if not any(kind[1:]) else "from or to this machine"
    return f"a rule of this machine's firewall, or its routing, stops IPv{kind[0]} audio {where}"
