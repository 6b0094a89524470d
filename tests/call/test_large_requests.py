"""A request over 1300 bytes goes by TCP where the phone has it (RFC 3261 §18.1.1)."""

from pbx.sip.flow import Flow
from tests.call.world import hang_up

VIDEO = "m=video 40002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\n" + "".join(
    f"a=x-filler-{number}:0123456789012345678901234567890123456789\r\n" for number in range(16)
)


def by(phone, method):
    """The transport that the last request of a method came by."""
    return phone.came_by[id(phone.last(method))]


def test_a_small_invite_goes_by_udp(world, ann, bob):
    bob.takes_tcp = True
    ann.invite("101")
    assert by(bob, "INVITE") == "UDP"
    bob.respond(bob.last("INVITE"), 486)
    world.assert_nothing_left()


def test_a_large_invite_goes_by_tcp_to_a_phone_that_listens_there(world, ann, bob):
    bob.takes_tcp = True
    ann.invite("101", ann.sdp() + VIDEO)
    assert by(bob, "INVITE") == "TCP"
    assert bob.last("INVITE").via.transport == "TCP"
    assert len(bob.last("INVITE").render()) > 1300
    bob.flow = Flow("TCP", bob.address, bob.flow.local)
    bob.answer()
    ann.ack()
    hang_up(world, ann, bob)


def test_a_phone_without_tcp_gets_it_by_udp_and_is_not_asked_again(world, ann, bob):
    for _ in range(2):
        bob.received.clear()
        ann.received.clear()
        ann.invite("101", ann.sdp() + VIDEO)
        assert by(bob, "INVITE") == "UDP"
        bob.respond(bob.last("INVITE"), 486)
        assert ann.statuses()[-1] == 486
    assert len(world.exchange.stack._no_tcp) == 1
    world.assert_nothing_left()


def test_phones_without_tcp_are_not_remembered_without_end(world, ann, bob, eve, monkeypatch):
    monkeypatch.setattr("pbx.sip.stack.MOST_WITHOUT_TCP", 1)
    for phone in (bob, eve):
        ann.invite(phone.username, ann.sdp() + VIDEO)
        phone.respond(phone.last("INVITE"), 486)
    assert list(world.exchange.stack._no_tcp) == [eve.address]
    world.assert_nothing_left()


def test_behind_nat_there_is_no_other_way_than_udp(world, ann):
    bob = world.phone("101", via="SIP/2.0/UDP 10.0.0.7:5060")
    bob.takes_tcp = True
    ann.invite("101", ann.sdp() + VIDEO)
    assert by(bob, "INVITE") == "UDP"
    bob.respond(bob.last("INVITE"), 486)
    world.assert_nothing_left()
