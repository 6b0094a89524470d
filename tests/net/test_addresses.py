"""What is an address of ours, and which one a peer is told."""

from ipaddress import ip_address

import pytest

from pbx.net import addresses as module
from pbx.net.addresses import Advertiser, LocalAddresses, parse_ip, read_addresses
from pbx.sip.flow import Flow

OURS = frozenset(map(ip_address, ("192.0.2.5", "10.0.0.5", "127.0.0.1", "::1", "2001:db8::5", "fe80::5")))
ROUTES = {"192.0.2.77": "192.0.2.5", "2001:db8::77": "2001:db8::5"}


class System:
    """A machine whose addresses and routes the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self.addresses = OURS
        self.routes = dict(ROUTES)
        self.asked = 0

    def read(self):
        self.asked += 1
        return self.addresses

    def make(self, known_as=()):
        return LocalAddresses(lambda: self.now, known_as, self.read, self.routes.get)


HOSTS = {
    "192.0.2.5": True,
    "192.0.2.6": False,
    "127.0.0.1": True,
    "127.9.8.7": True,
    "localhost": True,
    "LocalHost.": True,
    "::1": True,
    "[::1]": True,
    "[2001:DB8:0::5]": True,
    "2001:db8::6": False,
    "fe80::5%eth0": True,
    "::ffff:192.0.2.5": True,
    "::ffff:127.0.0.1": True,
    "203.0.113.9": True,  # the advertised one
    "pbx.example": True,  # a name of this server
    "PBX.example.": True,
    "other.example": False,
    "192.0.2": False,
    "": False,
    "0.0.0.0": False,
}


@pytest.mark.parametrize(("host", "is_local"), HOSTS.items())
def test_is_local_host(host, is_local):
    ours = System().make(known_as=["203.0.113.9", "pbx.example", ""])
    assert ours.is_local_host(host) is is_local
    assert ours.is_local_host(host) is is_local  # out of the cache


def test_a_new_address_is_noticed_within_seconds_and_not_at_each_question():
    system = System()
    ours = system.make()
    assert not ours.is_local_host("192.0.2.99")
    system.addresses = OURS | {ip_address("192.0.2.99")}
    system.now = 4.9
    assert not ours.is_local_host("192.0.2.99")
    assert system.asked == 1
    system.now = 5.0
    assert ours.is_local_host("192.0.2.99")


def test_addresses_are_listed_the_useful_ones_first():
    assert System().make().all() == ("10.0.0.5", "192.0.2.5", "2001:db8::5", "fe80::5", "127.0.0.1", "::1")


def test_the_route_is_asked_once_for_a_peer_and_again_later():
    system = System()
    ours = system.make()
    assert ours.source_for("192.0.2.77") == "192.0.2.5"
    assert ours.source_for("198.51.100.1") is None
    system.routes.clear()
    assert ours.source_for("192.0.2.77") == "192.0.2.5"
    system.now = 5.0
    assert ours.source_for("192.0.2.77") is None


def test_caches_stay_small_whatever_strangers_ask():
    ours = System().make()
    for number in range(3000):
        ours.is_local_host(f"h{number}.example")
        ours.source_for(f"h{number}")
    assert len(ours._answers) <= 1024
    assert len(ours._sources) <= 1024


LOCAL = ["10.0.0.0/8", "192.0.2.0/24", "127.0.0.0/8"]
ADVERTISED = {
    "auto: the address that the flow has": ("auto", "198.51.100.1", "192.0.2.5", "192.0.2.5"),
    "outside: the configured address": ("203.0.113.9", "198.51.100.1", "192.0.2.5", "203.0.113.9"),
    "inside: the address that the flow has": ("203.0.113.9", "10.1.2.3", "10.0.0.5", "10.0.0.5"),
    "loopback is inside": ("203.0.113.9", "127.0.0.1", "127.0.0.2", "127.0.0.2"),
    "this machine is inside": ("203.0.113.9", "2001:db8::5", "2001:db8::5", "2001:db8::5"),
    "the link is inside": ("2001:db8:1::1", "fe80::77", "fe80::5", "fe80::5"),
    "the other family's address is no use": ("203.0.113.9", "2001:db8:2::1", "2001:db8::5", "2001:db8::5"),
    "IPv6, outside": ("[2001:db8:1::1]", "2001:db8:2::1", "2001:db8::5", "2001:db8:1::1"),
}


@pytest.mark.parametrize(("advertise", "peer", "local", "told"), ADVERTISED.values(), ids=ADVERTISED)
def test_advertised(advertise, peer, local, told):
    advertiser = Advertiser(advertise, LOCAL, System().make())
    assert advertiser.advertised(Flow("UDP", (peer, 5060), (local, 5060))) == told


def test_the_kernel_is_asked_and_knows_loopback():
    assert ip_address("127.0.0.1") in read_addresses()


def test_without_netlink_there_is_still_an_answer(monkeypatch):
    monkeypatch.delattr(module.socket, "AF_NETLINK")
    assert all(parse_ip(str(address)) == address for address in read_addresses())


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_a_cut_answer_of_the_kernel_ends_the_reading(cut):
    whole = bytes.fromhex(
        "2c0000001400020001000000000000000208800001000000080001007f000001080002007f0000010800030000000000"
    )
    parts = iter([whole[:cut], b""])
    found = list(module._read_dump(lambda _size: next(parts)))
    assert found in ([], [ip_address("127.0.0.1")])
