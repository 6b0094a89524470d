"""The outbox's sender in a process of its own, as the core runs it.

Usage: sender.py DATABASE-URL SERVER-URL CA-FILE OPTIONS-AS-JSON [TOKEN-COMMAND ...]. It ends with its
standard input. Options: "clock", how many times too fast its clock goes, and what `Patience` has.
"""

import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)

from twisted.internet import reactor, stdio  # noqa: E402
from twisted.internet.protocol import Protocol  # noqa: E402

from pbx.app.line_log import LineLog  # noqa: E402
from pbx.entropy import SystemEntropy  # noqa: E402
from pbx.mail.client import Patience  # noqa: E402
from pbx.mail.outbox import Mailer, Pace  # noqa: E402
from pbx.mail.post import Post  # noqa: E402
from pbx.mail.server import parse_server  # noqa: E402
from pbx.net.tls import TrustedServers  # noqa: E402
from pbx.store.outbox import Outbox  # noqa: E402
from pbx.store.store import open_store  # noqa: E402

URL, SERVER, CA, OPTIONS, *TOKEN = sys.argv[1:]
CLOCK, PATIENCE = (options := json.loads(OPTIONS)).pop("clock"), options
BEGIN = time.time()


def wall() -> float:
    return BEGIN + (time.time() - BEGIN) * CLOCK


class Owner(Protocol):
    def connectionLost(self, reason):  # noqa: N802
        stopped = mailer.stop()
        print("ends", flush=True)
        stopped.addCallback(lambda _: reactor.stop())


reactor.seconds = time.monotonic
LineLog(sys.stderr, reactor, True).begin()
store = open_store(URL)
post = Post(
    reactor,
    parse_server(SERVER),
    TrustedServers(Path(CA) if CA else None, "mail.trusted_ca"),
    TOKEN,
    Patience(
        **{"connect_s": 30.0, "reply_s": 30.0, "block_s": 30.0, "end_s": 30.0, "close_s": 0.5} | PATIENCE
    ),
)
mailer = Mailer(
    reactor,
    Outbox(store),
    post,
    lambda: ("Acme", "UTC"),
    "pbx@acme.example",
    SystemEntropy(),
    wall,
    Pace(look_s=0.05, retry_s=0.1, stop_s=30.0),
)
reactor.callWhenRunning(mailer.start)
reactor.callWhenRunning(stdio.StandardIO, Owner())
print("up", flush=True)
reactor.run()
