"""What is wrong, in words (`pbx doctor`). It only looks; of others it asks the DNS and the mail server."""

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
from pbx.app.printable import printable
from pbx.app.rtp_ports import count_pairs_in_use
from pbx.config import Config, MailConfig
from pbx.config_values import Listen
from pbx.errors import PbxError
from pbx.mail.server import parse_server
from pbx.net.addresses import LocalAddresses, is_for_phones, parse_ip, reached_by, why_unreached
from pbx.net.tls import CERTIFICATE_FILE, KEY_FILE, load_own
from pbx.office.snapshot import Office
from pbx.rtp.kernel.joins import forwards
from pbx.rtp.kernel.table import HOW_TO_ALLOW, may_administer
from pbx.sip.uri import SipUri, parse_uri
from pbx.store.outbox import Outbox
from pbx.store.store import has_database, open_store

EXPIRES_SOON: Final = timedelta(days=21)
LEAST_FREE_BYTES: Final = 500 * 2**20
LEGS: Final = 2  # of a call; each has a pair of RTP ports
# RTP and RTCP, and of each a second socket once the phone's address is known.
FILES_PER_CALL: Final = LEGS * 4
FILES_BESIDE: Final = 256

# SIP URIs to look up and a mail server to visit -> why each leads nowhere, why that takes no mail
AskNetwork = Callable[[Sequence[str], MailConfig | None], tuple[Mapping[str, str], str]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    ok: bool
    what: str
    says: str


def examine(config: Config, ask_network: AskNetwork | None = None) -> list[Finding]:
    """Look at everything; nothing is changed.

    Args:
        ask_network: the network itself by default.
    """
    database, office, mails = _database(config)
    status = _status(config)
    running = status is not None
    trouble = (status or {}).get("trouble", "")
    if running and not has_database(config.database.url):
        database = Finding(False, "database", "its file is gone; the server waits for it to come back")
    findings = [
        database,
        Finding(not trouble, "server", trouble or ("running" if running else "not running")),
    ]
    findings += _folder(config.server.data)
    findings += [] if running else _ports(config)
    addresses = _outside_addresses()
    findings.append(_addresses(config, addresses))
    if config.sip.tls:
        findings.append(_certificate(config, addresses))
    findings.append(_room_for_calls(config, status))
    findings.append(_open_files(config, office))
    findings += _kernel(config, status)
    names = _names(office) if office is not None else []
    mail_server = config.mail if config.mail.server else None
    wrong: Mapping[str, str] = {}
    mail_trouble = ""
    if names or mail_server is not None:  # else nothing leaves this machine
        wrong, mail_trouble = (ask_network or _ask_network)(names, mail_server)
    if office is not None:
        findings += _tls_devices(config, office)
        findings += _outside_servers(office, wrong, status)
    findings += _mail(config, office, mails, mail_trouble)
    return findings


def _ask_network(names: Sequence[str], mail: MailConfig | None) -> tuple[Mapping[str, str], str]:
    from pbx.app.look_up import ask_network  # noqa: PLC0415  # installs the reactor

    return ask_network(names, mail)


@dataclass(frozen=True, slots=True)
class Mails:
    """The outbox, as far as it matters: how many wait, how many are refused, and the last one of these."""

    waiting: int = 0
    refused: int = 0
    last: str = ""


def _database(config: Config) -> tuple[Finding, Office | None, Mails]:
    mails = Mails()
    empty = Finding(True, "database", "empty: the first `pbx serve` loads a demo office")
    if not has_database(config.database.url):
        return empty, None, mails
    try:
        store = open_store(config.database.url)
        try:
            office, revision = store.load()
            mails = _mails(Outbox(store))
        finally:
            store.close()
    except PbxError as error:
        return Finding(False, "database", str(error)), None, mails
    if office is None:
        return empty, None, mails
    if office.realm != config.server.domain:
        says = (
            f"the passwords in it are for the domain {office.realm}, server.domain is {config.server.domain}"
        )
        return Finding(False, "database", f"{says}: the server will not start"), office, mails
    says = f"{len(office.extensions)} extensions, revision {revision}"
    return Finding(True, "database", says), office, mails


def _mails(outbox: Outbox) -> Mails:
    counts = outbox.counts()
    last = outbox.rows(("refused",), 1)
    says = f"to {last[0].recipient}: {printable(last[0].words)}" if last else ""
    return Mails(counts["waiting"] + counts["sending"], counts["refused"], says)


def _status(config: Config) -> Mapping[str, Any] | None:
    """What the running server says of itself, or `trouble`, why it says nothing; None: there is none."""
    try:
        answer: Mapping[str, Any] = ask(config.server.data, "status")
    except ServerGoneError:
        return None
    except PbxError as error:
        return {"trouble": str(error)}
    return answer


def _folder(data: Path) -> Iterator[Finding]:
    place = next(each for each in (data, *data.parents) if os.path.exists(each))
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
    return [each for each in LocalAddresses(lambda: 0.0).all() if is_for_phones(each)]


def _addresses(config: Config, outside: Sequence[str]) -> Finding:
    listens = (*config.sip.udp, *config.sip.tcp, *config.sip.tls)
    hosts = [each.host for each in listens]
    if hosts and all((ip := parse_ip(host)) is not None and ip.is_loopback for host in hosts):
        return Finding(
            False, "addresses", "sip listens on loopback alone: only phones on this machine can call"
        )
    if not outside:
        says = "this machine has no address but loopback: only phones on it can call"
        return Finding(False, "addresses", says)
    if not hosts:  # said of its own
        return Finding(True, "addresses", f"this machine has {', '.join(outside)}")
    if reached := [each for each in reached_by(hosts, outside) if is_for_phones(each)]:
        return Finding(True, "addresses", f"phones reach this machine at {', '.join(reached)}")
    return Finding(False, "addresses", why_unreached(hosts, outside, listens[0].port))


def _certificate(config: Config, outside: Sequence[str]) -> Finding:
    own = config.server.data / "certificates" / CERTIFICATE_FILE
    path = config.sip.certificate or own
    key = own.with_name(KEY_FILE) if path == own else config.sip.private_key or path
    try:
        certificate = load_own(path, key)[0][0]
    except FileNotFoundError as error:
        if path == own:
            return Finding(True, "certificate", "none yet: the next `pbx serve` makes a self-signed one")
        return Finding(False, "certificate", f"there is no file {error.filename}")
    except (OSError, ValueError) as error:
        why = f"{error.filename} cannot be read: {error.strerror}" if isinstance(error, OSError) else error
        return Finding(False, "certificate", str(why))
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    again = "delete it and start again to have a new one made" if path == own else "have it renewed"
    if end < datetime.now(UTC):
        return Finding(False, "certificate", f"{path} expired on {end:%Y-%m-%d}: {again}")
    if begin > datetime.now(UTC):
        says = f"{path} is valid from {begin:%Y-%m-%d} on only: is the clock of this machine right?"
        return Finding(False, "certificate", says)
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


def _room_for_calls(config: Config, status: Mapping[str, Any] | None) -> Finding:
    low, high = config.rtp.ports
    held = _held_by_others(config, status)
    room = ((high - low) // 2 + 1 - held) // LEGS
    says = f"{low}-{high + 1} have room for {room} calls, limits.calls is {config.limits.calls}"
    if held:
        says += f"; other programs hold {held} of the pairs"
    return Finding(room >= config.limits.calls, "rtp.ports", says)


def _held_by_others(config: Config, status: Mapping[str, Any] | None) -> int:
    """Pairs of RTP ports; 0 while a running server does not say how many are its own."""
    own = 0 if status is None else status.get("counts", {}).get("ports")
    return max(0, count_pairs_in_use(config.rtp.ports) - own) if own is not None else 0


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


def _servers(office: Office) -> list[tuple[str, str, str]]:
    rows = [("trunk", trunk.name, trunk.server) for trunk in office.trunks]
    return rows + [("gateway", gateway.name, gateway.server) for gateway in office.gateways]


def _names(office: Office) -> list[str]:
    """The servers of trunks and gateways that have a name to look up."""
    return list(dict.fromkeys(server for _, _, server in _servers(office) if not _has_address(server)))


def _outside_servers(
    office: Office, wrong: Mapping[str, str], status: Mapping[str, Any] | None
) -> Iterator[Finding]:
    """Whether trunks and gateways work: the running server knows; else only where they lead."""
    rows = status.get("trunks", ()) if status is not None else ()
    known = {(row["kind"], row["name"]): row for row in rows}
    for kind, name, server in _servers(office):
        why, row = wrong.get(server, ""), known.get((kind, name))
        if why or row is None:
            says = why or f"{server} can be found; that it answers is not tried"
            yield Finding(not why, f"{kind} {name}", says)
        else:
            yield _carrier(row)


def _carrier(row: Mapping[str, Any]) -> Finding:
    """What the running server says of a trunk or gateway."""
    error, address = printable(row["error"]), row["address"] or row["server"]
    what, since = f"{row['kind']} {row['name']}", f"for {row['since_s']} s"
    says = {
        "registered": f"registered at {address}",
        "reachable": f"{address} answers",
        "unknown": f"{row['server']} has not been asked yet",
        "registering": f"about to register at {address}",
        "unregistered": f"not registered {since}: {error}; it is tried again and again",
        "refused": f"the carrier refuses the registration {since}: {error}; are username and password right?",
        "down": f"down {since}: {error}",
    }[row["state"]]
    return Finding(row["state"] not in ("unregistered", "refused", "down"), what, says)


def _has_address(server: str) -> bool:
    uri = parse_uri(server)
    return isinstance(uri, SipUri) and parse_ip(uri.host) is not None


def _mail(config: Config, office: Office | None, mails: Mails, trouble: str) -> Iterator[Finding]:
    if not config.mail.server:
        if mails.waiting:
            says = f"no mail server is configured (mail.server): {mails.waiting} mails are kept, and not sent"
            yield Finding(False, "mail", says)
        elif office is not None and any(each.no_answer.emails for each in office.extensions):
            says = "no mail server is configured (mail.server), but extensions have no_answer.emails"
            yield Finding(False, "mail", says)
        else:
            yield Finding(True, "mail", "no mail server is configured; mail is kept, and not sent")
    elif trouble:
        yield Finding(False, "mail", f"{trouble}; {mails.waiting} mails wait")
    else:
        server = parse_server(config.mail.server)
        yield Finding(True, "mail", f"{server} takes mail from us; {mails.waiting} mails wait")
    if mails.refused:
        says = f"{mails.refused} mails were refused, the last one {mails.last}"
        ways = "`pbx mail` shows them, `pbx mail retry` tries again, `pbx mail forget` deletes them"
        yield Finding(False, "mail", f"{says}; {ways}")
