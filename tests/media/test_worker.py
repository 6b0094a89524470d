"""The media worker as a process: real sockets on the loopback, waited for with deadlines."""

import os
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from pbx.media import probe
from pbx.media.orders import (
    CloseEndpoint,
    Digit,
    EndpointClosed,
    EndpointFailed,
    Join,
    Mix,
    OpenEndpoint,
    Part,
    Resumed,
    SetRemote,
    Silent,
    SrtpKeys,
)
from pbx.media.probe import is_pair_free, ports_in_use
from pbx.media.wire import Decoder, Latched, encode
from pbx.media.worker import Worker
from pbx.rtp.packet import Packet, unpack
from pbx.rtp.rtcp import Report, ReportBlock, reports
from pbx.rtp.srtp import Srtp
from pbx.rtp.telephone_event import TelephoneEvent
from tests.phones.support.ports import CELL, claim
from tests.support.rtp_phone import PATIENCE_S, V4, V6, Phone, free_pair, rtp
from tests.support.worker_process import Process


@pytest.fixture
def phones():
    made = []

    def make(host=V4):
        made.append(Phone(host))
        return made[-1]

    yield make
    for phone in made:
        phone.close()


@pytest.fixture
def worker():
    process = Process()
    yield process
    assert process.end() == 0


def join(worker, a, b, hosts=(V4, V4), of_a=None, of_b=None):
    """Endpoints "a" and "b" for two phones, joined; their ports."""
    ports = {}
    for name, phone, host, more in zip("ab", (a, b), hosts, (of_a or {}, of_b or {}), strict=True):
        ports[name] = free_pair(host)
        worker.tell(OpenEndpoint(name, "call", host, ports[name]), SetRemote(name, phone.address, **more))
    worker.tell(Join("a", "b"))
    assert worker.so_far(EndpointFailed) == []
    return (hosts[0], ports["a"]), (hosts[1], ports["b"])


@pytest.mark.parametrize("hosts", [(V4, V4), (V4, V6), (V6, V6)], ids=["4-4", "4-6", "6-6"])
def test_every_packet_from_the_first_on_is_relayed_unchanged(worker, phones, hosts):
    a, b = phones(hosts[0]), phones(hosts[1])
    to_a, to_b = join(worker, a, b, hosts)
    for sequence in range(10):
        a.rtp.sendto(rtp(sequence, ssrc=1), to_a)
        assert b.heard() == rtp(sequence, ssrc=1)
        b.rtp.sendto(rtp(sequence, ssrc=2), to_b)
        assert a.heard() == rtp(sequence, ssrc=2)
    stats = worker.stats("a")
    assert (stats.packets_in, stats.packets_out, stats.lost, stats.ssrc) == (10, 10, 0, 1)
    assert (stats.bytes_in, stats.source, stats.payload_type) == (1720, a.address, 0)


def test_a_phone_that_sends_from_another_port_is_found_and_answered_there(worker, phones):
    a, elsewhere, b = phones(), phones(), phones()
    to_a, to_b = join(worker, a, b)
    elsewhere.rtp.sendto(rtp(1), to_a)
    assert b.heard() == rtp(1)
    assert worker.events(Latched) == Latched("a", elsewhere.address)
    b.rtp.sendto(rtp(1), to_b)
    assert elsewhere.heard() == rtp(1)


def test_a_stranger_steals_no_stream_and_is_counted(worker, phones):
    a, b, stranger = phones(), phones(), phones("127.0.0.9")
    to_a, to_b = join(worker, a, b)
    a.rtp.sendto(rtp(1), to_a)
    assert b.heard() == rtp(1)
    for sequence in range(5):
        stranger.rtp.sendto(rtp(sequence, ssrc=66), to_a)
    a.rtp.sendto(rtp(2), to_a)
    assert b.heard() == rtp(2)
    b.rtp.sendto(rtp(1), to_b)
    assert a.heard() == rtp(1)
    stranger.hears_nothing()
    assert worker.stats("a").strangers == 5


