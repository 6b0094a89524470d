"""The scenarios of test_loopback.py, with a real reactor and real sockets, in a process of their own.

Usage: loopback.py FOLDER SCENARIO ... What happened in each is printed as a line of JSON.
"""

import gc
import json
import socket
import sys
import traceback
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from ssl import CERT_NONE, create_default_context

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)

from twisted.internet import epollreactor  # noqa: E402

epollreactor.install()

from OpenSSL import SSL  # noqa: E402
from twisted.internet import defer, protocol, reactor, ssl, task, threads  # noqa: E402
from twisted.internet.error import ConnectionRefusedError  # noqa: A004, E402
from twisted.names import dns, server  # noqa: E402

from pbx.errors import ConfigError  # noqa: E402
from pbx.net.addresses import LocalAddresses  # noqa: E402
from pbx.net.driver import Driver  # noqa: E402
from pbx.net.resolve import DnsClient, Resolver, UnresolvedError  # noqa: E402
from pbx.net.stream import StreamConnection, StreamLimits  # noqa: E402
from pbx.net.tls import ServerCertificate, TrustedServers, ensure_certificate  # noqa: E402
from pbx.net.transports import Transports  # noqa: E402
from pbx.sip.message import Request, make_response  # noqa: E402
from pbx.sip.parser import parse_datagram  # noqa: E402
from pbx.sip.uri import parse_uri  # noqa: E402
from tests.support.messages import make_request  # noqa: E402

FOLDER = Path(sys.argv[1])
NOW = datetime.now(UTC)
LOOPBACK = "127.0.0.1"


def options(branch="1", body=b""):
    return make_request("OPTIONS", branch=f"z9hG4bK-{branch}", call_id=f"{branch}@test", body=body).render()


def first_line(data):
    return data.decode().split("\r\n")[0]


class Echo:
    """A machine that answers each request with 200 and writes everything down."""

    deadline = None

    def __init__(self):
        self.seen = []
        self.has_registrations = False
        self.waiting = []

    def expire(self, _now):
        return []

    def receive(self, data, flow, now):
        return self.receive_message(parse_datagram(data), flow, now)

    def receive_message(self, message, flow, _now):
        if isinstance(message, Request):
            self.note("request", flow)
            return [(make_response(message, 200).render(), flow)]
        self.note("response", flow)
        return []

    def receive_malformed(self, what, flow, _now):
        self.note("malformed", flow)
        return [(make_response(what.request, what.status, what.reason).render(), flow)]

    def flow_lost(self, flow, why, _now):
        self.note("lost", flow, why)
        return []

    def keeps(self, _flow):
        return self.has_registrations

    def note(self, kind, flow, *more):
        self.seen.append([kind, flow, *more])
        for each in self.waiting[:]:
            if kind in each[0] and len([note for note in self.seen if note[0] in each[0]]) >= each[1]:
                self.waiting.remove(each)
                each[2].callback(self.seen[-1])

    def kinds(self):
        return [note[0] for note in self.seen]

    def until(self, *kinds, count=1):
        """When `count` notes of these kinds are there; the last one comes back."""
        done = defer.Deferred()
        self.waiting.append((kinds, count, done))
        return done.addTimeout(60, reactor)


class Server:
    """A whole set of transports with an Echo behind it."""

    def __init__(self, limits=None, trusted=None, **where):
        self.machine = Echo()
        self.driver = Driver(self.machine, reactor, lambda effect: self.transports.send(*effect))
        addresses = LocalAddresses(reactor.seconds)
        self.transports = Transports(
            reactor, self.driver, self.machine, addresses, trusted=trusted, limits=limits
        )
        self.transports.listen(**where)

    def port(self, transport, index=0):
        return [each.port for each in self.transports.listening if each.transport == transport][index]


