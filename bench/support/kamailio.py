"""Kamailio as registrar and stateful proxy with digest, alone or with rtpengine in user space (Debian).

A proxy: one Call-ID and one transaction a request on either side, where a B2BUA has two dialogs. It is the
floor for signalling in C, and with rtpengine the floor for audio in C.
"""

import os
import shutil
import socket
from pathlib import Path

from bench.support.peer import RTP_PORTS, AbsentError, Peer
from tests.phones.support.waiting import wait_until

MODULES = next(iter(Path("/usr/lib").glob("*/kamailio/modules")), Path("/usr/lib/kamailio/modules"))

CONFIG = """\
#!KAMAILIO
debug=0
log_stderror=yes
children={workers}
disable_tcp=yes
auto_aliases=no
alias="{domain}"
listen=udp:127.0.0.1:{port}
mpath="{modules}"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "siputils.so"
loadmodule "textops.so"
loadmodule "auth.so"
{audio_modules}
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 7200)

request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{
            {audio_delete}
            t_relay();
        }} else if (is_method("ACK") && t_check_trans()) {{
            t_relay();
        }} else if (!is_method("ACK")) {{
            sl_send_reply("404", "Not Here");
        }}
        exit;
    }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("$fd", "secret-of-$fU", "0")) {{ www_challenge("$fd", "1"); exit; }}
        save("location");
        exit;
    }}
    if (!pv_www_authenticate("$fd", "secret-of-$fU", "0")) {{ www_challenge("$fd", "1"); exit; }}
    consume_credentials();
    t_check_trans();
    record_route();
    if (!lookup("location")) {{ sl_send_reply("480", "Temporarily Unavailable"); exit; }}
    {audio_offer}
    t_relay();
}}

{audio_answer}
"""

OFFER = """t_on_reply("ANSWER");
    rtpengine_offer("replace-origin replace-session-connection ICE=remove");"""
ANSWER = """onreply_route[ANSWER] {
    if (status =~ "(183|2[0-9][0-9])" && has_body("application/sdp"))
        rtpengine_answer("replace-origin replace-session-connection ICE=remove");
}"""


class Kamailio(Peer):
    name = "kamailio"
    relays_audio = False
    rtpengine_port = 0
    workers = 2

    def start(self) -> None:
        program = shutil.which("kamailio") or "/usr/sbin/kamailio"
        if not Path(program).exists():
            raise AbsentError("not installed (apt-get install kamailio)")
        config = self.folder / "kamailio.cfg"
        audio = bool(self.rtpengine_port)
        config.write_text(
            CONFIG.format(
                domain=self.domain,
                port=self.port,
                workers=self.workers,
                modules=MODULES,
                audio_modules=f'loadmodule "rtpengine.so"\nmodparam("rtpengine", "rtpengine_sock", '
                f'"udp:127.0.0.1:{self.rtpengine_port}")'
                if audio
                else "",
                audio_delete='if (is_method("BYE")) rtpengine_delete();' if audio else "",
                audio_offer=OFFER if audio else "",
                audio_answer=ANSWER if audio else "",
            )
        )
        words = ["-DD", "-E", "-f", str(config), "-Y", str(self.folder), "-m", "256", "-M", "16"]
        self.run("kamailio", [program, *words])


class KamailioRtpengine(Kamailio):
    name = "kamailio+rtpengine"
    relays_audio = True
    workers = 8  # a worker waits while rtpengine answers it

    def start(self) -> None:
        program = shutil.which("rtpengine")
        if program is None:
            raise AbsentError("not installed (apt-get install rtpengine-daemon)")
        self.rtpengine_port = self.port + 4
        first, last = RTP_PORTS
        self.run(
            "rtpengine",
            [
                *(program, "--config-file=none", "--foreground", "--log-stderr", "--log-level=3"),
                *(
                    "--table=-1",
                    f"--num-threads={os.cpu_count()}",
                    "--interface=127.0.0.1",
                    f"--listen-ng=127.0.0.1:{self.rtpengine_port}",
                ),
                *(f"--port-min={first}", f"--port-max={last}", f"--pidfile={self.folder / 'rtpengine.pid'}"),
            ],
        )
        wait_until("rtpengine answers a ping", self._pings, 10.0)
        super().start()

    def _pings(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(0.2)
            client.connect(("127.0.0.1", self.rtpengine_port))
            try:
                client.send(b"1 d7:command4:pinge")
                return b"pong" in client.recv(1000)
            except (TimeoutError, ConnectionRefusedError):
                return False
