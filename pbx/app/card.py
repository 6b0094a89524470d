"""The card that a start prints: where phones register, with which accounts, and what to do next."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TextIO

import segno

from pbx.address import hostport
from pbx.config import Config
from pbx.net.addresses import LocalAddresses, is_for_phones, parse_ip, reached_by, why_unreached
from pbx.net.transports import Listening
from pbx.office.snapshot import Office

SIP_PORT = 5060


@dataclass(frozen=True, slots=True)
class Account:
    """A device whose password was made just now; it is shown here and nowhere else."""

    username: str
    password: str = field(repr=False)
    extension: str
    label: str
    kind: str


@dataclass(frozen=True, slots=True)
class Card:
    """`servers` is what can be typed into a phone, with the port where that is not the usual one; `nowhere`
    why there is none."""

    name: str
    domain: str
    servers: tuple[str, ...]
    ports: Mapping[str, tuple[int, ...]]
    rtp: tuple[int, int]
    accounts: tuple[Account, ...]
    loopback_only: bool
    nowhere: str


def make_card(
    config: Config,
    listening: Sequence[Listening],
    addresses: LocalAddresses,
    office: Office,
    passwords: Mapping[str, str],
) -> Card:
    """What a start has to tell. `passwords` are those made just now, by username."""
    bound, own = [each.host for each in listening], addresses.all()
    hosts = _hosts(bound, own)
    ports: dict[str, tuple[int, ...]] = {}
    for each in listening:
        ports[each.transport] = tuple(dict.fromkeys((*ports.get(each.transport, ()), each.port)))
    first = next(iter(ports.values()), (SIP_PORT,))[0]
    return Card(
        office.settings.name,
        config.server.domain,
        tuple(_with_port(host, first) for host in hosts),
        ports,
        (config.rtp.ports.low, config.rtp.ports.high + 1),
        tuple(
            Account(device.username, passwords[device.username], extension.key, extension.label, device.kind)
            for extension in office.extensions
            for device in extension.devices
            if device.username in passwords
        ),
        all((ip := parse_ip(host)) is not None and ip.is_loopback for host in hosts),
        "" if hosts else why_unreached(bound, own, first) if ports else "no transport is on",
    )


def show_card(card: Card, out: TextIO) -> None:
    """Print it; with a QR code of the first account where a person looks at it."""
    lines = ["", f"{card.name or 'The office'} is on the air.", ""]
    lines.append(f"  Server address for phones   {' or '.join(card.servers) or f'none: {card.nowhere}'}")
    if card.loopback_only and card.servers:
        lines.append("                              (only phones on this machine reach that)")
    lines.append(f"  SIP domain                  {card.domain}, or that address")
    for transport, ports in card.ports.items():
        lines.append(f"  {transport:<4} port                   {', '.join(map(str, ports))}")
    lines.append(f"  Audio (RTP) ports           {card.rtp[0]}-{card.rtp[1]} UDP")
    if card.accounts:
        lines += ["", "  Accounts; their passwords are shown this once:", ""]
        lines.append(f"    {'username':<10} {'password':<18} extension")
        for account in card.accounts:
            extension = f"{account.extension} {account.label}".strip()
            lines.append(f"    {account.username:<10} {account.password:<18} {extension}")
    lines += ["", *_next_steps(card), ""]
    out.write("\n".join(lines) + "\n")
    if card.accounts and card.servers and out.isatty():
        account = card.accounts[0]
        out.write(
            f"  Account {account.username} as text, for the camera app of a mobile phone to show and copy.\n"
            "  (The scanners inside softphones want each another format; this is none of them.)\n\n"
        )
        segno.make(account_text(card, account), error="l").terminal(out, compact=True)
    out.flush()


def account_text(card: Card, account: Account) -> str:
    """What the QR code says. No sip: URI: a camera app would offer to call it, and no softphone sets up an
    account from one; a password does not belong into it either (RFC 3261 §19.1.1)."""
    return f"Server: {card.servers[0]}\nUsername: {account.username}\nPassword: {account.password}"


def render_json(card: Card) -> str:
    """The card in one line."""
    return json.dumps(asdict(card))


def _next_steps(card: Card) -> list[str]:
    steps = []
    caller = card.accounts[0] if card.accounts else None
    callee = next((each for each in card.accounts if caller and each.extension != caller.extension), None)
    if caller is not None and callee is not None:
        steps.append(
            f"  Next: set up two softphones with {caller.username} and {callee.username}, "
            f"dial {callee.extension} from the first."
        )
    return [
        *steps,
        "  Your own office: `pbx export > office.toml`, edit it, `pbx apply office.toml`.",
        "  Who is registered, which calls are up: `pbx status`. What is wrong: `pbx doctor`.",
        "  Stop with Ctrl-C.",
    ]


def _hosts(listening: Sequence[str], addresses: Sequence[str]) -> list[str]:
    """The addresses by which phones reach us: those of the network, or loopback when there are no others."""
    ips = [(h, ip) for h in reached_by(listening, addresses) if (ip := parse_ip(h)) and not ip.is_link_local]
    return [h for h, _ in ips if is_for_phones(h)] or [h for h, _ in ips][:1]


def _with_port(host: str, port: int) -> str:
    return host if port == SIP_PORT else hostport(host, port)