class Phone(protocol.Protocol):
    """One end of a TCP or TLS connection."""

    def __init__(self):
        self.heard = b""
        self._gone = defer.Deferred()
        self._wanted = None

    def dataReceived(self, data):  # noqa: N802
        self.heard += data
        if self._wanted is not None and self._wanted[0] in self.heard:
            wanted, self._wanted = self._wanted, None
            wanted[1].callback(None)

    def connectionLost(self, _reason=None):  # noqa: N802
        self._gone.callback("cut")

    def until(self, text):
        """When `text` has been heard."""
        done = defer.Deferred()
        self._wanted = (text, done)
        self.dataReceived(b"")
        return done.addTimeout(60, reactor)

    def until_gone(self):
        return self._gone.addTimeout(60, reactor)

    async def ask(self, data=None):
        """Send a message, and wait for the answer's end."""
        self.heard = b""
        self.transport.write(data or options())
        await self.until(b"\r\n\r\n")
        return self.heard

    async def hang_up(self):
        self.transport.loseConnection()
        await self.until_gone()


class UdpPhone(protocol.DatagramProtocol):
    """A UDP socket and what it heard."""

    def __init__(self, host=LOOPBACK):
        self.heard = []
        self._wanted = None
        self.listening = reactor.listenUDP(0, self, interface=host, maxPacketSize=65536)

    def datagramReceived(self, data, addr):  # noqa: N802
        self.heard.append((data, addr))
        self._look()

    def until(self, count):
        done = defer.Deferred()
        self._wanted = (count, done)
        self._look()
        return done.addTimeout(60, reactor)

    def _look(self):
        if self._wanted is not None and len(self.heard) >= self._wanted[0]:
            wanted, self._wanted = self._wanted, None
            wanted[1].callback(self.heard[-1])


async def connect(port, host=LOOPBACK, tls=None):
    creator = protocol.ClientCreator(reactor, Phone)
    if tls is None:
        return await creator.connectTCP(host, port, timeout=60)
    return await creator.connectSSL(host, port, tls, timeout=60)


def make_tls_server(name, limits=None):
    pair = ensure_certificate(FOLDER / name, lambda: [f"{name}.example", LOOPBACK], NOW)
    return Server(limits, tls=[f"{LOOPBACK}:0"], certificate=ServerCertificate(*pair)), pair


async def udp_answers_from_the_asked_address():
    here = Server(udp=["0.0.0.0:0", "[::]:0"])
    result = {}
    for host, port in (
        (LOOPBACK, here.port("UDP")),
        ("127.0.0.2", here.port("UDP")),
        ("::1", here.port("UDP", 1)),
    ):
        phone = UdpPhone("::1" if ":" in host else LOOPBACK)
        phone.transport.write(options(), (host, port))
        data, addr = await phone.until(1)
        result[host] = [first_line(data), addr[0], addr[1] == port]
        await phone.listening.stopListening()
    result["local"] = [note[1].local[0] for note in here.machine.seen]
    await here.transports.stop()
    return result


async def udp_burst_is_taken_whole_and_timers_get_their_turn():
    here = Server(udp=[f"{LOOPBACK}:0"])
    phone = UdpPhone()
    for _ in range(200):
        phone.transport.write(options(), (LOOPBACK, here.port("UDP")))
    taken_at_timer = []
    first = here.machine.until("request")
    first.addCallback(lambda _: reactor.callLater(0, lambda: taken_at_timer.append(len(here.machine.seen))))
    await phone.until(200)
    await phone.listening.stopListening()
    await here.transports.stop()
    return {"answers": len(phone.heard), "timer first": taken_at_timer[0] < 200}


async def udp_troubles_hurt_nobody():
    here = Server(udp=["0.0.0.0:0"])
    phone = UdpPhone()
    nobody = here.transports.flow_to("UDP", (LOOPBACK, 1))
    here.transports.send(options(), nobody)  # the ICMP answer comes back to this socket
    here.transports.send(options(), nobody)
    phone.transport.write(b"\r\n\r\n", (LOOPBACK, here.port("UDP")))
    phone.transport.write(options(), (LOOPBACK, here.port("UDP")))
    data, addr = await phone.until(1)
    seen = here.machine.kinds()
    here.transports.send(b"x" * 70_000, nobody)
    too_large = here.machine.seen[-1]
    number = phone.listening.getHost().port
    here.transports.send(options(), nobody._replace(peer=(LOOPBACK, number), local=("198.51.100.1", addr[1])))
    await phone.until(2)
    await phone.listening.stopListening()
    await here.transports.stop()
    return {
        "answer": first_line(data),
        "seen": seen,
        "too large": [too_large[0], too_large[2]],
        "stale source": "arrived",
    }


