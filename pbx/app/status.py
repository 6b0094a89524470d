"""What `pbx status` shows, as plain values; the registrations in pieces, since there may be thousands."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from pbx.address import hostport
from pbx.call.call import Call
from pbx.call.exchange import Exchange
from pbx.call.limits import Cause
from pbx.call.party import Kind
from pbx.net.transports import Transports

AT_ONCE: Final = 100  # rows; so many take 1 ms


def status_of(
    exchange: Exchange, now: float, up_s: float, transports: "Transports[Any]", paths: Mapping[str, str]
) -> dict[str, Any]:
    """Calls, trunks, listening addresses, what is turned away; times in seconds.

    Args:
        paths: who passes the audio of joined endpoints on.
    """
    return {
        "up_s": round(up_s),
        "listening": [
            f"{each.transport.lower()} {hostport(each.host, each.port)}" for each in transports.listening
        ],
        "calls": [_call(call, now, paths) for call in exchange.calls.values()],
        "trunks": exchange.trunks.status(_calls_by_carrier(exchange)),
        "refusing": exchange.admission.refusals.status(now),
        "refused": {cause.value: exchange.admission.refusals.total[cause] for cause in Cause},
        "counts": {
            "calls": len(exchange.calls),
            "dialogs": len(exchange.stack.dialogs),
            "transactions": len(exchange.stack.layer),
            "timers": len(exchange.stack.timers),
            "ports": len(exchange.endpoints.ports),
        },
    }


def registrations_of(exchange: Exchange, now: float) -> Iterator[dict[str, Any]]:
    """All that there are at the first, by device."""
    for username, binding in sorted(exchange.location.all(now), key=lambda each: each[0]):
        found = exchange.office.device(username)
        yield {
            "extension": found[0].key if found is not None else "",
            "device": username,
            "contact": binding.contact,
            "transport": binding.flow.transport,
            "address": hostport(*binding.flow.peer),
            "expires_s": round(binding.expires_at - now),
            "user_agent": binding.user_agent,
            "round_trip_ms": _milliseconds(exchange.qualifier.round_trip(username, binding.contact)),
            "reachable": exchange.qualifier.is_reachable(username, binding.contact),
        }


def write_rows(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Elements of a JSON array, AT_ONCE of them a time; to be put together with a comma."""
    while some := list(islice(rows, AT_ONCE)):
        yield json.dumps(some)[1:-1]


def _calls_by_carrier(exchange: Exchange) -> Counter[tuple[Kind, str]]:
    """Calls in progress of each trunk and gateway, in and out."""
    return Counter(leg.party.carrier for leg in exchange.all_legs() if leg.party.is_outside)


def _call(call: Call, now: float, paths: Mapping[str, str]) -> dict[str, Any]:
    audio = {paths[name] for leg in call.legs for name in leg.media.endpoints if name in paths}
    return {
        "id": call.id,
        "caller": call.record.caller,
        "callee": call.record.callee,
        "state": "up" if call.talk is not None else "ringing",
        "since_s": round(now - call.started_at),
        "audio": ", ".join(sorted(audio)),
        "legs": [
            {"name": leg.name, "party": leg.party.key, "device": leg.party.device, "state": leg.state}
            for leg in call.legs
        ],
        "why": call.record.decisions,
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
