"""A linphone phone: linphonec with its own home folder, typed to on standard input."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from tests.phones.support.phone import Account, Answering, CallState, Phone, PhoneCall
from tests.phones.support.process import Program
from tests.phones.support.sound import Ear, write_tone
from tests.phones.support.waiting import wait_until
from tests.phones.support.wire import Seen, invite_status, parse_linphone

RATES: Final = {"G722": 8000}  # what SDP and the program call its rate
CONFIG: Final = """\
[sip]
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port={tls}
bind_address={host}
use_ipv6={six}
ipv6_migration_done=1
contact=sip:{user}@{contact_host}
guess_hostname=0
register_only_when_network_is_up=0
auto_net_state_mon=0
verify_server_certs=0
verify_server_cn=0
media_encryption={encryption}
media_encryption_mandatory={mandatory}
{suites}use_rfc2833={events}
use_info={info}
inc_timeout=60
default_proxy={default_proxy}
auto_answer_replacing_calls=1

[net]
mtu=1300
prefer_ipv6={six}
firewall_policy=0

[rtp]
audio_rtp_port={rtp}-{rtp_end}
symmetric=1
audio_jitt_comp=60
audio_adaptive_jitt_comp_enabled=0

[sound]
echocancellation=0
echolimiter=0
agc=0
remote_ring=
local_ring=

"""

PROXY: Final = """\
[proxy_0]
reg_proxy=<sip:{server}{transport}>
reg_route=<sip:{server}{transport};lr>
reg_identity=sip:{user}@{domain}
reg_expires=300
reg_sendregister={register}
publish=0

