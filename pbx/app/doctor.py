"""What is wrong, in words (`pbx doctor`). It only looks, and asks nobody but the DNS, about trunks."""

import os
import resource
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from pbx.app.client import ServerGoneError, ask
from pbx.app.folder import is_open_to_others
from pbx.config import Config, Listen
from pbx.errors import PbxError
from pbx.net.addresses import LocalAddresses, parse_ip
from pbx.net.tls import CERTIFICATE_FILE
from pbx.office.snapshot import Office
from pbx.rtp.kernel.joins import forwards
from pbx.rtp.kernel.table import HOW_TO_ALLOW, may_administer
from pbx.sip.uri import SipUri, parse_uri
from pbx.store.store import has_database, open_store

EXPIRES_SOON: Final = timedelta(days=21)
LEAST_FREE_BYTES: Final = 500 * 2**20
LEGS: Final = 2  # of a call; each has a pair of RTP ports
FILES_PER_CALL: Final = (
    LEGS * 4
)  # RTP and RTCP, and of each a second socket once the phone's address is known
FILES_BESIDE: Final = 256

LookUp = Callable[[Sequence[str]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    ok: bool
    what: str
    says: str


def examine(config: Config, look_up: LookUp | None = None) -> list[Finding]:
    """Look at everything; nothing is changed.

    Args:
        look_up: why SIP URIs lead nowhere, "" = they do not; the DNS by default.
    """
    database, office = _database(config)
    status = _status(config)
    running = status is not None
    findings = [database, Finding(True, "server", "running" if running else "not running")]
    findings += _folder(config.server.data)
    findings += [] if running else _ports(config)
    addresses = _outside_addresses()
    findings.append(_addresses(config, addresses))
    if config.sip.tls:
        findings.append(_certificate(config, addresses))
    findings.append(_room_for_calls(config))
    findings.append(_open_files(config, office))
    findings += _kernel(config, status)
    if office is not None:
        findings += _tls_devices(config, office)
        findings += _outside_servers(office, look_up)
    findings.append(_mail(config))
    return findings


def _database(config: Config) -> tuple[Finding, Office | None]:
    empty = Finding(True, "database", "empty: the first `pbx serve` loads a demo office")
    if not has_database(config.database.url):
        return empty, None
    try:
        store = open_store(config.database.url)
        try:
            office, revision = store.load()
        finally:
            store.close()
    except PbxError as error:
        return Finding(False, "database", str(error)), None
    if office is None:
        return empty, None
    if office.realm != config.server.domain:
        says = (
            f"the passwords in it are for the domain {office.realm}, server.domain is {config.server.domain}"
        )
        return Finding(False, "database", f"{says}: the server will not start"), office
    return Finding(True, "database", f"{len(office.extensions)} extensions, revision {revision}"), office


def _status(config: Config) -> Mapping[str, Any] | None:
    """What the running server says of itself; None: there is none."""
    try:
        answer: Mapping[str, Any] = ask(config.server.data, "status")
    except ServerGoneError:
        return None
    except PbxError:
        return {}  # it listens, and is slow
    return answer


def _folder(data: Path) -> Iterator[Finding]:
    place = next(each for each in (data, *data.parents) if each.exists())
    if place == data and is_open_to_others(data):
        yield Finding(False, "server.data", f"others can look into {data}: chmod 700 {data}")
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding(False, "server.data", f"this user may not write in {place}")
    free = shutil.disk_usage(place).free
    yield Finding(free >= LEAST_FREE_BYTES, "disk", f"{free // 2**20:,} MiB are free for {data}")


def _ports(config: Config) -> Iterator[Finding]:
    kinds = (("udp", socket.SOCK_DGRAM), ("tcp", socket.SOCK_STREAM), ("tls", socket.SOCK_STREAM))
    listens = [(name, each, kind) for name, kind in kinds for each in getattr(config.sip, name)]
    if not listens:
        yield Finding(False, "sip", "udp, tcp and tls are all []: no phone can register")
    for name, each, kind in listens:
        yield _port(name, each, kind)


def _port(name: str, listen: Listen, kind: socket.SocketKind) -> Finding:
    what = f"sip.{name} {listen}"
    try:
        with socket.socket(socket.AF_INET6 if ":" in listen.host else socket.AF_INET, kind) as probe:
            if probe.family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((listen.host, listen.port))
            if kind == socket.SOCK_STREAM:
                probe.listen()
    except OSError as error:
        return Finding(False, what, f"cannot be opened: {error.strerror}")
    return Finding(True, what, "free")


def _outside_addresses() -> list[str]:
    found = LocalAddresses(lambda: 0.0).all()
    return [
        a for a in found if (ip := parse_ip(a)) is not None and not ip.is_loopback and not ip.is_link_local
    ]


def _addresses(config: Config, outside: Sequence[str]) -> Finding:
    hosts = {each.host for each in (*config.sip.udp, *config.sip.tcp, *config.sip.tls)}
    if hosts and all((ip := parse_ip(host)) is not None and ip.is_loopback for host in hosts):
        return Finding(
            False, "addresses", "sip listens on loopback alone: only phones on this machine can call"
        )
    if outside:
        return Finding(True, "addresses", f"phones reach this machine at {', '.join(outside)}")
    return Finding(False, "addresses", "this machine has no address but loopback: only phones on it can call")


def _certificate(config: Config, outside: Sequence[str]) -> Finding:
    own = config.server.data / "certificates" / CERTIFICATE_FILE
    path = config.sip.certificate or own
    if path == own and not own.exists():
        return Finding(True, "certificate", "none yet: the first `pbx serve` makes a self-signed one")
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        return Finding(False, "certificate", f"{path} cannot be read: {error}")
    end = certificate.not_valid_after_utc
    again = "delete it and start again to have a new one made" if path == own else "have it renewed"
    if end < datetime.now(UTC):
        return Finding(False, "certificate", f"{path} expired on {end:%Y-%m-%d}: {again}")
    if end < datetime.now(UTC) + EXPIRES_SOON:
        return Finding(False, "certificate", f"{path} expires on {end:%Y-%m-%d}: {again}")
    if path != own:
        return Finding(True, "certificate", f"{path} is valid until {end:%Y-%m-%d}")
    missing = sorted(set(outside) - _named_addresses(certificate))
    if missing:
        says = f"{path} does not name {', '.join(missing)}, so phones that check it refuse: {again}"
        return Finding(False, "certificate", says)
    return Finding(
        True, "certificate", f"self-signed, valid until {end:%Y-%m-%d}; phones must accept it: {path}"
    )


def _named_addresses(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {str(each) for each in names.get_values_for_type(x509.IPAddress)}


def _room_for_calls(config: Config) -> Finding:
    low, high = config.rtp.ports
    room = ((high - low) // 2 + 1) // LEGS
    says = f"{low}-{high + 1} have room for {room} calls, limits.calls is {config.limits.calls}"
    return Finding(room >= config.limits.calls, "rtp.ports", says)


def _open_files(config: Config, office: Office | None) -> Finding:
    """Of the worker that has it worst; the server raises its soft limit to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    devices = sum(len(extension.devices) for extension in office.extensions) if office is not None else 0
    workers = config.rtp.workers or os.cpu_count() or 1
    need = FILES_BESIDE + max(devices, FILES_PER_CALL * config.limits.calls // workers)
    if hard == resource.RLIM_INFINITY or hard >= need:
        return Finding(True, "open files", f"about {need} at most for limits.calls; the system allows more")
    says = f"about {need} for limits.calls = {config.limits.calls}, the system allows {hard} (ulimit -Hn)"
    return Finding(False, "open files", says)


def _kernel(config: Config, status: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Whether the kernel relays audio. That it does not is no fault: user space does it too, only slower."""
    if config.rtp.kernel == "off":
        yield Finding(True, "rtp.kernel", "off: audio is relayed in user space")
        return
    if status is None:
        may = may_administer(Path("/proc/self/status").read_text())
        says = "the kernel can relay audio, if the server runs as this user does"
        yield Finding(True, "rtp.kernel", says if may else f"audio stays in user space: {HOW_TO_ALLOW}")
        if not may:
            return
    elif (kernel := status.get("kernel")) is not None:
        why = kernel["why"]
        says = f"active, but: {why}" if why else "active: the kernel relays the audio of plain calls"
        if not kernel["active"]:
            yield Finding(True, "rtp.kernel", f"audio stays in user space: {why}")
            return
        yield Finding(not why, "rtp.kernel", says)
    for version, key in ((4, "net.ipv4.ip_forward"), (6, "net.ipv6.conf.all.forwarding")):
        if not forwards(version):
            says = f"IPv{version} calls between phones on other machines stay in user space"
            yield Finding(
                True, "rtp.kernel", f"{says}; `sysctl {key}=1` makes this machine a router, and them fast"
            )


def _tls_devices(config: Config, office: Office) -> Iterator[Finding]:
    names = [d.username for extension in office.extensions for d in extension.devices if d.tls]
    if names and not config.sip.tls:
        says = f"switched off, but these devices have tls = true and cannot register: {', '.join(names)}"
        yield Finding(False, "sip.tls", says)


def _outside_servers(office: Office, look_up: LookUp | None) -> Iterator[Finding]:
    """Where trunks and gateways lead; nothing leaves this machine when none has a name to look up."""
    rows = [("trunk", trunk.name, trunk.server) for trunk in office.trunks]
    rows += [("gateway", gateway.name, gateway.server) for gateway in office.gateways]
    names = list(dict.fromkeys(server for _, _, server in rows if not _has_address(server)))
    if names and look_up is None:
        from pbx.app.look_up import look_up_all as look_up  # noqa: PLC0415  # installs the reactor
    wrong = look_up(names) if names and look_up is not None else {}
    for kind, name, server in rows:
        why = wrong.get(server, "")
        yield Finding(
            not why, f"{kind} {name}", why or f"{server} can be found; that it answers is not tried"
        )


def _has_address(server: str) -> bool:
    uri = parse_uri(server)
    return isinstance(uri, SipUri) and parse_ip(uri.host) is not None


def _mail(config: Config) -> Finding:
    if not config.mail.server:
        return Finding(True, "mail", "no mail server is configured; nothing is mailed yet")
    return Finding(True, "mail", "a mail server is configured; this version sends no mail yet")
