"""The card that a start prints: where phones register, with which accounts, and what to do next."""

from collections.abc import Mapping
from typing import TextIO

import segno

from pbx.app.service import Service
from pbx.config import Config
from pbx.net.addresses import parse_ip
from pbx.office.snapshot import Office


def show_card(
    config: Config, service: Service, office: Office, passwords: Mapping[str, str], out: TextIO
) -> None:
    """Print it. `passwords` are those made just now: they are shown here and nowhere else."""
    hosts = _hosts(service)
    lines = [f"{office.settings.name or 'The office'} is on the air.", ""]
    lines.append(f"  Server address for phones   {' or '.join(hosts)}")
    lines.append(f"  SIP domain                  {config.server.domain} (or the address above)")
    for each in service.transports.listening:
        lines.append(f"  {each.transport:<4} port                   {each.port}")
    lines.append(f"  Audio (RTP) ports           {config.rtp.ports.low}-{config.rtp.ports.high} UDP")
    if passwords:
        lines += ["", "  Accounts (passwords are shown this once):"]
        for extension in office.extensions:
            for device in extension.devices:
                if device.username in passwords:
                    label = f"{extension.label} " if extension.label else ""
                    lines.append(
                        f"    {device.username:<8} {passwords[device.username]:<20} {label}({device.kind})"
                    )
    lines += [
        "",
        "  Next: register two softphones with the address and accounts above and dial 101 from 100.",
        "  Your own office: `pbx export > office.toml`, edit it, `pbx apply office.toml`.",
        "  Who is registered, which calls are up: `pbx status`. Stop with Ctrl-C.",
        "",
    ]
    out.write("\n".join(lines) + "\n")
    if passwords and out.isatty():
        username, password = next(iter(passwords.items()))
        host = hosts[0]
        out.write(f"  Account {username} for a softphone's camera:\n\n")
        segno.make(f"sip:{username}:{password}@{host}", error="m").terminal(out, compact=True)
    out.flush()


def _hosts(service: Service) -> list[str]:
    found = []
    for address in service.addresses.all():
        ip = parse_ip(address)
        if ip is not None and not ip.is_loopback and not ip.is_link_local:
            found.append(address)
    listening = {each.host for each in service.transports.listening}
    if not listening & {"0.0.0.0", "::"}:  # noqa: S104
        found = sorted(listening)
    return found or ["127.0.0.1"]
