"""pbx.toml as frozen values: how the server runs (product §1). Read once, at start.

Relative paths are relative to the folder of the file, or to the working directory where there is no file.
"""

import ipaddress
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pbx.config_values import (
    Advertise,
    Command,
    DatabaseUrl,
    Domain,
    FilePath,
    IpNetwork,
    Listen,
    ListenAddress,
    NetworkAddress,
    PortRange,
    Ports,
    RelayName,
    Workers,
)
from pbx.mail.server import MailUrl, parse_server
from pbx.office.locate import Path as KeyPath
from pbx.office.marks import Many
from pbx.office.mistakes import ConfigFileError, FileError, Mistake
from pbx.office.reading import Finding, Reading
from pbx.office.source import Source
from pbx.office.values import Email, Whole

ANY_PORT = Listen("0.0.0.0", 0)  # noqa: S104
SIP_PORT, TLS_PORT = Listen("0.0.0.0", 5060), Listen("0.0.0.0", 5061)  # noqa: S104
WEB_PORT = Listen("127.0.0.1", 8080)
RTP_PORTS = PortRange(16384, 32766)
SPEECH = Command('["/usr/bin/piper", "--quiet"]', fields=("gender", "language", "pitch", "rate"))
TOKEN = Command('["/usr/local/bin/token", "pbx"]', private=True)
PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8")
)


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """`advertise` None = the source address of the route to the peer."""

    domain: Annotated[str, Domain()] = "pbx.local"
    data: Annotated[Path, FilePath(empty=False)] = Path("data")
    advertise: Annotated[str | None, Advertise()] = None
    local_networks: Annotated[tuple[IpNetwork, ...], Many(NetworkAddress(), stand_in=PRIVATE_NETWORKS[0])] = (
        PRIVATE_NETWORKS
    )


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """`url` "" is only there before the folder of the data is known."""

    url: Annotated[str, DatabaseUrl()] = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class SipConfig:
    """A certificate of None is made by the server itself."""

    udp: Annotated[tuple[Listen, ...], Many(ListenAddress(), stand_in=ANY_PORT)] = (SIP_PORT,)
    tcp: Annotated[tuple[Listen, ...], Many(ListenAddress(), stand_in=ANY_PORT)] = (SIP_PORT,)
    tls: Annotated[tuple[Listen, ...], Many(ListenAddress(), stand_in=ANY_PORT)] = (TLS_PORT,)
    certificate: Annotated[Path | None, FilePath()] = None
    private_key: Annotated[Path | None, FilePath()] = None
    trusted_ca: Annotated[Path | None, FilePath()] = None


@dataclass(frozen=True, slots=True)
class RtpConfig:
    """`workers` None = as many as suit the machine."""

    ports: Annotated[PortRange, Ports()] = RTP_PORTS
    workers: Annotated[int | None, Workers()] = None
    srtp: Literal["off", "optional", "required"] = "optional"
    relay: Annotated[str, RelayName()] = "builtin"
    kernel: Literal["auto", "off"] = "auto"


@dataclass(frozen=True, slots=True)
class WebConfig:
    """`listen` None = no portal."""

    listen: Annotated[Listen | None, ListenAddress(empty=True)] = WEB_PORT
    tls: bool = False


@dataclass(frozen=True, slots=True)
class MailConfig:
    """`token_command` prints the token to log in with by XOAUTH2."""

    server: Annotated[str, MailUrl()] = field(default="", repr=False)
    sender: Annotated[str, Email()] = "pbx@pbx.local"
    trusted_ca: Annotated[Path | None, FilePath()] = None
    token_command: Annotated[tuple[str, ...], TOKEN] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class SpeechConfig:
    """`command` speaks texts instead of eSpeak NG; () = eSpeak NG."""

    command: Annotated[tuple[str, ...], SPEECH] = ()


@dataclass(frozen=True, slots=True)
class LimitsConfig:
    """`calls_per_second` 0 = no brake; `failed_auth` is counted over 5 minutes."""

    calls: Annotated[int, Whole(1, 100_000)] = 500
    calls_per_second: Annotated[int, Whole(0, 100_000)] = 0
    failed_auth: Annotated[int, Whole(1, 100_000)] = 10


@dataclass(frozen=True, slots=True)
class Config:
    """The whole of pbx.toml, with every default; all its paths are absolute."""

    server: ServerConfig = field(default_factory=ServerConfig)
    database: DatabaseConfig = field(default_factory=DatabaseConfig)
    sip: SipConfig = field(default_factory=SipConfig)
    rtp: RtpConfig = field(default_factory=RtpConfig)
    web: WebConfig = field(default_factory=WebConfig)
    mail: MailConfig = field(default_factory=MailConfig)
    speech: SpeechConfig = field(default_factory=SpeechConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)


def load_config(path: Path | str | None) -> Config:
    """Read pbx.toml; None = no file, all defaults.

    Raises:
        FileError: the file cannot be read, or anything in it is wrong; it carries all the mistakes.
    """
    if path is None:
        return parse_config("", "pbx.toml", Path.cwd())
    return parse_config(read_text(path), str(path), Path(path).absolute().parent)


