"""A media worker lets the kernel relay between phones on two other machines, and takes it back."""

import os
import signal
from contextlib import suppress
from dataclasses import replace
from itertools import count
from time import monotonic

import pytest

from pbx.media.orders import (
    CloseEndpoint,
    EndpointClosed,
    Join,
    OpenEndpoint,
    Part,
    Resumed,
    SetRemote,
    Silent,
)
from pbx.rtp.kernel.conntrack import Flow, pack_join
from pbx.rtp.kernel.joins import remove_entries
from pbx.rtp.kernel.link import Link
from pbx.rtp.rtcp import Report
from pbx.rtp.session import FIRST
from tests.kernel.office import PBX, PBX6, PORTS, X6, Y6, Conversation, X, Y
from tests.support.rtp_phone import PATIENCE_S, rtp


def started(office, worker=None, hosts=(X, Y), ours=PBX, **more):
    """A conversation that the kernel relays."""
    worker = worker or office.worker()
    a, b = office.phones(hosts)
    talk = Conversation(a, b, *office.talk(worker, a, b, ours, **more))
    talk.say_until(lambda: worker.path() == "kernel")
    return worker, talk


@pytest.mark.parametrize(("hosts", "ours"), [((X, Y), PBX), ((X6, Y6), PBX6)], ids=["ipv4", "ipv6"])
def test_the_kernel_takes_over_and_every_packet_is_heard_and_counted(office, hosts, ours):
    worker, talk = started(office, hosts=hosts, ours=ours)
    assert talk.count <= 4 * FIRST
    talk.say(200)
    worker.tell(CloseEndpoint("a"))
    closed = worker.events(EndpointClosed).stats
    assert (closed.packets_in, closed.packets_out) == (talk.count, talk.count)
    assert (closed.bytes_in, closed.bytes_out) == (172 * talk.count, 172 * talk.count)
    assert closed.kernel_in >= 200
    assert closed.lost == 0
    assert office.entries() == []


def test_phones_on_the_machine_of_the_pbx_itself(office):
    office.network.set("net/ipv4/ip_forward", "0")
    hosts = ("127.0.0.2", "127.0.0.3")
    _, talk = started(office, hosts=hosts, ours=("127.0.0.1", "127.0.0.1"))
    talk.say(20)


def test_without_forwarding_phones_elsewhere_are_served_in_user_space(office):
    office.network.set("net/ipv4/ip_forward", "0")
    worker = office.worker()
    a, b = office.phones()
    talk = Conversation(a, b, *office.talk(worker, a, b))
    talk.say(3 * FIRST)
    assert worker.path() == "user space: this machine does not forward IPv4"
    assert office.network.get("net/ipv4/ip_forward") == "0"


SEEN = {
    "hold": ({"may_send": False}, "on hold"),
    "payload types": ({"payload_map": ((101, 96),)}, "payload types differ"),
    "rtcp-mux": ({"rtcp_mux": True}, "RTCP on the same port"),
}


@pytest.mark.parametrize(("more", "why"), SEEN.values(), ids=SEEN)
def test_what_must_be_seen_stays_in_user_space(office, more, why):
    worker = office.worker()
    a, b = office.phones()
    to_a, to_b = office.talk(worker, a, b, of_b=more)
    for number in range(3 * FIRST):
        b.rtp.sendto(rtp(number, ssrc=2), to_b)
        assert a.heard() == rtp(number, ssrc=2)
        a.rtp.sendto(rtp(number, ssrc=1), to_a)
        worker.settle()
    assert worker.path() == f"user space: {why}"
    assert office.entries() == []


def test_hold_and_back_without_a_packet_lost(office):
    worker, talk = started(office)
    for _ in range(3):
        talk.say(5)
        worker.tell(SetRemote("b", talk.b.address, relatch=True))
        worker.settle()
        assert worker.path().startswith("user space")
        talk.say_until(lambda: worker.path() == "kernel")
    stats = worker.stats("a")
    assert (stats.lost, stats.strangers, stats.refused) == (0, 0, 0)


