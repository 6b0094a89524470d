"""What `pbx doctor` asks the network: the DNS where servers are, and the mail server whether it takes us."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pbx.app.mail import probe
from pbx.app.once import Job, run_once
from pbx.config import MailConfig
from pbx.entropy import SystemEntropy
from pbx.net.resolve import DnsClient, Resolver, UnresolvedError
from pbx.sip.uri import SipUri, parse_uri


def ask_network(uris: Sequence[str], mail: MailConfig | None) -> tuple[Mapping[str, str], str]:
    """Runs the reactor, which can be done once in a process.

    Args:
        mail: the server to visit, None = none.

    Returns:
        Why each SIP URI leads nowhere, and why the mail server takes no mail; "" = it does.
    """
    jobs: list[Job] = [partial(_look_up, uri=uri) for uri in uris]
    if mail is not None:
        jobs.append(partial(probe, config=mail))
    answers = run_once(jobs)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return dict(zip(uris, answers, strict=False)), answers[-1] if mail is not None else ""


async def _look_up(reactor: Any, uri: str) -> str:
    parsed = parse_uri(uri)
    assert isinstance(parsed, SipUri)  # office.toml takes no other
    try:
        await Resolver(DnsClient(reactor), reactor, SystemEntropy().below).resolve(parsed)
    except UnresolvedError as error:
        return str(error)
    return ""
