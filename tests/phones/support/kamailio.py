"""Kamailio as a carrier: registrar and proxy of accounts with the password secret-of-<account>.

Calls come from its customers, who are challenged, and go to `world`; calls from there go to the customer
`acme`, to the Contact that he has registered, as a registrar does it: the number is in To.
"""

import shutil
import signal
from pathlib import Path
from typing import Final

from tests.phones.support.ports import Ports
from tests.phones.support.process import Program
from tests.phones.support.sip_client import sip_client
from tests.phones.support.waiting import wait_until

MODULES: Final = next(iter(Path("/usr/lib").glob("*/kamailio/modules")), Path("/usr/lib/kamailio/modules"))
CONFIG: Final = """\
#!KAMAILIO
debug=1
log_stderror=yes
children=1
disable_tcp=yes
auto_aliases=no
listen=udp:{host}:{port}
mpath="{modules}"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "xlog.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("auth", "nonce_expire", {nonce_s})
modparam("auth", "qop", "auth")
modparam("registrar", "max_expires", {expires_s})
modparam("registrar", "min_expires", 1)

request_route {{
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (has_totag()) {{ loose_route(); t_relay(); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (is_method("INVITE") && "{world}" != "") {{
        record_route();
        if ($si + ":" + $sp == "{world}") {{
            $ru = "sip:acme@{host}:{port}";
            if (!lookup("location")) {{ sl_send_reply("480", "Nobody There"); exit; }}
        }} else {{
            if (!pv_proxy_authenticate("$fd", "secret-of-$au", "0")) {{
                proxy_challenge("$fd", "1");
                exit;
            }}
            consume_credentials();
            $du = "sip:{world}";
        }}
        t_relay();
        exit;
    }}
    if (!is_method("REGISTER")) {{ sl_send_reply("404", "Not Here"); exit; }}
    if (!pv_www_authenticate("$fd", "secret-of-$fU", "0")) {{
        www_challenge("$fd", "1");
        exit;
    }}
    xlog("L_NOTICE", "REGISTER of $fU from $ct for $hdr(Expires)\\n");
    save("location");
}}
"""


def find_kamailio() -> str | None:
    """The program, which Debian keeps where only root looks."""
    return shutil.which("kamailio") or shutil.which("/usr/sbin/kamailio")


class Kamailio:
    """Runs in `with`. Bindings live for `expires_s`, a nonce for `nonce_s` seconds."""

    def __init__(
        self, folder: Path, host: str, *, expires_s: int = 600, nonce_s: int = 300, world: str = ""
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self.host = folder, host
        self._expires_s, self._nonce_s, self._world = expires_s, nonce_s, world
        self._ports = Ports(10, host)
        self.port = self._ports.first
        self._program: Program | None = None
        self.log_path = folder / "kamailio.log"

    def __enter__(self) -> "Kamailio":
        program = find_kamailio()
        assert program is not None, "kamailio is not here"
        config = self._folder / "kamailio.cfg"
        config.write_text(
            CONFIG.format(
                host=self.host,
                port=self.port,
                modules=MODULES,
                expires_s=self._expires_s,
                nonce_s=self._nonce_s,
                world=self._world,
            )
        )
        words = ["-DD", "-E", "-f", str(config), "-Y", str(self._folder), "-m", "64", "-M", "8"]
        self._program = Program("kamailio", [program, *words], self.log_path)
        wait_until("kamailio answers OPTIONS", self._is_up)
        return self

    def __exit__(self, *_: object) -> None:
        if self._program is not None:
            self._program.signal(signal.SIGTERM)  # it ends its children
            if self._program.wait_end(10.0) is None:
                self._program.kill()
        self._ports.release()

    def registered(self) -> list[str]:
        """What it has taken: account, Contact and seconds."""
        text = self.log_path.read_text("utf-8", "replace")
        return [line.partition("REGISTER of ")[2] for line in text.splitlines() if "REGISTER of " in line]

    def _is_up(self) -> bool:
        assert self._program is not None
        assert self._program.is_running, f"kamailio has ended: {self._program.lines[-10:]}"
        with sip_client((self.host, self.port)) as client:
            return client.options() is not None