async def tcp_both_ways():
    here = Server(tcp=[f"{LOOPBACK}:0", "[::1]:0"])
    there = Server(tcp=[f"{LOOPBACK}:0", "[::1]:0"])
    result = {}
    for index, host in enumerate((LOOPBACK, "::1")):
        flow = here.transports.flow_to("TCP", (host, there.port("TCP", index)))
        answers = here.machine.until("response", count=3 * (index + 1))
        for branch in "abc":  # all before it is connected
            here.transports.send(options(branch), flow)
        note = await answers
        flows = {note[1] for note in there.machine.seen if note[1].local[0] == host}
        result[host] = {
            "connections": len(flows),
            "local": note[1] == flow and flow.local == (host, here.port("TCP", index)),
        }
    lost = there.machine.until("lost")
    await here.transports.stop()
    result["lost"] = (await lost)[2]
    await there.transports.stop()
    return result


async def tcp_ping_rubbish_and_refusal():
    here = Server(tcp=[f"{LOOPBACK}:0"])
    phone = await connect(here.port("TCP"))
    phone.transport.write(b"\r\n\r\n")
    await phone.until(b"\r\n")
    pong = phone.heard
    answer = await phone.ask()
    malformed = await phone.ask(options().replace(b"Content-Length: 0\r\n", b""))
    await phone.until_gone()
    lost = here.machine.until("lost", count=2)
    here.transports.send(options(), here.transports.flow_to("TCP", (LOOPBACK, 1)))
    why = (await lost)[2]
    await here.transports.stop()
    return {
        "pong": pong.decode(),
        "answer": first_line(answer),
        "malformed": first_line(malformed),
        "refused": why,
    }


async def tcp_deaf_peer_is_cut():
    here = Server(StreamLimits(stalled_bytes=100_000), tcp=[f"{LOOPBACK}:0"])
    deaf = socket.create_connection((LOOPBACK, here.port("TCP")))
    asked = here.machine.until("request")
    deaf.sendall(options())
    flow = (await asked)[1]
    lost = here.machine.until("lost")
    for _ in range(400):  # more than the kernel's buffers of both sides hold
        here.transports.send(b"x" * 50_000, flow)
    why = (await lost)[2]
    deaf.close()
    await here.transports.stop()
    return {"why": why}


async def tcp_flood_is_taken_in_turns():
    here = Server(tcp=[f"{LOOPBACK}:0"])
    callers = [socket.create_connection((LOOPBACK, here.port("TCP"))) for _ in range(50)]
    taken = [0]
    while taken[-1] < len(callers):
        await task.deferLater(reactor, 0)
        taken.append(len(here.transports._streams))
    for caller in callers:
        caller.close()
    await here.transports.stop()
    return {"most in one turn": max(after - before for before, after in pairwise(taken))}


async def tls_both_ways():
    there, (authority, _) = make_tls_server("there")
    other, _ = ensure_certificate(FOLDER / "other", lambda: ["there.example"], NOW)
    result = {}
    for case, trusted, name in (
        ("trusted by address", authority, ""),
        ("trusted by name", authority, "there.example"),
        ("another name", authority, "elsewhere.example"),
        ("another authority", other, ""),
        ("the system's authorities", None, ""),
    ):
        here = Server(trusted=TrustedServers(trusted))
        flow = here.transports.flow_to("TLS", (LOOPBACK, there.port("TLS")), name)
        outcome = here.machine.until("response", "lost")
        here.transports.send(options(), flow)
        note = await outcome
        result[case] = [note[0], *note[2:]]
        await here.transports.stop()
    await there.transports.stop()
    return result


