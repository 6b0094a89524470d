"""Real sockets on loopback: the scenarios of loopback.py and what happens in them."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pbx.errors import ConfigError
from pbx.net.sockets import Endpoint, listen

SCRIPT = Path(__file__).with_name("loopback.py")

EXPECTED = {
    "udp_answers_from_the_asked_address": {
        "127.0.0.1": ["SIP/2.0 200 OK", "127.0.0.1", True],
        "127.0.0.2": ["SIP/2.0 200 OK", "127.0.0.2", True],
        "::1": ["SIP/2.0 200 OK", "::1", True],
        "local": ["127.0.0.1", "127.0.0.2", "::1"],
    },
    "udp_burst_is_taken_whole_and_timers_get_their_turn": {"answers": 200, "timer first": True},
    "udp_troubles_hurt_nobody": {
        "answer": "SIP/2.0 200 OK",
        "seen": ["request"],
        "too large": ["lost", "Message too long"],
        "stale source": "arrived",
    },
    "tcp_both_ways": {
        "127.0.0.1": {"connections": 1, "local": True},
        "::1": {"connections": 1, "local": True},
        "lost": "the peer closed the connection",
    },
    "tcp_ping_rubbish_and_refusal": {
        "pong": "\r\n",
        "answer": "SIP/2.0 200 OK",
        "malformed": "SIP/2.0 400 Bad Content-Length",
        "refused": "connection refused",
    },
    "tcp_deaf_peer_is_cut": {"why": "the peer does not read"},
    "tcp_flood_is_taken_in_turns": {"most in one turn": 8},
    "tls_both_ways": {
        "trusted by address": ["response"],
        "trusted by name": ["response"],
        "another name": ["lost", "its certificate is not for elsewhere.example"],
        "another authority": ["lost", "TLS: certificate verify failed"],
        "the system's authorities": ["lost", "TLS: certificate verify failed"],
    },
    "tls_certificate_is_reloaded": {"names": ["first.example", "first.example", "second.example"]},
    "tls_versions_and_silence": {
        "TLSv1_1": False,
        "TLSv1_2": True,
        "TLSv1_3": True,
        "silent": "cut",
        "told": [],
    },
    "tls_refuses_one_too_many": {"first": True, "second": "cut"},
    "stop_flushes_and_closes": {
        "last": True,
        "refused": "ConnectionRefusedError",
        "notes": ["request", "lost"],
        "left": [],
    },
    "closed_connections_leave_nothing": {"connections": 0, "files": 0},
    "tls_peers_that_vanish_leave_nothing": {"connections": 0},
    "listening_is_all_or_nothing": {"key": "sip.tcp", "udp is free": True},
    "dns_is_asked": {
        "sip:office.example": [
            ["TCP", "127.0.0.7", 5070, "office.example"],
            ["TCP", "127.0.0.8", 5071, "office.example"],
            ["UDP", "127.0.0.7", 5072, "office.example"],
        ],
        "sip:alias.example:5080": [["UDP", "127.0.0.7", 5080, "alias.example"]],
        "sip:nobody.example": "nobody.example: it has no address that we can reach",
        "asked again": 0,
        "of a large answer": True,
    },
}


@pytest.fixture(scope="module")
def happened(tmp_path_factory):
    """What happened in each scenario: one process for all, for starting one costs more than they do."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error::DeprecationWarning",
            SCRIPT,
            tmp_path_factory.mktemp("loopback"),
            *EXPECTED,
        ],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    results = {}
    for line in done.stdout.splitlines():
        results |= json.loads(line)
    return {**results, "stderr": done.stderr}


@pytest.mark.parametrize("scenario", EXPECTED)
def test_scenario(scenario, happened):
    assert happened[scenario] == EXPECTED[scenario]


def test_nothing_was_complained_of(happened):
    assert happened["stderr"] == ""


REFUSED = {
    "taken": ("127.0.0.1", None, "is taken by another program"),
    "not ours": ("192.0.2.254", 5060, "is no address of this machine"),
}


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
@pytest.mark.parametrize(("host", "port", "words"), REFUSED.values(), ids=REFUSED)
def test_a_socket_that_cannot_be_opened_names_address_key_and_cure(kind, host, port, words):
    with listen(Endpoint("127.0.0.1", 0, "sip.udp"), kind) as taken:
        wanted = Endpoint(host, port or taken.getsockname()[1], "sip.udp")
        with pytest.raises(ConfigError, match=words) as caught:
            listen(wanted, kind)
    assert (caught.value.key, caught.value.value) == ("sip.udp", str(wanted))


def test_both_families_stand_on_one_port():
    with listen(Endpoint("0.0.0.0", 0, "sip.udp"), socket.SOCK_STREAM) as first:
        port = first.getsockname()[1]
        with listen(Endpoint("::", port, "sip.udp"), socket.SOCK_STREAM) as second:
            assert second.getsockname()[1] == port