def test_switching_to_and_fro_while_both_go_on_speaking(office):
    """Nobody waits for anybody: each switch costs at most one packet."""
    worker, talk = started(office)
    switches, spoken, heard = 20, 0, [0, 0]
    first = talk.count
    ways = ((talk.a, talk.to_a, 1), (talk.b, talk.to_b, 2))
    for switch in range(switches):
        for pause in range(60):
            for phone, to, ssrc in ways:
                phone.rtp.sendto(rtp(first + spoken, ssrc=ssrc), to)
            spoken += 1
            if pause == 30:
                worker.tell(SetRemote("a", talk.a.address, symmetric=bool(switch % 2)))
            for at, phone in enumerate((talk.a, talk.b)):
                heard[at] += count_heard(phone)
    worker.settle()
    for at, phone in enumerate((talk.a, talk.b)):
        heard[at] += count_heard(phone)
    assert worker.stats("a").kernel_in > switches * 10
    assert all(spoken - 2 * switches <= each <= spoken for each in heard)


def count_heard(phone, wait_s=0.002):
    phone.rtp.settimeout(wait_s)
    count = 0
    while True:
        try:
            phone.heard()
        except (TimeoutError, BlockingIOError):
            return count
        count += 1


def test_parted_in_mid_call_and_joined_with_another(office):
    worker, talk = started(office)
    (c,) = office.phones((Y,))
    worker.tell(OpenEndpoint("c", "call", PBX[1], PORTS[0] + 100), SetRemote("c", c.address))
    worker.tell(Part("a"), Join("a", "c"))
    worker.settle()
    assert office.entries() == []
    other = Conversation(talk.a, c, talk.to_a, (PBX[1], PORTS[0] + 100))
    other.say_until(lambda: worker.path() == "kernel")
    talk.b.rtp.sendto(rtp(1, ssrc=2), talk.to_b)
    worker.settle()
    talk.a.hears_nothing()


def test_a_phone_that_moves_is_noticed(office):
    """It sent from elsewhere than it announced, as behind NAT; now it is heard from where it announced."""
    worker = office.worker()
    a, b = office.phones()
    (elsewhere,) = office.phones((X,))
    talk = Conversation(elsewhere, b, *office.talk(worker, a, b))
    talk.say_until(lambda: worker.path() == "kernel")
    moved = Conversation(a, b, talk.to_a, talk.to_b)
    moved.say_until(lambda: worker.stats("a").source == a.address)  # until then it is the kernel's as before
    moved.say_until(lambda: worker.path() == "kernel")
    moved.say(20)
    assert worker.stats("a").source == a.address
    assert len(office.entries()) == 1


def test_strangers_reach_nobody_and_are_counted(office):
    worker, talk = started(office)
    (stranger,) = office.phones((Y,))
    for number in range(5):
        stranger.rtp.sendto(rtp(number, ssrc=66), talk.to_a)
    talk.say(5)
    assert worker.path() == "kernel"
    assert worker.stats("a").strangers == 5


def test_reports_pass_in_user_space_meanwhile(office):
    _, talk = started(office)
    report = Report(7, 0x12345678, ()).pack()
    talk.a.rtcp.sendto(report, (talk.to_a[0], talk.to_a[1] + 1))
    assert talk.b.rtcp.recv(4096) == report


def test_silence_is_noticed_and_its_end(office):
    worker, talk = started(office, office.worker(silence_s=1.0))
    late = talk.count + 1000

    def only_b():
        talk.b.rtp.sendto(rtp(late, ssrc=2), talk.to_b)
        assert talk.a.heard() == rtp(late, ssrc=2)

    worker.so_far(object)  # on a machine that is busy both may have been silent before
    talk.say(1)
    worker.control.settimeout(0.02)
    until, told = monotonic() + PATIENCE_S, []
    while Silent("a", 1.0) not in told:
        assert monotonic() < until
        only_b()
        with suppress(TimeoutError):
            told.append(worker.events(Silent))
    worker.control.settimeout(PATIENCE_S)
    talk.say(5)
    while worker.events(Resumed) != Resumed("a"):
        pass
    assert worker.path() == "kernel"