async def tls_certificate_is_reloaded():
    here, (certificate, key) = make_tls_server("first")

    async def subject():
        phone = await connect(here.port("TLS"), tls=ssl.CertificateOptions())
        await phone.ask()
        shown = phone.transport.getHandle().get_peer_certificate(as_cryptography=True)
        await phone.hang_up()
        return shown.subject.rfc4514_string().removeprefix("CN=")

    names = [await subject()]
    certificate.write_bytes(b"rubbish")
    names.append(await subject())
    fresh = ensure_certificate(FOLDER / "second", lambda: ["second.example"], NOW)
    key.write_bytes(fresh[1].read_bytes())
    certificate.write_bytes(fresh[0].read_bytes())
    names.append(await subject())
    await here.transports.stop()
    return {"names": names}


async def tls_versions_and_silence():
    here, _ = make_tls_server("own")
    hasty, _ = make_tls_server("own", StreamLimits(handshake_s=0.3))
    result = {}
    for version in ("TLSv1_1", "TLSv1_2", "TLSv1_3"):
        exact = getattr(ssl.TLSVersion, version)
        exactly = ssl.CertificateOptions(insecurelyLowerMinimumTo=exact, lowerMaximumSecurityTo=exact)
        phone = await connect(here.port("TLS"), tls=exactly)
        if version == "TLSv1_1":
            phone.transport.write(options())
            await phone.until_gone()
        else:
            await phone.ask()
            await phone.hang_up()
        result[version] = b"200 OK" in phone.heard
    silent = await connect(hasty.port("TLS"))
    result["silent"] = await silent.until_gone()
    result["told"] = hasty.machine.seen
    await here.transports.stop()
    await hasty.transports.stop()
    return result


async def tls_refuses_one_too_many():
    here, _ = make_tls_server("own", StreamLimits(per_address=1))
    here.machine.has_registrations = True
    first = await connect(here.port("TLS"), tls=ssl.CertificateOptions())
    await first.ask()
    second = await connect(here.port("TLS"), tls=ssl.CertificateOptions())
    result = {"second": await second.until_gone(), "first": b"200 OK" in await first.ask()}
    await here.transports.stop()
    return result


def count_files():
    return len(list(Path("/proc/self/fd").iterdir()))


async def closed_connections_leave_nothing():
    here, _ = make_tls_server("own")
    here.transports.listen(tcp=[f"{LOOPBACK}:0"])
    gc.collect()
    gc.disable()  # what only the collector frees makes its pauses
    files = None
    for tls in (None, ssl.CertificateOptions()):
        for _ in range(10):
            phone = await connect(here.port("TCP" if tls is None else "TLS"), tls=tls)
            await phone.ask()
            lost = here.machine.until("lost")
            here.machine.seen.clear()
            await phone.hang_up()
            await lost
            files = files or count_files()  # the reactor has opened its own by now
    left = [each for each in gc.get_objects() if isinstance(each, StreamConnection)]
    result = {"connections": len(left), "files": count_files() - files}
    await here.transports.stop()
    return result


def ask_and_vanish(port):
    """Over TLS, with no word of good-bye."""
    trusting = create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, CERT_NONE
    with socket.create_connection((LOOPBACK, port)) as plain, trusting.wrap_socket(plain) as phone:
        phone.sendall(options())
        phone.recv(65536)


async def tls_peers_that_vanish_leave_nothing():
    here, _ = make_tls_server("own")
    gc.collect()
    gc.disable()
    for _ in range(5):
        lost = here.machine.until("lost")
        here.machine.seen.clear()
        await threads.deferToThread(ask_and_vanish, here.port("TLS"))
        await lost
        await task.deferLater(reactor, 0)  # for those who have just told
    left = [each for each in gc.get_objects() if isinstance(each, (StreamConnection, SSL.Connection))]
    await here.transports.stop()
    return {"connections": len(left)}


async def stop_flushes_and_closes():
    here = Server(udp=[f"{LOOPBACK}:0"], tcp=[f"{LOOPBACK}:0"])
    port = here.port("TCP")
    phone = await connect(port)
    await phone.ask()
    here.transports.send(options("last"), here.machine.seen[0][1])
    await here.transports.stop()
    await phone.until_gone()
    try:
        await connect(port)
    except ConnectionRefusedError as error:
        refused = type(error).__name__
    else:
        refused = ""
    left = [str(each) for each in reactor.getReaders() if "waker" not in str(each).lower()]
    return {
        "last": b"last@test" in phone.heard,
        "refused": refused,
        "notes": here.machine.kinds(),
        "left": left,
    }


