"""What is wrong, in words (`pbx doctor`)."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509

from pbx.app.client import ServerGoneError, ask
from pbx.config import Config, Listen
from pbx.errors import PbxError
from pbx.net.addresses import LocalAddresses, parse_ip
from pbx.store.store import open_store


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    ok: bool
    what: str
    says: str


def examine(config: Config) -> list[Finding]:
    """Look at everything; nothing is changed."""
    findings = [_database(config)]
    running = _is_running(config)
    findings.append(Finding(True, "server", "running" if running else "not running"))
    if not running:
        findings += _ports(config)
    findings += _addresses(config)
    findings.append(_certificate(config))
    findings.append(_mail(config))
    return findings


def _database(config: Config) -> Finding:
    try:
        store = open_store(config.database.url)
        office, revision = store.load()
        store.close()
    except PbxError as error:
        return Finding(False, "database", str(error))
    if office is None:
        return Finding(True, "database", "empty: the first `pbx serve` loads a demo office")
    return Finding(True, "database", f"{len(office.extensions)} extensions, revision {revision}")


def _is_running(config: Config) -> bool:
    try:
        ask(config.server.data, "status")
    except ServerGoneError:
        return False
    return True


def _ports(config: Config) -> Iterator[Finding]:
    kinds = (("udp", socket.SOCK_DGRAM), ("tcp", socket.SOCK_STREAM), ("tls", socket.SOCK_STREAM))
    for name, kind in kinds:
        for listen in getattr(config.sip, name):
            yield _port(name, listen, kind)


def _port(name: str, listen: Listen, kind: socket.SocketKind) -> Finding:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    what = f"sip.{name} {listen}"
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listen.host, listen.port))
        except OSError as error:
            return Finding(False, what, f"cannot be opened: {error.strerror}; another program may have it")
    return Finding(True, what, "free")


def _addresses(config: Config) -> Iterator[Finding]:
    addresses = LocalAddresses(lambda: 0.0)
    outside = [
        a
        for a in addresses.all()
        if (ip := parse_ip(a)) is not None and not ip.is_loopback and not ip.is_link_local
    ]
    if outside:
        yield Finding(True, "addresses", f"phones reach this machine at {', '.join(outside)}")
    else:
        yield Finding(
            False, "addresses", "this machine has no address but loopback: only phones on it can call"
        )
    advertise = config.server.advertise
    if advertise is not None and parse_ip(advertise) is None:
        yield Finding(False, "server.advertise", f"{advertise} is not an address")


def _certificate(config: Config) -> Finding:
    path = config.sip.certificate
    if path is None:
        return Finding(
            True, "certificate", "none configured: a self-signed one is made; phones must accept it"
        )
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        return Finding(False, "certificate", f"{path} cannot be read: {error}")
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    if left < timedelta(0):
        return Finding(False, "certificate", f"{path} expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
    if left < timedelta(days=21):
        return Finding(False, "certificate", f"{path} expires in {left.days} days")
    return Finding(True, "certificate", f"{path} is valid until {certificate.not_valid_after_utc:%Y-%m-%d}")


def _mail(config: Config) -> Finding:
    if not config.mail.server:
        return Finding(True, "mail", "no mail server is configured; nothing is mailed yet")
    return Finding(True, "mail", "a mail server is configured; this version sends no mail yet")