def read_text(path: Path | str) -> str:
    """The text of a file, pbx.toml or office.toml.

    Raises:
        FileError: there is no such file, or it is no text in UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise FileError([Mistake(str(path), 0, "", error.strerror or str(error), "a file to read")]) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise FileError([Mistake(str(path), line, "", "bytes that are no UTF-8", "text in UTF-8")]) from None


def parse_config(
    text: str,
    filename: str,
    folder: Path,
    is_file: Callable[[Path], bool] = os.path.isfile,  # False also where this user may not look
    is_program: Callable[[str], bool] = lambda name: shutil.which(name) is not None,
) -> Config:
    """The configuration that the text of a pbx.toml asks for.

    Args:
        filename: as it shall be named in mistakes.
        folder: what relative paths in it are relative to, absolute itself.
        is_file: whether there is such a file.
        is_program: whether there is such a program, by path or name.

    Raises:
        ConfigFileError: anything is wrong; it carries all the mistakes.
    """
    source = Source.read(text, filename)
    if isinstance(source, Mistake):
        raise ConfigFileError([source])
    reading = Reading()
    config = _absolute(reading.table(Config, source.data, ()), folder)
    findings = [
        *reading.findings,
        *_check_files(config, is_file),
        *_check_command(config.speech, is_program),
        *_check_sockets(config),
        *_check_mail(config.mail),
    ]
    if findings:
        raise ConfigFileError(source.mistakes(findings, Config))
    return config


def _absolute(config: Config, folder: Path) -> Config:
    """The same with absolute paths; the database lies in the data folder unless the file says where."""
    data = folder / config.server.data
    sip = config.sip
    return replace(
        config,
        server=replace(config.server, data=data),
        database=DatabaseConfig(_absolute_url(config.database.url, folder) or f"sqlite:///{data / 'pbx.db'}"),
        sip=replace(
            sip,
            certificate=sip.certificate and folder / sip.certificate,
            private_key=sip.private_key and folder / sip.private_key,
            trusted_ca=sip.trusted_ca and folder / sip.trusted_ca,
        ),
        mail=replace(config.mail, trusted_ca=config.mail.trusted_ca and folder / config.mail.trusted_ca),
    )


def _absolute_url(url: str, folder: Path) -> str:
    path, query, options = url.removeprefix("sqlite:///").partition("?")
    if not url.startswith("sqlite:///") or path == ":memory:":
        return url
    return f"sqlite:///{folder / path}{query}{options}"


def _check_files(config: Config, is_file: Callable[[Path], bool]) -> Iterator[Finding]:
    sip = config.sip
    files = {
        ("sip", "certificate"): sip.certificate,
        ("sip", "private_key"): sip.private_key,
        ("sip", "trusted_ca"): sip.trusted_ca,
        ("mail", "trusted_ca"): config.mail.trusted_ca,
    }
    for key, path in files.items():
        if path is not None and not is_file(path):
            yield Finding(key, f"no file {path}", 'the path of a PEM file that this user may read, or ""')
    if (sip.certificate is None) != (sip.private_key is None):
        missing = "private_key" if sip.private_key is None else "certificate"
        yield Finding(("sip", missing), '""', "certificate and private_key, both or neither")


def _check_command(speech: SpeechConfig, is_program: Callable[[str], bool]) -> Iterator[Finding]:
    if speech.command and not is_program(speech.command[0]):
        allowed = "the path of a program that may be run, or its name if it is on the PATH"
        yield Finding(("speech", "command"), f'"{speech.command[0]}"', allowed)


def _check_mail(mail: MailConfig) -> Iterator[Finding]:
    """A token, and a server that asks for one."""
    try:
        server = parse_server(mail.server) if mail.server else None
    except ValueError:
        return  # reported already
    by_token = server is not None and server.auth == "xoauth2"
    if by_token and not mail.token_command:
        yield Finding(("mail", "token_command"), "[]", "a command that prints the token, for auth=xoauth2")
    if server is not None and mail.token_command and not by_token:
        yield Finding(("mail", "token_command"), "a command", "[], or auth=xoauth2 in mail.server")


def _check_sockets(config: Config) -> Iterator[Finding]:
    """No two sockets want the same port."""
    seen: set[Listen] = set()
    streams: list[tuple[KeyPath, Listen]] = [
        (("sip", "tcp", at), each) for at, each in enumerate(config.sip.tcp)
    ]
    streams += [(("sip", "tls", at), each) for at, each in enumerate(config.sip.tls)]
    streams += [(("web", "listen"), config.web.listen)] if config.web.listen else []
    for path, each in streams:
        if each.port and each in seen:
            yield Finding(
                path, f'"{each}"', "an address that no other key listens on; sip.tcp, sip.tls and web use TCP"
            )
        seen.add(each)
    low, high = config.rtp.ports
    for at, each in enumerate(config.sip.udp):
        if low <= each.port <= high + 1:
            yield Finding(
                ("sip", "udp", at),
                f'"{each}"',
                f"a port outside of rtp.ports, which take {low} to {high + 1}",
            )
