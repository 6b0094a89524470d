"""Finding the session description in a message body (RFC 3261 §7.4, RFC 5621)."""

from typing import Final

MAX_DEPTH: Final = 3
MAX_PARTS: Final = 32
MAX_BOUNDARY: Final = 70  # RFC 2046 §5.1.1


def extract_sdp(content_type: str | None, body: bytes) -> bytes | None:
    """The session description in a body: the body itself, or the first such part of a multipart one.

    Args:
        content_type: the Content-Type header's value; None when the message has none.

    Returns:
        The description's bytes, unread; None when there is none, whatever the reason.
    """
    if content_type == "application/sdp":  # as nearly always
        return body or None
    return _extract(content_type, body, MAX_DEPTH)


def is_optional(content_type: str | None, disposition: str | None, body: bytes) -> bool:
    """Whether who does not understand a body may pass it over: it says so, or each of its parts does.

    Args:
        content_type: the Content-Type header's value.
        disposition: the Content-Disposition header's; without one a body is required (RFC 3261 §20.11).
        body: all of it.
    """
    if _parameter(disposition or "", "handling").lower() == "optional":
        return True
    boundary = _boundary(content_type or "")
    parts = [] if boundary is None else [_split_head(part) for part in _split_parts(body, boundary)]
    wishes = [_parameter(_header(head, "content-disposition") or "", "handling") for head, _ in parts]
    return bool(wishes) and all(wish.lower() == "optional" for wish in wishes)


def _extract(content_type: str | None, body: bytes, depth: int) -> bytes | None:
    if not content_type or not body:
        return None
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/sdp":
        return body
    if not media_type.startswith("multipart/") or depth == 0:
        return None
    boundary = _boundary(content_type)
    if boundary is None:
        return None
    for part in _split_parts(body, boundary):
        head, content = _split_head(part)
        found = _extract(_header(head, "content-type"), content, depth - 1)
        if found is not None:
            return found
    return None


def _boundary(content_type: str) -> bytes | None:
    value = _parameter(content_type, "boundary")
    usable = 0 < len(value) <= MAX_BOUNDARY and value.isascii()
    return value.encode("ascii") if usable else None


def _parameter(value: str, wanted: str) -> str:
    """A parameter of a header's value, without quotes; "" when it is not there."""
    for parameter in value.split(";")[1:]:
        name, _, said = parameter.partition("=")
        if name.strip().lower() == wanted:
            said = said.strip()
            is_quoted = len(said) >= 2 and said[0] == said[-1] == '"'
            return said[1:-1].replace("\\", "") if is_quoted else said
    return ""


def _split_parts(body: bytes, boundary: bytes) -> list[bytes]:
    """The parts between the delimiter lines; what stands before the first and after the last is no part."""
    sections = (b"\r\n" + body).split(b"\r\n--" + boundary, MAX_PARTS + 1)
    parts = []
    for section in sections[1:]:
        if section.startswith(b"--"):
            break
        padding, newline, part = section.partition(b"\r\n")
        if newline and not padding.strip(b" \t"):
            parts.append(part)
    return parts


def _split_head(part: bytes) -> tuple[str, bytes]:
    if part.startswith(b"\r\n"):
        return "", part[2:]
    head, _, content = part.partition(b"\r\n\r\n")
    return head.decode("latin-1"), content


def _header(head: str, name: str) -> str | None:
    for line in head.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n"):
        found, _, value = line.partition(":")
        if found.strip().lower() == name:
            return value.strip()
    return None