async def listening_is_all_or_nothing():
    with socket.socket() as taken, socket.socket(type=socket.SOCK_DGRAM) as free:
        taken.bind((LOOPBACK, 0))
        taken.listen()
        free.bind((LOOPBACK, 0))
        udp = free.getsockname()[1]
        free.close()
        try:
            Server(udp=[f"{LOOPBACK}:{udp}"], tcp=[f"{LOOPBACK}:{taken.getsockname()[1]}"])
        except ConfigError as error:
            key = error.key
    with socket.socket(type=socket.SOCK_DGRAM) as again:
        again.bind((LOOPBACK, udp))
    return {"key": key, "udp is free": True}


RECORDS = {
    (dns.NAPTR, "office.example"): [
        dns.Record_NAPTR(20, 0, b"s", b"SIP+D2U", b"", b"_sip._udp.office.example"),
        dns.Record_NAPTR(10, 0, b"s", b"SIP+D2T", b"", b"_sip._tcp.office.example"),
    ],
    (dns.SRV, "_sip._tcp.office.example"): [
        dns.Record_SRV(2, 0, 5071, b"b.office.example"),
        dns.Record_SRV(1, 0, 5070, b"a.office.example"),
    ],
    (dns.SRV, "_sip._udp.office.example"): [dns.Record_SRV(1, 0, 5072, b"a.office.example")],
    # More than fits into a datagram: the client asks again over TCP.
    (dns.SRV, "_sip._udp.large.example"): [
        dns.Record_SRV(n, 0, 6000 + n, b"a.office.example") for n in range(20)
    ],
    (dns.A, "a.office.example"): [dns.Record_A("127.0.0.7")],
    (dns.A, "b.office.example"): [dns.Record_A("127.0.0.8")],
    (dns.A, "alias.example"): [dns.Record_CNAME(b"a.office.example")],
}


class Zone:
    """A name server of RECORDS."""

    def __init__(self):
        self.asked = 0

    def query(self, query, timeout=None):
        self.asked += 1
        name = str(query.name)
        found = RECORDS.get((query.type, name.lower()))
        if found is None and not any(each == name for _, each in RECORDS):
            return defer.fail(dns.DomainError())
        headers = [dns.RRHeader(name, record.TYPE, payload=record, ttl=60) for record in found or []]
        return defer.succeed((headers, [], []))


async def dns_is_asked():
    zone = Zone()
    factory = server.DNSServerFactory(clients=[zone])
    streams = reactor.listenTCP(0, factory, interface=LOOPBACK)
    port = streams.getHost().port
    listening = reactor.listenUDP(port, dns.DNSDatagramProtocol(factory), interface=LOOPBACK)
    dns_client = DnsClient(reactor, [(LOOPBACK, port)], FOLDER / "no-hosts")
    resolver = Resolver(dns_client, reactor, lambda _limit: 0)
    result = {}
    for uri in ("sip:office.example", "sip:alias.example:5080", "sip:nobody.example"):
        try:
            result[uri] = await resolver.resolve(parse_uri(uri))
        except UnresolvedError as error:
            result[uri] = str(error)
    before = zone.asked
    await resolver.resolve(parse_uri("sip:office.example"))
    result["asked again"] = zone.asked - before
    large = await resolver.resolve(parse_uri("sip:large.example;transport=udp"))
    result["of a large answer"] = [each.port for each in large] == [6000 + n for n in range(20)]
    for each in (listening, streams):
        await each.stopListening()
    return result


async def run(names):
    """Each scenario's result, or what it failed with."""
    for name in names:
        try:
            result = await defer.ensureDeferred(globals()[name]()).addTimeout(40, reactor)
        except Exception:
            result = traceback.format_exc()
        print(json.dumps({name: result}), flush=True)


if __name__ == "__main__":
    task.react(lambda _reactor: defer.ensureDeferred(run(sys.argv[2:])))
