"""The PBX as a party to RTCP, with a peer that is only made of packets."""

from itertools import pairwise
from random import Random

import pytest

from pbx.rtp.packet import Packet
from pbx.rtp.relay import Endpoint
from pbx.rtp.remote import Remote
from pbx.rtp.reporter import FIRST_S, INTERVAL_S, Reporter
from pbx.rtp.rtcp import Report, ReportBlock, pack_description, reports
from tests.rtp.test_relay import FakeNet

PHONE = ("192.0.2.1", 4000)
OURS, THEIRS = 0x1111, 0x2222


class World:
    """An endpoint at which the PBX speaks, and its peer."""

    def __init__(self, remote):
        self.net = FakeNet()
        self.endpoint = Endpoint("a", "192.0.2.9", 10_000, self.net, self)
        self.endpoint.set_remote(remote, 0.0)
        self.reporter = Reporter(self.endpoint, OURS, Random(1))
        self.now = 100.0
        self.timestamp = 0

    def latched(self, *_): ...

    def run(self, seconds, *, speaks=True):
        """Tick each 20 ms; returns when reports went out."""
        times, before = [], len(self.sent)
        for _ in range(round(seconds * 50)):
            self.now += 0.02
            self.timestamp += 160
            if speaks:
                self.reporter.sent(160)
            self.reporter.tick(self.timestamp, 8000, self.now)
            if len(self.sent) > before:
                before = len(self.sent)
                times.append(self.now)
        return times

    @property
    def sent(self):
        """RTCP that went to the peer."""
        port = 10_000 if self.endpoint.remote.rtcp_mux else 10_001
        return self.net.sent(port)

    def hear(self, *sequences):
        for sequence in sequences:
            packet = Packet(0, sequence, 160 * sequence, THEIRS, bytes(160)).pack()
            self.net.arrive(10_000, PHONE, packet, now=self.now)

    def hear_report(self, report):
        self.net.arrive(10_001, (PHONE[0], PHONE[1] + 1), report.pack(), now=self.now)


@pytest.fixture
def world():
    return World(Remote(PHONE))


def last(world):
    (report,) = reports(world.sent[-1][0])
    return report


def blocks(world):
    """All that was said of the peer's stream."""
    return [block for data, _ in world.sent for report in reports(data) for block in report.blocks]


def test_the_first_report_comes_after_a_second_the_others_some_five_seconds_apart(world):
    times = world.run(300)
    assert FIRST_S / 2 <= times[0] - 100 <= FIRST_S * 1.5 + 0.02
    apart = [after - before for before, after in pairwise(times)]
    assert all(INTERVAL_S / 2 <= each <= INTERVAL_S * 1.5 + 0.02 for each in apart)
    assert max(apart) - min(apart) > 2
    assert 4.2 < sum(apart) / len(apart) < 5.8


def test_a_compound_begins_with_a_report_and_has_the_canonical_name(world):
    world.run(2)
    ((data, target),) = world.sent
    assert target == (PHONE[0], PHONE[1] + 1)
    size = 4 + 4 * int.from_bytes(data[2:4], "big")
    assert data[1] == 200
    name = data[size + 10 :].rstrip(b"\0").decode()
    assert len(name) == 16
    assert data[size:] == pack_description(OURS, name)


def test_it_says_what_was_sent_until_then(world):
    (when,) = world.run(2)
    data = world.sent[0][0]
    frames = round((when - 100) / 0.02)
    assert int.from_bytes(data[8:16], "big") / 2**32 == pytest.approx(when)
    assert [int.from_bytes(data[at : at + 4], "big") for at in (16, 20, 24)] == [
        160 * frames,
        frames,
        160 * frames,
    ]


def test_who_has_not_sent_since_the_report_before_the_last_one_is_a_receiver(world):
    world.run(30)
    world.run(30, speaks=False)
    kinds = [data[1] for data, _ in world.sent]
    assert 200 in kinds
    at = kinds.index(201)
    assert set(kinds[at:]) == {201}
    world.run(8)
    assert world.sent[-1][0][1] == 200


def test_the_echo_of_a_report_tells_the_round_trip_and_what_was_lost(world):
    (when,) = world.run(2)
    assert world.endpoint.stats().round_trip_s is None
    world.now = when + 0.3
    block = ReportBlock(OURS, 0.1, 3, 9, 80, last(world).sr_id, 0.25)
    world.hear_report(Report(THEIRS, None, (block,)))
    stats = world.endpoint.stats()
    assert stats.round_trip_s == pytest.approx(0.05, abs=1e-4)
    assert (stats.lost_out, stats.jitter_out_s) == (3, 0.01)


def test_how_the_peer_is_heard_is_told_with_its_own_report(world):
    world.hear(*range(10, 20))
    world.hear_report(Report(THEIRS, 0xABCD0001, ()))
    heard = world.now
    when = world.run(2)[0]
    (block,) = last(world).blocks
    assert (block.ssrc, block.fraction_lost, block.lost, block.highest) == (THEIRS, 0.0, 0, 19)
    assert block.last_sr == 0xABCD0001
    assert block.delay_s == pytest.approx(when - heard, abs=1e-4)
    world.hear(*(sequence for sequence in range(20, 40) if sequence % 2))
    world.run(30)
    assert len(world.sent) > 4
    _, block = blocks(world)  # since then nothing was heard
    assert (block.fraction_lost, block.lost, block.highest) == (0.5, 10, 39)


def test_reports_go_to_the_rtp_port_where_that_is_agreed_on():
    world = World(Remote(PHONE, rtcp_mux=True))
    world.run(2)
    assert [target for _, target in world.sent] == [PHONE]


def test_another_source_begins_with_no_losses(world):
    world.hear(1, 5)
    world.run(2)
    packet = Packet(0, 900, 0, 0x3333, bytes(160)).pack()
    world.net.arrive(10_000, PHONE, packet, now=world.now)
    world.run(8)
    block = blocks(world)[-1]
    assert (block.ssrc, block.lost, block.fraction_lost, block.last_sr) == (0x3333, 0, 0.0, 0)