def test_an_entry_that_somebody_removed_is_made_again_and_no_packet_lost(office):
    worker, talk = started(office)
    with office.network.inside():
        link = Link()
        remove_entries(link, office.table.mark)
        link.close()
    talk.say_until(lambda: worker.path() == "kernel")
    assert worker.stats("a").lost == 0


def test_a_firewall_that_stops_forwarded_packets_is_found_out(office):
    """It costs the first call some packets; those that follow need not find out."""
    office.network.ip("rule", "add", "iif", "left", "to", Y, "blackhole")
    worker = office.worker()
    a, b = office.phones()
    to_a, to_b = office.talk(worker, a, b)
    b.rtp.settimeout(0.02)
    until, numbers = monotonic() + PATIENCE_S, count()
    while not worker.trouble():
        assert monotonic() < until
        number = next(numbers)
        a.rtp.sendto(rtp(number, ssrc=1), to_a)
        b.rtp.sendto(rtp(number, ssrc=2), to_b)
        with suppress(TimeoutError):
            b.heard()
    assert "stops IPv4 audio between other machines" in worker.trouble()
    assert "stops IPv4 audio" in worker.path()
    b.rtp.settimeout(PATIENCE_S)
    while True:
        a.rtp.sendto(rtp(5000, ssrc=1), to_a)
        if b.heard() == rtp(5000, ssrc=1):
            break
    assert office.entries() == []


def test_a_worker_that_dies_leaves_calls_that_go_on(office):
    worker, talk = started(office)
    os.kill(worker.popen.pid, signal.SIGKILL)
    worker.popen.wait()
    talk.say(20)  # the kernel needs no worker
    assert len(office.entries()) == 1
    again = office.worker()
    for name, phone, to in (("a", talk.a, talk.to_a), ("b", talk.b, talk.to_b)):
        again.tell(OpenEndpoint(name, "call", *to), SetRemote(name, phone.address))
    again.tell(Join("a", "b"))
    again.settle()
    talk.say_until(lambda: again.path() == "kernel")
    assert len(office.entries()) == 1


def test_two_servers_side_by_side(office):
    other = office.make_table("another office", (30_000, 30_998))
    started(office)
    second = office.worker(table=other)
    office._port = 30_000
    _, more = started(office, second)
    assert len(office.entries(other.mark)) == len(office.entries()) == 1
    with office.network.inside():
        office.table.remove()  # as its server ends
    assert office.tables() == [other.name]
    assert office.network.get("net/netfilter/nf_conntrack_acct") == "1"
    more.say(20)
    assert second.path() == "kernel"
    assert len(office.entries(other.mark)) == 1


def test_nothing_of_anybody_else_is_touched(office):
    """An entry without our mark, and one with it that is for other ports."""

    mark = office.table.mark
    with office.network.inside():
        link = Link()
        ours = Flow((X, 4000), (PBX[0], 20_000)), Flow((PBX[1], 20_002), (Y, 5000))
        plain = Flow((X, 4001), (PBX[0], 20_004)), Flow((PBX[1], 20_006), (Y, 5001))
        elsewhere = Flow((X, 4002), (PBX[0], 40_000)), Flow((PBX[1], 40_002), (Y, 5002))
        for flows, value in ((ours, mark.value), (plain, 0), (elsewhere, mark.value)):
            (answer,) = link.ask(pack_join(link.number(), *flows, value, 100))
            assert answer.code == 0
        remove_entries(link, mark)
        link.close()
    assert [entry.original for entry in office.entries()] == [elsewhere[0]]
    everybody = replace(mark, value=0, mask=0)
    assert {entry.original for entry in office.entries(everybody)} == {plain[0], elsewhere[0]}


def test_counting_is_switched_back_and_the_table_is_gone(office):
    assert office.network.get("net/netfilter/nf_conntrack_acct") == "1"
    with office.network.inside():
        office.table.remove()
    assert office.network.get("net/netfilter/nf_conntrack_acct") == "0"
    assert office.tables() == []