[auth_info_0]
username={user}
userid={user}
passwd={password}
"""

LINES: Final = (
    (re.compile(r"Receiving new incoming call from (.+), assigned id (\d+)"), "incoming"),
    (re.compile(r"Establishing call id to (.+), assigned id (\d+)"), "dialled"),
    (re.compile(r"Call (\d+) (?:to|with) .* ringing"), "ringing"),
    (re.compile(r"Call (\d+) (?:to|with) .* (?:early media|early)"), "ringing"),
    (re.compile(r"Call (\d+) (?:to|with) .* connected"), "connected"),
    (re.compile(r"Media streams established with .* for call (\d+)"), "streams"),
    (re.compile(r"Call (\d+) (?:to|with) .* is now paused"), "held"),
    (re.compile(r"Call (\d+) has been paused by"), "held by peer"),
    (re.compile(r"Call (\d+) (?:to|with) .* ended \((.*)\)"), "ended"),
    (re.compile(r"Call (\d+) (?:to|with) .* error(.*)"), "ended"),
    (re.compile(r"Receiving tone (\S) from"), "tone"),
)


class LinphonePhone(Phone):
    program = "linphone"

    def __init__(
        self,
        name: str,
        account: Account,
        folder: Path,
        tone: float,
        suites: Sequence[str] = (),
        keys: Literal["events", "info", "none"] = "events",
        microphone: Path | None = None,
    ) -> None:
        """`keys`: how it tells which are pressed; `microphone`: a sound file that it says over and over."""
        super().__init__(name, account, folder, tone)
        self._suites = suites
        self._keys = keys
        self._microphone = microphone
        self._is_automatic = True
        self._start_s: dict[int, float] = {}

    def start(self) -> None:
        home = self.folder
        for needed in (".local/share/linphone", ".config/linphone"):
            (home / needed).mkdir(parents=True, exist_ok=True)
        (home / "rc").write_text(self._configuration())
        microphone = self._microphone or write_tone(home / "microphone.wav", self.tone, 16000)
        self._program = Program(
            self.name,
            ["linphonec", "-c", str(home / "rc"), "-d", "6", "-l", str(home / "wire.log")],
            home / "out.log",
            self._read_line,
            {"HOME": str(home)},
        )
        self._program.write(
            f"soundcard use files\nplay {microphone}\nrecord {home / 'heard.wav'}\nautoanswer enable\n"
        )
        self._program.wait_line("Auto answer enabled", 15.0)

    def call(self, uri: str) -> PhoneCall:
        with self.changed:
            count = len(self.calls)
        self._type(f"call {uri}")
        self._wait("dialled", lambda: any(not call.is_incoming for call in self.calls[count:]), 5.0)
        return next(call for call in self.calls[count:] if not call.is_incoming)

    def answering(self, mode: Answering) -> None:
        if mode.status not in (200, 180) or mode.after_s:
            raise NotImplementedError(f"linphonec cannot answer every call with {mode}")
        self._type(f"autoanswer {'enable' if mode.status == 200 else 'disable'}")

    def answer(self, call: PhoneCall, status: int = 200) -> None:
        if status == 200:
            self._type(f"answer {call.key}")
        elif status == 603:
            self._type(f"terminate {call.key}")
        else:
            raise NotImplementedError(f"linphonec cannot answer with {status}")

    def hangup(self, call: PhoneCall) -> None:
        self._type(f"terminate {call.key}")

    def hold(self, call: PhoneCall) -> None:
        self._type("pause")
        self._wait("held", lambda: call.direction == "sendonly", 6.0)

    def resume(self, call: PhoneCall) -> None:
        self._type(f"resume {call.key}")
        self._wait("resumed", lambda: call.direction == "sendrecv", 6.0)

    def transfer(self, call: PhoneCall, uri: str) -> None:
        self._type(f"transfer {call.key} {uri}")

    def transfer_attended(self, call: PhoneCall, consulted: PhoneCall) -> None:
        self._type(f"transfer {call.key} --to-call {consulted.key}")

    def dtmf(self, call: PhoneCall, digits: str) -> None:
        """One a second. Typed at once it sends the second INFO only four seconds after the first: it reads
        nothing until it has pressed all."""
        if self._keys != "info":
            self._type(digits)
            return
        for digit in digits:
            before = self._answered_keys()
            self._type(digit)
            wait_until(f"{self.name}'s INFO is answered", lambda n=before: self._answered_keys() > n)

    def _answered_keys(self) -> int:
        """How many INFOs; it sends each twice, because it sleeps for a second before it reads the answer."""
        numbers = [each.header("CSeq") for each in self.received("SIP/2.0 200")]
        return len({number for number in numbers if number.endswith("INFO")})

    def ear(self, call: PhoneCall) -> Ear:
        """One file for all its calls: each begins where it was when the call came."""
        return self._ear(self._start_s.get(call.number, 0.0))

    def leave(self) -> None:
        assert self._program is not None
        self._type("quit")
        self._program.wait_end(4.0)

    def wire(self) -> list[Seen]:
        log = self.folder / "wire.log"
        return parse_linphone(log.read_text("utf-8", "replace")) if log.exists() else []

    def _configuration(self) -> str:
        account = self.account
        tls_port = self.sip_port + 1
        text = CONFIG.format(
            udp=self.sip_port if account.transport == "udp" else 0,
            tcp=self.sip_port if account.transport == "tcp" else 0,
            tls=tls_port if account.transport == "tls" else 0,
            host=account.host,
            contact_host=f"[{account.host}]" if ":" in account.host else account.host,
            six=int(":" in account.host),
            user=account.username or self.name,
            encryption="none" if account.srtp == "off" else "srtp",
            mandatory=int(account.srtp == "required"),
            suites=f"srtp_crypto_suites={','.join(self._suites)}\n" if self._suites else "",
            default_proxy=0 if account.username else -1,
            rtp=self.rtp_port,
            rtp_end=self.rtp_port + 20,
            events=int(self._keys == "events"),
            info=int(self._keys == "info"),
        )
        wanted = [*account.codecs, *(["telephone-event"] if self._keys == "events" else [])]
        others = [
            name
            for name in ("telephone-event", "opus", "speex", "PCMU", "PCMA", "GSM", "G722")
            if name not in wanted
        ]
        for index, name in enumerate([*wanted, *others]):
            rate = {"opus": 48000, "speex": 16000}.get(name, RATES.get(name, 8000))
            text += (
                f"[audio_codec_{index}]\nmime={name}\nrate={rate}\nchannels={2 if name == 'opus' else 1}\n"
            )
            text += f"enabled={int(name in wanted)}\n\n"
        if account.username:
            text += PROXY.format(
                server=account.server,
                transport="" if account.transport == "udp" else f";transport={account.transport}",
                user=account.username,
                domain=account.domain,
                password=account.password,
                register=int(account.register),
            )
        return text

    def _type(self, line: str) -> None:
        assert self._program is not None, f"{self.name} was not started"
        self._program.write(line + "\n")

    def _read_line(self, line: str) -> None:
        for pattern, event in LINES:
            if found := pattern.search(line):
                with self.changed:
                    self._on_event(event, found)
                    self.changed.notify_all()
                return

    def _on_event(self, event: str, found: re.Match[str]) -> None:
        """With the lock held."""
        if event in ("incoming", "dialled"):
            call = self._new_call(found[2], event == "incoming", found[1])
            self._start_s[call.number] = self._recorded_s()
            return
        if event == "tone":
            for call in reversed(self.calls):
                if call.state is CallState.ESTABLISHED:
                    call.digits += found[1]
                    break
            return
        if (call := self._find(found[1])) is None:
            return
        if event == "ringing" and not call.is_incoming:
            call.state = CallState.RINGING
        elif event == "connected":
            call.state, call.status = CallState.ESTABLISHED, 200
        elif event == "streams":
            call.direction = "sendrecv"
        elif event == "held":
            call.direction = "sendonly"
        elif event == "held by peer":
            call.direction = "recvonly"
        elif event == "ended":
            call.state, call.reason = CallState.ENDED, found[2]
            if not call.is_incoming:
                call.status = invite_status(self.wire()) or call.status

    def _recorded_s(self) -> float:
        return self._ear(0.0).seconds()

    def _ear(self, begins_s: float) -> Ear:
        """Its recordings say 8000 Hz, whatever the codec brings."""
        rate = {"G722": 16000, "opus": 48000}.get(self.account.codecs[0], 0)
        return Ear(lambda: [self.folder / "heard.wav"], self.name, self.tone, begins_s, rate)
