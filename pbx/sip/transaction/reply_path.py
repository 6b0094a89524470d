"""Where the responses to a request go (RFC 3261 §18.2.1, §18.2.2; RFC 3581 §4)."""

from ipaddress import ip_address
from typing import Final

from pbx.sip.fields import Via
from pbx.sip.flow import Flow
from pbx.sip.message import Request

_DEFAULT_PORTS: Final = {"UDP": 5060, "TCP": 5060, "TLS": 5061}


def trace_reply_path(request: Request, flow: Flow) -> Flow:
    """Write into the top Via where `request` came from, and return where its responses go.

    `received` is added when the Via names another host or asks for `rport`, which then gets the source port.
    Over streams responses go back the way the request came; over UDP to the source address, and there to the
    source port when the Via asks for it, else to the port that the Via names. A `maddr` is not followed: it
    would let anybody aim our responses at a third party.
    """
    via = request.via
    host, port = flow.peer
    wants_rport = "rport" in via.params
    if wants_rport or not _is_same_host(via.host, host):
        _mark(request, via, host, port, wants_rport)
    if wants_rport or flow.transport != "UDP":
        return flow
    named = via.port or 5060
    return flow if named == port else Flow("UDP", (host, named), flow.local)


def _mark(request: Request, via: Via, host: str, port: int, wants_rport: bool) -> None:
    headers = request.headers
    line = headers.first["Via"]
    head, asks, tail = f"{line};".partition(";rport;")
    if asks and "received" not in via.params and "," not in line and '"' not in line:
        # As nearly every phone asks: it is filled in where it stands, and what was read of the Via stays so.
        headers.set_first("Via", f"{head};rport={port};{tail}received={host}")
        headers.memo["Via"] = via
    else:
        params = {**via.params, "received": host}
        if wants_rport:
            params["rport"] = str(port)
        request.set_top_via(Via(via.transport, via.host, via.port, params))


def second_path(flow: Flow, port: int) -> Flow:
    """Where responses go when the connection is gone on which their request came (§18.2.2)."""
    return Flow(flow.transport, (flow.peer[0], port or _DEFAULT_PORTS[flow.transport]), (flow.local[0], 0))


def _is_same_host(named: str, source: str) -> bool:
    if named == source:
        return True
    if ":" not in source:
        return False
    try:
        return ip_address(named) == ip_address(source)
    except ValueError:
        return False