def test_a_flood_of_strangers_starves_nobody(worker, phones):
    a, b, stranger = phones(), phones(), phones("127.0.0.9")
    to_a, _ = join(worker, a, b)
    a.rtp.sendto(rtp(0), to_a)
    assert b.heard() == rtp(0)
    for sequence in range(1, 11):
        for _ in range(300):
            stranger.rtp.sendto(rtp(sequence, ssrc=66), to_a)
        a.rtp.sendto(rtp(sequence), to_a)
        assert b.heard() == rtp(sequence)
    assert worker.stats("a").packets_in == 11


def test_the_announced_peer_dispels_a_stranger_who_came_first(worker, phones):
    a, b, stranger = phones(), phones(), phones("127.0.0.9")
    to_a, to_b = join(worker, a, b)
    stranger.rtp.sendto(rtp(1, ssrc=66), to_a)
    assert b.heard() == rtp(1, ssrc=66)
    a.rtp.sendto(rtp(1), to_a)
    assert b.heard() == rtp(1)
    b.rtp.sendto(rtp(1), to_b)
    assert a.heard() == rtp(1)
    stranger.hears_nothing()


def test_what_comes_before_the_answer_is_held_and_passed_on(worker, phones):
    a, b = phones(), phones()
    ports = free_pair(), None
    worker.tell(OpenEndpoint("b", "call", V4, ports[0]))
    worker.settle()
    for sequence in range(3):
        b.rtp.sendto(rtp(sequence), (V4, ports[0]))
    worker.tell(OpenEndpoint("a", "call", V4, port := free_pair()), SetRemote("a", a.address))
    worker.tell(Join("a", "b"), SetRemote("b", b.address))
    assert [a.heard() for _ in range(3)] == [rtp(0), rtp(1), rtp(2)]
    assert port


def test_a_held_phone_hears_nothing_and_its_reports_still_pass(worker, phones):
    a, b = phones(), phones()
    to_a, to_b = join(worker, a, b, of_a={"may_send": False})
    b.rtp.sendto(rtp(1), to_b)
    a.rtp.sendto(rtp(1), to_a)
    assert b.heard() == rtp(1)
    report = Report(7, 0x12345678, ()).pack()
    b.rtcp.sendto(report, (to_b[0], to_b[1] + 1))
    assert a.rtcp.recv(4096) == report
    a.hears_nothing()
    worker.tell(SetRemote("a", a.address))
    worker.settle()
    b.rtp.sendto(rtp(2), to_b)
    assert a.heard() == rtp(2)


def test_reports_tell_the_round_trip_and_what_was_lost_on_the_way_out(worker, phones):
    a, b = phones(), phones()
    to_a, to_b = join(worker, a, b, of_b={"rtcp_mux": True})
    a.rtp.sendto(rtp(1, ssrc=1), to_a)
    b.heard()
    a.rtcp.sendto(Report(1, 0xABCD0001, ()).pack(), (to_a[0], to_a[1] + 1))
    assert b.heard() == Report(1, 0xABCD0001, ()).pack()  # on its RTP port
    answer = Report(2, None, (ReportBlock(1, 0.5, 3, 9, 80, 0xABCD0001, 0.0),)).pack()
    b.rtp.sendto(answer, to_b)
    assert a.rtcp.recv(4096) == answer
    stats = worker.stats("b")
    assert (stats.lost_out, stats.jitter_out_s) == (3, 0.01)
    assert 0.0 <= stats.round_trip_s < PATIENCE_S


KEYS = {"80": ("AES_CM_128_HMAC_SHA1_80", 30), "gcm": ("AEAD_AES_256_GCM", 44)}


def srtp_pair(name, seed):
    suite, size = KEYS[name]
    ours, theirs = bytes([seed]) * size, bytes([seed + 1]) * size
    return SrtpKeys(suite, ours, theirs), Srtp(SrtpKeys(suite, theirs, ours))


