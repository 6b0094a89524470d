"""The joins of a worker, with a kernel that is played."""

import errno

import pytest

from pbx.rtp.kernel.conntrack import DELETE, GET, NEW, Flow
from pbx.rtp.kernel.joins import (
    ATTEMPTS,
    BATCH,
    BLOCKED_S,
    NOT_COUNTED,
    POLL_S,
    TRIAL_MOST_S,
    TRIAL_S,
    KernelJoin,
    KernelJoins,
)
from pbx.rtp.kernel.marks import server_mark
from pbx.rtp.kernel.netlink import ERROR, Message, attribute, attributes, nest, number, unpack
from pbx.rtp.kernel.nftables import PASSED

MARK = server_mark("folder", 10_000, 20_000).of_worker(0)
HERE, THERE, OTHER = "192.0.2.9", "198.51.100.1", "198.51.100.2"


def flows(at=0):
    port = 10_000 + 4 * at
    return Flow((THERE, 4000 + at), (HERE, port)), Flow((HERE, port + 2), (OTHER, 5000 + at))


class FakeKernel:
    """Keeps entries as their packed original tuple; `counts` are the counters of each: there, back."""

    def __init__(self):
        self.entries, self.counts, self.passes = {}, {}, sum(PASSED)
        self.counting, self.refusal, self.clashes = True, 0, 0
        self.asked, self.late = [], []
        self._sequence = 0

    def number(self):
        self._sequence += 1
        return self._sequence

    def ask(self, requests):
        messages = list(unpack(requests))
        self.asked.append([message.kind for message in messages])
        late, self.late = self.late, []
        return late + [answer for message in messages if (answer := self._answer(message)) is not None]

    def _answer(self, message):
        body = attributes(message.body)
        key = body.get(1)
        if message.kind == NEW:
            code = errno.EEXIST if self.clashes else self.refusal
            self.clashes -= bool(self.clashes)
            if not code:
                self.entries[key], self.counts[key] = int.from_bytes(body[8], "big"), [0, 0]
            return error(message.sequence, code)
        if key not in self.entries:
            return error(message.sequence, errno.ENOENT)
        if message.kind == DELETE:
            del self.entries[key]
            return None
        assert message.kind == GET
        more = b""
        if self.counting:
            for kind, packets in zip((9, 10), self.counts[key], strict=True):
                octets = packets * 200
                more += nest(
                    kind, attribute(1, packets.to_bytes(8, "big")), attribute(2, octets.to_bytes(8, "big"))
                )
        mark = self.entries[key] | (self.passes if any(self.counts[key]) else 0)
        return Message(
            NEW, message.sequence, nest(1, key) + nest(2, key) + number(12, 1) + number(8, mark) + more
        )

    def flow(self, there, back):
        """So many packets have gone each way in all entries."""
        for counts in self.counts.values():
            counts[0] += there
            counts[1] += back

    def close(self):
        self.asked.append("closed")


def error(sequence, code):
    return Message(ERROR, sequence, (-code).to_bytes(4, "little", signed=True) + bytes(16))


class Setting:
    def __init__(self, local=(), forwarding=True):
        self.kernel, self.hastened, self.lost = FakeKernel(), [], []
        self.joins = KernelJoins(
            self.kernel,
            MARK,
            self.hastened.append,
            is_local=lambda host: host in local,
            is_forwarding=lambda version: forwarding,
        )

    def join(self, at=0, now=0.0):
        return self.joins.join(*flows(at), self.lost.append, now)

    def proven(self):
        """A first join has shown that the machine lets packets pass."""
        first = self.join(-1)
        self.kernel.flow(5, 5)
        self.joins.poll(TRIAL_S)
        self.kernel.asked.clear()
        return first


@pytest.fixture
def setting():
    return Setting()


def test_a_join_takes_the_place_of_what_latching_left_in_one_request(setting):
    assert isinstance(setting.join(), KernelJoin)
    assert setting.kernel.asked == [[DELETE, DELETE, NEW]]
    assert list(setting.kernel.entries.values()) == [MARK.value]


def test_a_packet_that_came_in_between_is_no_reason_to_give_up(setting):
    setting.kernel.clashes = ATTEMPTS - 1
    assert isinstance(setting.join(), KernelJoin)
    setting.kernel.clashes = ATTEMPTS
    assert Setting.join(setting, 9, 5.0) in {None, "the kernel refuses: File exists"}


def test_a_kernel_that_refuses_says_why(setting):
    setting.kernel.refusal = errno.ENOMEM
    assert setting.join() == "the kernel refuses: Cannot allocate memory"


def test_leaving_brings_the_last_counts_without_headers(setting):
    join = setting.proven()
    join.there.take(), join.back.take()
    setting.kernel.flow(7, 3)
    setting.joins.leave(join)
    assert setting.kernel.asked == [[GET, DELETE]]
    assert (join.there.take(), join.back.take()) == ((7, 7 * 172), (3, 3 * 172))
    assert setting.kernel.entries == {}
    setting.joins.leave(join)  # again: nothing to do
    assert len(setting.kernel.asked) == 1


