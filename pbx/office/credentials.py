"""What becomes of the secrets in a file: hashes; where the file leaves them out, the old or a new one."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from pbx.entropy import Entropy
from pbx.office.device import Device
from pbx.office.extension import Extension
from pbx.office.gateway import Gateway
from pbx.office.locate import Path
from pbx.office.member import Member
from pbx.office.room import Room
from pbx.office.snapshot import Office
from pbx.office.trunk import Trunk

# No l I O o 0 1: passwords are read from paper.
ALPHABET: Final = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
GENERATED_LENGTH: Final = 16


class Hasher(Protocol):
    """A slow hash function for secrets that people choose."""

    def hash(self, text: str, like: str = "") -> str:
        """The hash of `text`; with the salt of the hash `like` where one is given."""
        ...

    def verify(self, text: str, stored: str) -> bool:
        """Whether `stored` is a hash of `text`."""
        ...


@dataclass(frozen=True, slots=True)
class Ha1:
    """The two hashes of a password that digest authentication needs (RFC 7616 §3.4.2, RFC 8760 §2.3)."""

    md5: str = field(repr=False)
    sha256: str = field(repr=False)


def make_ha1(username: str, realm: str, password: str) -> Ha1:
    text = f"{username}:{realm}:{password}".encode()
    return Ha1(hashlib.md5(text, usedforsecurity=False).hexdigest(), hashlib.sha256(text).hexdigest())


def generate_password(entropy: Entropy) -> str:
    """A password of letters and digits that look different in every typeface; 5.8 bits a character."""
    limit = 256 - 256 % len(ALPHABET)  # above it some characters would come up more often
    chars = ""
    while len(chars) < GENERATED_LENGTH:
        some = entropy.secret(GENERATED_LENGTH)
        chars += "".join(ALPHABET[byte % len(ALPHABET)] for byte in some if byte < limit)
    return chars[:GENERATED_LENGTH]


@dataclass(slots=True)
class Settler:
    """Puts the secrets of one file into the office that it describes.

    `secrets` are those that the file gives, by path; `known` is the office as it is. A device is known by its
    username, which its hashes are bound to; everything else by its key or name.
    """

    secrets: Mapping[Path, str]
    known: Office
    realm: str
    hasher: Hasher
    entropy: Entropy
    generated: dict[str, str] = field(default_factory=dict)
    taken_pins: list[Path] = field(default_factory=list)

    def settle(self, office: Office) -> Office:
        """The office with its secrets. Fills `generated` (passwords by username) and `taken_pins`."""
        return replace(
            office,
            realm=self.realm,
            members=self._members(office.members),
            extensions=tuple(self._extension(at, each) for at, each in enumerate(office.extensions)),
            trunks=tuple(self._trunk(at, each) for at, each in enumerate(office.trunks)),
            gateways=tuple(self._gateway(at, each) for at, each in enumerate(office.gateways)),
            rooms=tuple(self._room(at, each) for at, each in enumerate(office.rooms)),
        )

    def _members(self, members: tuple[Member, ...]) -> tuple[Member, ...]:
        """All PINs share one salt, so that one hash finds whose PIN was keyed in, and whether it is taken."""
        salted = next((member.pin_hash for member in self.known.members if member.pin_hash), "")
        settled: list[Member] = []
        for at, member in enumerate(members):
            was = self.known.member(member.email) or member
            pin_hash = self._hash(("member", at, "pin"), was.pin_hash, salted)
            salted = salted or pin_hash
            settled.append(replace(member, pin_hash=pin_hash))
        self._find_taken_pins(settled)
        return tuple(settled)

    def _find_taken_pins(self, members: list[Member]) -> None:
        given = [("member", at, "pin") in self.secrets for at in range(len(members))]
        seen = {member.pin_hash for at, member in enumerate(members) if not given[at]} - {""}
        for at, member in enumerate(members):
            if given[at] and member.pin_hash in seen:
                self.taken_pins.append(("member", at, "pin"))
            if member.pin_hash:
                seen.add(member.pin_hash)

    def _extension(self, at: int, extension: Extension) -> Extension:
        was = self.known.extension(extension.key) or extension
        return replace(
            extension,
            passcode_hash=self._hash(("extension", at, "passcode"), was.passcode_hash),
            devices=tuple(
                self._device(("extension", at, "device", index, "password"), device)
                for index, device in enumerate(extension.devices)
            ),
        )

    def _device(self, path: Path, device: Device) -> Device:
        password = self.secrets.get(path)
        known = self.known.device(device.username) if self.known.realm in ("", self.realm) else None
        if password is None and known is not None and known[1].ha1_md5:
            return replace(device, ha1_md5=known[1].ha1_md5, ha1_sha256=known[1].ha1_sha256)
        if password is None:
            password = self.generated[device.username] = generate_password(self.entropy)
        ha1 = make_ha1(device.username, self.realm, password)
        return replace(device, ha1_md5=ha1.md5, ha1_sha256=ha1.sha256)

    def _trunk(self, at: int, trunk: Trunk) -> Trunk:
        was = self.known.trunk(trunk.name) or trunk
        return replace(trunk, password=self.secrets.get(("trunk", at, "password"), was.password))

    def _gateway(self, at: int, gateway: Gateway) -> Gateway:
        was = self.known.gateway(gateway.name) or gateway
        return replace(gateway, password=self.secrets.get(("gateway", at, "password"), was.password))

    def _room(self, at: int, room: Room) -> Room:
        was = self.known.room(room.key) or room
        return replace(room, pin_hash=self._hash(("room", at, "pin"), was.pin_hash))

    def _hash(self, path: Path, was: str, like: str = "") -> str:
        """The hash of the secret at `path`: the old one when it is the same or left out."""
        given = self.secrets.get(path)
        if given is None:
            return was
        if given == "":
            return ""
        return was if was and self.hasher.verify(given, was) else self.hasher.hash(given, like)
