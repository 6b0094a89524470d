"""office.toml as an Office, and an Office as office.toml (product §1)."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from pbx.entropy import Entropy
from pbx.office.checks import Facts, check
from pbx.office.credentials import Hasher, Settler
from pbx.office.mistakes import Mistake, OfficeFileError
from pbx.office.notes import notes
from pbx.office.reading import Finding, Reading
from pbx.office.snapshot import Office
from pbx.office.source import Source
from pbx.office.uploads import Take, settle_sounds
from pbx.office.writing import render


@dataclass(frozen=True, slots=True)
class OfficeFile:
    """What a file asks for: the office, passwords made for it (by username), and remarks in words."""

    office: Office
    generated: Mapping[str, str] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()


def parse_office(
    text: str,
    filename: str,
    *,
    realm: str,
    hasher: Hasher,
    entropy: Entropy,
    existing: Office | None = None,
    take_sound: Take | None = None,
    approved: Mapping[str, Set[str]] | None = None,
) -> OfficeFile:
    """Read the text of an office.toml.

    Args:
        filename: as it shall be named in mistakes.
        realm: of the devices' digest authentication ([server].domain).
        existing: the office as it is; secrets that the file leaves out are taken from it.
        take_sound: looks at a sound file that a prompt names and says where it is kept; None: the paths stay
            as they are.
        approved: caller IDs that extensions, by key, may show because a request was approved.

    Raises:
        OfficeFileError: anything is wrong; it carries all the mistakes.
    """
    source = Source.read(text, filename)
    if isinstance(source, Mistake):
        raise OfficeFileError([source])
    reading = Reading()
    written: Office = reading.table(Office, source.data, ())
    settler = Settler(reading.secrets, existing or Office(), realm, hasher, entropy)
    office = settler.settle(written)
    findings = check(Facts(written, reading.references, frozenset(source.lines)))
    findings += [
        Finding(path, "a PIN that another member has", "a PIN of one's own") for path in settler.taken_pins
    ]
    if take_sound is not None:
        office, unusable = settle_sounds(office, take_sound)
        findings += unusable
    malformed = {finding.path for finding in reading.findings}  # what stands there now was not written so
    findings = [finding for finding in findings if finding.path not in malformed]
    if reading.findings or findings:
        raise OfficeFileError(source.mistakes(reading.findings + findings, Office))
    return OfficeFile(office, settler.generated, tuple(notes(office, approved or {})))


def export_office(office: Office) -> str:
    """The text of an office.toml that makes this office; secrets are left out."""
    return render(office)
