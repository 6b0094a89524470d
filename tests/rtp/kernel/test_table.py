"""The core's table where it cannot be; where it can, tests/kernel and tests/phones show it at work."""

import errno

import pytest

from pbx.errors import MediaError
from pbx.rtp.kernel import table
from pbx.rtp.kernel.netlink import ERROR, Message
from pbx.rtp.kernel.table import HOW_TO_ALLOW, TOO_OLD, WHY, KernelTable, may_administer


class FakeLink:
    """Answers every request alike."""

    def __init__(self, answer):
        self._answer, self.is_closed = answer, False

    def number(self):
        return 1

    def ask(self, requests):
        if isinstance(self._answer, Exception):
            raise self._answer
        return [Message(ERROR, 1, (-self._answer).to_bytes(4, "little", signed=True))]

    def close(self):
        self.is_closed = True


REASONS = {
    "no right": (errno.EPERM, HOW_TO_ALLOW),
    "somebody else's": (errno.EEXIST, WHY[errno.EEXIST]),
    "an old kernel": (errno.EOPNOTSUPP, f"{TOO_OLD}: Operation not supported"),
    "no answer to be understood": (MediaError("nonsense"), "the kernel answers strangely: nonsense"),
}


@pytest.mark.parametrize(("answer", "why"), REASONS.values(), ids=REASONS)
def test_why_there_is_none(monkeypatch, answer, why):
    link = FakeLink(answer)
    monkeypatch.setattr(table, "Link", lambda: link)
    made = KernelTable("folder", 10_000, 20_000)
    made.set_up()
    assert not made.is_up
    assert made.why_not == why
    assert link.is_closed
    made.remove()  # nothing to do


def test_a_kernel_without_netfilter(monkeypatch):
    def none():
        raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    monkeypatch.setattr(table, "Link", none)
    made = KernelTable("folder", 10_000, 20_000)
    made.set_up()
    assert made.why_not == "this kernel has no netfilter"


CAPABILITIES = {
    "all": ("CapInh:\t0\nCapEff:\t000001ffffffffff\n", True),
    "this one alone": ("CapEff:\t0000000000001000\n", True),
    "its neighbours": ("CapEff:\t0000000000002800\nCapBnd:\t000001ffffffffff\n", False),
    "not said": ("Name:\tpbx\n", False),
}


@pytest.mark.parametrize(("status", "expected"), CAPABILITIES.values(), ids=CAPABILITIES)
def test_who_may(status, expected):
    assert may_administer(status) is expected
