"""Media formats: payload type numbers and what they stand for (RFC 3551 §6, RFC 8866 §6.6, §6.15)."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from pbx.sdp.session import parse_number


class Format(NamedTuple):
    """One payload type of a media line.

    `encoding` is the rtpmap as written ("opus/48000/2"), `codec` the same for comparing: upper case, and one
    channel left unsaid. `parameters` are the values of its fmtp lines, `feedback` those of its rtcp-fb lines.
    """

    payload_type: int
    encoding: str
    codec: str
    parameters: tuple[str, ...] = ()
    feedback: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The encoding name in upper case."""
        return self.codec.partition("/")[0]

    @property
    def rate_hz(self) -> int:
        """The RTP clock rate."""
        return int(self.codec.split("/")[1])

    @property
    def is_auxiliary(self) -> bool:
        """True for what only accompanies a codec: digits, comfort noise, redundancy, repair."""
        return self.codec.partition("/")[0] in AUXILIARY


AUXILIARY: Final = frozenset(
    {"TELEPHONE-EVENT", "TONE", "CN", "RED", "RTX", "ULPFEC", "FLEXFEC", "FLEXFEC-03"}
)
FIRST_DYNAMIC: Final = 96
LAST_PAYLOAD_TYPE: Final = 127

_WORD: Final = re.compile(r"[!-~]+")

STATIC: Final[dict[int, Format]] = {
    number: Format(number, encoding, encoding.upper())
    for number, encoding in {
        0: "PCMU/8000",
        3: "GSM/8000",
        4: "G723/8000",
        5: "DVI4/8000",
        6: "DVI4/16000",
        7: "LPC/8000",
        8: "PCMA/8000",
        9: "G722/8000",
        10: "L16/44100/2",
        11: "L16/44100",
        12: "QCELP/8000",
        13: "CN/8000",
        14: "MPA/90000",
        15: "G728/8000",
        16: "DVI4/11025",
        17: "DVI4/22050",
        18: "G729/8000",
        25: "CelB/90000",
        26: "JPEG/90000",
        28: "nv/90000",
        31: "H261/90000",
        32: "MPV/90000",
        33: "MP2T/90000",
        34: "H263/90000",
    }.items()
}

# What phones write nearly always, by the value of its rtpmap, static ones by their bare number too.
READY: Final[dict[str, Format]] = (
    {f"{number} {each.encoding}": each for number, each in STATIC.items()}
    | {str(number): each for number, each in STATIC.items()}
    | {
        f"{number} {encoding}": Format(number, encoding, encoding.upper())
        for number in range(FIRST_DYNAMIC, LAST_PAYLOAD_TYPE + 1)
        for encoding in ("telephone-event/8000", "opus/48000/2", "H264/90000")
    }
)


def make_format(
    payload_type: int, encoding: str | None, parameters: tuple[str, ...] = (), feedback: tuple[str, ...] = ()
) -> Format | None:
    """A format from its number and rtpmap; None when neither says what it is."""
    static = STATIC.get(payload_type)
    if static is not None and (encoding is None or encoding == static.encoding):
        if not parameters and not feedback:
            return static
        return Format(payload_type, static.encoding, static.codec, parameters, feedback)
    if encoding is None:
        return None
    name, _, rest = encoding.partition("/")
    rate, _, channels = rest.partition("/")
    if not name or not _WORD.fullmatch(encoding) or not parse_number(rate, 10**9):
        return None
    codec = f"{name.upper()}/{int(rate)}"
    if channels not in ("", "1"):
        codec += f"/{channels.upper()}"
    return Format(payload_type, encoding, codec, parameters, feedback)


def common(offered: Sequence[Format], wanted: Iterable[Format]) -> tuple[Format, ...]:
    """The wanted formats that were offered too, in wanted order, by offered numbers (RFC 3264 §6.1)."""
    wanted = tuple(wanted)
    by_number = {each.payload_type: each for each in offered}
    numbers: dict[int, int] = {}  # wanted number -> offered number
    plain = True
    for each in wanted:
        same = by_number.get(each.payload_type)
        if same is not None and same.codec == each.codec:
            numbers[each.payload_type] = each.payload_type
            plain = plain and not each.feedback
    if len(numbers) < len(wanted):
        _match_by_codec(by_number, wanted, numbers)
    elif plain:
        return wanted
    return tuple(
        [
            _restrict(renumber(each, numbers), by_number[numbers[each.payload_type]])
            for each in wanted
            if each.payload_type in numbers
        ]
    )


def suffices(chosen: Sequence[Format], offered: Sequence[Format]) -> bool:
    """Whether a line can live on the chosen formats: digits alone will not do where a codec was offered."""
    for each in chosen:
        if not each.is_auxiliary:
            return True
    return bool(chosen) and all(each.is_auxiliary for each in offered)