def test_srtp_on_one_side_and_on_both(worker, phones):
    a, b = phones(), phones()
    keys_a, phone_a = srtp_pair("80", 1)
    keys_b, phone_b = srtp_pair("gcm", 3)
    to_a, to_b = join(worker, a, b, of_a={"srtp": keys_a})
    a.rtp.sendto(phone_a.protect(rtp(1)), to_a)
    assert b.heard() == rtp(1)
    b.rtp.sendto(rtp(1), to_b)
    assert phone_a.unprotect(a.heard()) == rtp(1)

    worker.tell(SetRemote("b", b.address, srtp=keys_b))
    worker.settle()
    a.rtp.sendto(protected := phone_a.protect(rtp(2)), to_a)
    assert phone_b.unprotect(b.heard()) == rtp(2)
    report = Report(7, 0x12345678, ()).pack()
    a.rtcp.sendto(phone_a.protect_rtcp(report), (to_a[0], to_a[1] + 1))
    assert phone_b.unprotect_rtcp(b.rtcp.recv(4096)) == report

    a.rtp.sendto(protected, to_a)  # replayed
    a.rtp.sendto(rtp(3), to_a)  # in clear
    a.rtp.sendto(phone_a.protect(rtp(4)), to_a)
    assert phone_b.unprotect(b.heard()) == rtp(4)
    assert worker.stats("a").refused == 2


def test_an_srtp_peer_is_found_only_by_what_it_signed(worker, phones):
    a, b, stranger, elsewhere = phones(), phones(), phones("127.0.0.9"), phones("127.0.0.8")
    keys, phone = srtp_pair("80", 1)
    to_a, _ = join(worker, a, b, of_a={"srtp": keys})
    stranger.rtp.sendto(rtp(1, ssrc=66), to_a)
    elsewhere.rtp.sendto(phone.protect(rtp(2)), to_a)
    assert b.heard() == rtp(2)
    assert worker.events(Latched) == Latched("a", elsewhere.address)


def test_payload_types_are_translated_where_ordered(worker, phones):
    a, b = phones(), phones()
    to_a, _ = join(worker, a, b, of_a={"payload_map": ((101, 96),)})
    a.rtp.sendto(rtp(1, payload_type=101), to_a)
    assert b.heard() == rtp(1, payload_type=96)
    a.rtp.sendto(rtp(2), to_a)
    assert b.heard() == rtp(2)


def test_parted_and_joined_anew_with_another(worker, phones):
    a, b, c = phones(), phones(), phones()
    to_a, to_b = join(worker, a, b)
    worker.tell(OpenEndpoint("c", "call", V4, free_pair()), SetRemote("c", c.address))
    worker.tell(Part("a"), Join("a", "c"))
    worker.settle()
    a.rtp.sendto(rtp(1), to_a)
    assert c.heard() == rtp(1)
    b.rtp.sendto(rtp(1), to_b)
    worker.settle()
    a.hears_nothing()


def test_a_peer_that_is_not_there_disturbs_nobody(worker, phones):
    a, b = phones(), phones()
    to_a, to_b = join(worker, a, b)
    b.close()
    for sequence in range(5):
        a.rtp.sendto(rtp(sequence), to_a)
        worker.settle()
    assert worker.stats("a").packets_in == 5
    assert to_b


def test_a_taken_port_is_reported_and_neither_of_the_pair_kept(worker, phones):
    port = free_pair()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind((V4, port + 1))
        worker.tell(OpenEndpoint("a", "call", V4, port))
        failed = worker.events(EndpointFailed)
        assert (failed.endpoint, failed.why) == ("a", "Address already in use")
    worker.tell(OpenEndpoint("b", "call", V4, port), CloseEndpoint("b"))
    assert worker.events(EndpointClosed).endpoint == "b"


def test_an_order_that_cannot_be_carried_out_hurts_its_endpoint_alone(worker, phones):
    a, b = phones(), phones()
    join(worker, a, b)
    worker.tell(OpenEndpoint("c", "other", V4, free_pair()), SetRemote("c", (V4, 4000), clock_rates=((0,),)))
    failed = worker.events(EndpointFailed)
    assert failed.endpoint == "c"
    assert "bug" in failed.why
    assert worker.stats("a").packets_in == 0


def test_no_other_program_may_share_our_port(worker, phones):
    a, b = phones(), phones()
    to_a, _ = join(worker, a, b)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(to_a)


