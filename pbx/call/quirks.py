"""What particular phones cannot take, by the User-Agent that they give."""

from typing import Final

from pbx.sip.message import Request

# These give up on a 401 that holds a SHA-256 challenge, even with an MD5 one beside it.
ONLY_MD5: Final = ("baresip v0.", "baresip v1.", "baresip v2.")
# A load generator takes an OPTIONS for a call that failed.
NOT_ASKED: Final = ("sipp",)


def user_agent_of(request: Request) -> str:
    """What the sender calls itself."""
    return request.headers.get("User-Agent") or ""


def knows_only_md5(user_agent: str) -> bool:
    """Whether only MD5 may be offered for digest authentication."""
    return user_agent.startswith(ONLY_MD5)


def may_be_asked(user_agent: str) -> bool:
    """Whether OPTIONS from time to time are welcome: not to what does not even say what it is."""
    return bool(user_agent) and not user_agent.lower().startswith(NOT_ASKED)
