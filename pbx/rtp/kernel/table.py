"""The core's part: the table for the time of its life, and what a crash left behind.

Nothing is asked of the machine that stays: the table goes with its owner, counting is switched back, and
whether the machine forwards packets is its operator's to say.
"""

import errno
import os
from pathlib import Path
from typing import Final

from pbx.errors import MediaError
from pbx.rtp.kernel.joins import remove_entries
from pbx.rtp.kernel.keys import KeyLog
from pbx.rtp.kernel.link import Link
from pbx.rtp.kernel.marks import TABLES, Mark, server_mark, table_name
from pbx.rtp.kernel.netlink import ERROR
from pbx.rtp.kernel.nftables import (
    SNAP_BYTES,
    pack_delete_table,
    pack_list_tables,
    pack_table,
    unpack_table_name,
)

COUNTING: Final = Path("/proc/sys/net/netfilter/nf_conntrack_acct")
NET_ADMIN: Final = 12  # the number of CAP_NET_ADMIN
HOW_TO_ALLOW: Final = "CAP_NET_ADMIN is needed (AmbientCapabilities=CAP_NET_ADMIN in the systemd unit)"
WHY: Final = {
    errno.EPERM: HOW_TO_ALLOW,
    errno.EACCES: HOW_TO_ALLOW,
    errno.EROFS: f"packets cannot be counted: {COUNTING} is read-only",
    errno.EPROTONOSUPPORT: "this kernel has no netfilter",
    errno.EEXIST: "a table of that name is somebody else's",
}
TOO_OLD: Final = "this kernel lacks nf_tables with NAT and owned tables (Linux 5.12)"


class KernelTable:
    """Of one server."""

    def __init__(self, identity: str, low: int, high: int) -> None:
        """
        Args:
            identity: what no other server of this machine has, and this one again after a restart.
            low, high: its RTP ports.
        """
        self.name = table_name(identity)
        self.mark: Mark = server_mark(identity, low, high)
        self.why_not = ""  # it is not set up
        self.keys: KeyLog | None = None  # of the keys pressed in calls that pass through the kernel
        self._link: Link | None = None
        self._has_switched = False

    @property
    def is_up(self) -> bool:
        return self._link is not None

    def set_up(self) -> None:
        """Make the table, if that can be; what a server that crashed has left in the kernel is removed."""
        try:
            link = Link()
        except OSError as error:
            self.why_not = _why(error)
            return
        try:
            self._make(link)
        except (OSError, MediaError) as error:
            link.close()  # and with it goes what there is of the table
            self.why_not = _why(error)
        else:
            self._link = link

    def remove(self) -> None:
        """Remove it all. The workers have taken their streams back before."""
        if self.keys is not None:
            self.keys.close()
            self.keys = None
        if self._link is None:
            return
        link, self._link = self._link, None
        try:
            if self._has_switched and not self._has_company(link):
                COUNTING.write_text("0")
            link.ask(pack_delete_table(self.name))
            remove_entries(link, self.mark)
        finally:
            link.close()

    def _make(self, link: Link) -> None:
        group = self.mark.value >> 8 & 0xFFFF
        try:
            self.keys = KeyLog(group, SNAP_BYTES)
            self._pack(link, group)
        except (OSError, MediaError):  # a kernel without this log still relays, if no keys are to be seen
            if self.keys is not None:
                self.keys.close()
            self.keys = None
            self._pack(link, None)
        remove_entries(link, self.mark)
        if COUNTING.read_text().strip() == "0":
            COUNTING.write_text("1")
            self._has_switched = True

    def _pack(self, link: Link, group: int | None) -> None:
        for answer in link.ask(pack_table(self.name, self.mark.value, self.mark.mask, group)):
            if answer.kind == ERROR and answer.code:
                raise OSError(answer.code, os.strerror(answer.code))

    def _has_company(self, link: Link) -> bool:
        """Whether there is another server, which needs the counters still."""
        names = [unpack_table_name(each.body) for each in link.ask(pack_list_tables()) if each.kind > 0x10]
        return any(name.startswith(TABLES) and name != self.name for name in names)


def _why(error: OSError | MediaError) -> str:
    if isinstance(error, MediaError):
        return f"the kernel answers strangely: {error}"
    return WHY.get(error.errno or 0) or f"{TOO_OLD}: {error.strerror}"


def may_administer(status: str) -> bool:
    """Whether a process has CAP_NET_ADMIN, from its /proc/PID/status."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> NET_ADMIN & 1)
    return False