def test_closed_endpoints_leave_nothing_open(worker, phones):
    a, b = phones(), phones()
    folder = Path(f"/proc/{worker.popen.pid}/fd")
    worker.settle()
    before = len(list(folder.iterdir()))
    for _ in range(100):
        to_a, _ = join(worker, a, b)
        a.rtp.sendto(rtp(1), to_a)
        b.heard()
        worker.tell(CloseEndpoint("a"), CloseEndpoint("b"))
        worker.settle()
    assert len(list(folder.iterdir())) == before


def test_silence_is_told_once_and_its_end_too(phones):
    worker = Process(silence_s=0.1)
    try:
        a, b = phones(), phones()
        to_a, _ = join(worker, a, b, of_b={"may_receive": False})
        assert worker.events(Silent) == Silent("a", 0.1)
        a.rtp.sendto(rtp(1), to_a)
        assert worker.events((Silent, Resumed)) == Resumed("a")
    finally:
        assert worker.end() == 0


def test_a_key_is_told_at_once_though_nothing_else_is_to_be_done(phones):
    ours, theirs = socket.socketpair()
    worker, phone = Worker(theirs, 30.0), phones()
    agreed = SetRemote("a", phone.address, clock_rates=((101, 8_000),), telephone_event=101)
    ours.sendall(encode(OpenEndpoint("a", "call", V4, free_pair())) + encode(agreed))
    worker._receive_orders(0.0)
    pressed = Packet(101, 1, 800, 7, TelephoneEvent(11, False, 10, 160).pack(), marker=True).pack()
    worker.signalled(worker._endpoints["a"], pressed, 0.0)
    ours.setblocking(False)
    assert Decoder().feed(ours.recv(4096)) == [Digit("a", "#", 800)]
    ours.close()
    worker.run()


def test_interrupts_are_the_cores_business(worker):
    worker.settle()
    os.kill(worker.popen.pid, signal.SIGINT)
    os.kill(worker.popen.pid, signal.SIGTERM)
    worker.settle()


def test_when_the_core_dies_the_worker_ends():
    worker = Process()
    worker.settle()
    assert worker.end() == 0  # else it is killed after some time, and that raises


def test_the_ports_of_these_tests_are_no_other_process_s():
    port = free_pair()
    with ExitStack() as claims:
        assert not claim(port - port % CELL, claims)


def test_a_pair_is_free_when_neither_port_is_anybodys(phones):
    port = free_pair()
    assert is_pair_free(port)
    for host in (V4, V6):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        for number in (port, port + 1):
            with socket.socket(family, socket.SOCK_DGRAM) as other:
                other.bind((host, number))
                assert not is_pair_free(port)
                assert number in ports_in_use()
        assert not {port, port + 1} & ports_in_use()


def test_a_host_without_ipv6_sees_which_pairs_are_free(monkeypatch):
    monkeypatch.setattr(probe, "_has_both_families", lambda: False)
    port = free_pair()
    assert is_pair_free(port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((V4, port + 1))
        assert not is_pair_free(port)


def test_where_the_pbx_speaks_itself_it_reports_and_learns_the_round_trip(worker, phones):
    a = phones()
    port = free_pair()
    worker.tell(OpenEndpoint("a", "call", V4, port))
    worker.tell(SetRemote("a", a.address, codecs=((0, "PCMU"),), heard_codecs=((0, "PCMU"),)))
    worker.tell(Mix("a", "echo", echo=True))
    worker.settle()
    a.rtp.sendto(rtp(1), (V4, port))
    said = unpack(a.heard())
    (report,) = reports(a.rtcp.recv(4096))
    assert report.ssrc == said.ssrc
    assert [block.ssrc for block in report.blocks] == [7]
    answer = Report(7, None, (ReportBlock(report.ssrc, 0.0, 0, 9, 80, report.sr_id, 0.0),))
    a.rtcp.sendto(answer.pack(), (V4, port + 1))
    worker.settle()
    stats = worker.stats("a")
    assert 0.0 <= stats.round_trip_s < PATIENCE_S
    assert stats.jitter_out_s == 0.01