# What one phone says to another is asked again in each of their calls: 3 of 4 microseconds are saved.
@lru_cache(256)
def choose(offered: tuple[Format, ...], wanted: tuple[Format, ...]) -> tuple[Format, ...]:
    """The formats of an answer: what is wanted of an offered line, none where it cannot live on that."""
    formats = common(offered, wanted)
    return formats if suffices(formats, offered) else ()


@lru_cache(256)
def confirm(offered: tuple[Format, ...], answered: tuple[Format, ...]) -> tuple[Format, ...]:
    """The answered formats that were offered, none where the line cannot live on them."""
    known = {each.codec for each in offered}
    formats = tuple([each for each in answered if each.codec in known])
    return formats if suffices(formats, offered) else ()


def _match_by_codec(
    by_number: dict[int, Format], wanted: tuple[Format, ...], numbers: dict[int, int]
) -> None:
    """Match what is left by codec: first where the parameters agree as well, then by codec alone."""
    taken = set(numbers.values())
    by_codec: dict[str, list[Format]] = {}
    for candidate in by_number.values():
        if candidate.payload_type not in taken:
            by_codec.setdefault(candidate.codec, []).append(candidate)
    for strict in (True, False):
        for each in wanted:
            if each.payload_type in numbers:
                continue
            free = by_codec.get(each.codec, [])
            for candidate in free:
                if not strict or candidate.parameters == each.parameters:
                    numbers[each.payload_type] = candidate.payload_type
                    free.remove(candidate)
                    break


def renumber(each: Format, numbers: dict[int, int]) -> Format:
    """The format under its new number, and so those its parameters name (RFC 4588 §8.1, RFC 2198 §5)."""
    number = numbers[each.payload_type]
    parameters = each.parameters
    if parameters and any(old != new for old, new in numbers.items()):
        if each.name == "RTX":
            parameters = tuple([_renumber_apt(value, numbers) for value in parameters])
        elif each.name == "RED":
            parameters = tuple([_renumber_list(value, numbers) for value in parameters])
    if number == each.payload_type and parameters is each.parameters:
        return each
    return Format(number, each.encoding, each.codec, parameters, each.feedback)


def _renumber_word(word: str, numbers: dict[int, int]) -> str:
    number = parse_number(word, LAST_PAYLOAD_TYPE)
    return word if number is None else str(numbers.get(number, number))


def _renumber_apt(value: str, numbers: dict[int, int]) -> str:
    parts = [part.strip() for part in value.split(";")]
    return ";".join(
        f"apt={_renumber_word(part[4:], numbers)}" if part.startswith("apt=") else part for part in parts
    )


def _renumber_list(value: str, numbers: dict[int, int]) -> str:
    return "/".join(_renumber_word(word, numbers) for word in value.split("/"))


def _restrict(each: Format, offered: Format) -> Format:
    """No feedback that was not offered (RFC 4585 §4.2); wildcards are dealt with at the line."""
    if not each.feedback or each.feedback == offered.feedback:
        return each
    kept = tuple([value for value in each.feedback if value in offered.feedback])
    return Format(each.payload_type, each.encoding, each.codec, each.parameters, kept)


def settle(wanted: Iterable[Format], history: dict[int, str]) -> tuple[Format, ...]:
    """The wanted formats under numbers that never meant something else in this session (RFC 3264 §8.3.2).

    Args:
        wanted: formats as another description numbers them.
        history: payload type -> codec, every number that either side ever used on this media line.
    """
    wanted = tuple(wanted)
    if all(history.get(each.payload_type, each.codec) == each.codec for each in wanted):
        return wanted
    numbers: dict[int, int] = {}
    used: set[int] = set()
    for each in wanted:
        known = [number for number, codec in history.items() if codec == each.codec and number not in used]
        own = each.payload_type
        if own not in used and history.get(own, each.codec) == each.codec:
            number: int | None = own
        elif known:
            number = known[0]
        else:
            number = _free_number(history, used, {other.payload_type for other in wanted})
        if number is not None:
            numbers[own] = number
            used.add(number)
    return tuple([renumber(each, numbers) for each in wanted if each.payload_type in numbers])


def _free_number(history: dict[int, str], used: set[int], wanted: set[int]) -> int | None:
    # 35-63 are free too where all dynamic numbers are taken (RFC 3551 §3).
    candidates = [*range(FIRST_DYNAMIC, LAST_PAYLOAD_TYPE + 1), *range(35, 64)]
    free = (n for n in candidates if n not in history and n not in used and n not in wanted)
    return next(free, None)