def test_the_first_of_its_kind_is_looked_at_soon_and_others_wait(setting):
    first = setting.join(0)
    assert setting.hastened == [TRIAL_S]
    assert setting.join(1) is None
    setting.kernel.flow(5, 5)
    setting.joins.poll(TRIAL_S)
    assert isinstance(setting.join(1), KernelJoin)
    assert setting.hastened == [TRIAL_S]
    assert (first.there.take()[0], setting.lost) == (5, [])


def test_packets_that_are_taken_and_do_not_come_out_bring_the_stream_back(setting):
    setting.kernel.passes = PASSED[0]
    setting.join(0)
    setting.kernel.flow(5, 5)
    setting.joins.poll(TRIAL_S)
    (why,) = setting.lost
    assert "stops IPv4 audio between other machines" in why
    assert setting.joins.trouble == why
    assert setting.kernel.entries == {}
    assert setting.join(1, now=TRIAL_S + 1) == why
    assert isinstance(setting.join(1, now=TRIAL_S + BLOCKED_S), KernelJoin)


def test_a_trial_whose_peers_say_nothing_holds_up_no_others_for_long(setting):
    setting.join(0)
    setting.joins.poll(TRIAL_S)
    assert setting.join(1, TRIAL_S) is None
    setting.joins.poll(TRIAL_MOST_S)
    assert isinstance(setting.join(1, TRIAL_MOST_S), KernelJoin)
    assert setting.lost == []


def test_an_entry_that_is_gone_or_not_ours_any_more_is_reported(setting):
    setting.proven()
    setting.kernel.entries.clear()
    setting.joins.poll(POLL_S + TRIAL_S)
    assert setting.lost == [""]
    assert len(setting.joins) == 0
    setting.join(1)
    for key in setting.kernel.entries:
        setting.kernel.entries[key] = 0
    setting.joins.poll(3 * POLL_S)
    assert setting.lost == ["", ""]


def test_without_counters_there_is_no_staying(setting):
    setting.proven()
    setting.kernel.counting = False
    setting.joins.poll(POLL_S + TRIAL_S)
    assert setting.lost == [NOT_COUNTED]
    assert setting.joins.trouble == NOT_COUNTED


def test_an_answer_to_what_was_asked_before_is_passed_over(setting):
    """It was left in the socket when reading failed."""
    join = setting.proven()
    setting.kernel.late.append(error(1, errno.ENOENT))
    setting.kernel.flow(7, 3)
    setting.joins.poll(1.0)
    assert (setting.lost, join.there.total, join.back.total) == ([], 12, 8)


def test_each_has_its_turn_once_in_a_poll_time_and_many_go_with_one_request(setting):
    joins = [setting.proven(), *(setting.join(at) for at in range(119))]
    joins[0].there.take()
    setting.kernel.asked.clear()
    setting.kernel.flow(1, 1)
    for second in range(1, 6):
        setting.joins.poll(TRIAL_S + second)
    assert [join.there.take()[0] for join in joins] == [1] * 120
    assert len(setting.kernel.asked) == 5
    assert max(map(len, setting.kernel.asked)) <= 25 <= BATCH


WHERE = {
    "both elsewhere, not forwarded": ((), False, "this machine does not forward IPv4"),
    "both elsewhere": ((), True, None),
    "one here": ((THERE,), False, None),
    "both here": ((THERE, OTHER), False, None),
}


@pytest.mark.parametrize(("local", "forwarding", "why"), WHERE.values(), ids=WHERE)
def test_forwarding_is_needed_when_both_are_elsewhere(local, forwarding, why):
    joined = Setting(local, forwarding).join()
    assert (joined if isinstance(joined, str) else None) == why


ADDRESSES = {
    "IPv4 and IPv6": (("2001:db8::1", 1), ("2001:db8::9", 2), (HERE, 3), (OTHER, 4)),
    "a link": (("fe80::1%eth0", 1), ("fe80::9", 2), ("fe80::9", 3), ("fe80::2", 4)),
    "no address of ours in particular": ((THERE, 1), ("0.0.0.0", 2), (HERE, 3), (OTHER, 4)),
}


@pytest.mark.parametrize("addresses", ADDRESSES.values(), ids=ADDRESSES)
def test_addresses_that_cannot_be_joined(setting, addresses):
    x, a, b, y = addresses
    assert isinstance(setting.joins.join(Flow(x, a), Flow(b, y), setting.lost.append, 0.0), str)
    assert setting.kernel.asked == []


def test_closing_gives_everything_back(setting):
    setting.proven()
    setting.join(1)
    setting.joins.close()
    assert setting.kernel.entries == {}
    assert setting.kernel.asked[-1] == "closed"
