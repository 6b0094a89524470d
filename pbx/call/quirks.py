"""What particular phones cannot take, by the User-Agent that they give."""

from typing import Final

from pbx.sip.message import Request

# These give up on a 401 that holds a SHA-256 challenge, even with an MD5 one beside it.
ONLY_MD5: Final = ("baresip v0.", "baresip v1.", "baresip v2.")
# These are known to take the first challenge that they understand (RFC 8760 §2.4). All others get MD5 first:
# many phones, and SIPp, look at the first challenge only.
KNOW_SHA_256: Final = ("linphone", "pjsua", "baresip v3.", "baresip v4.")
# A load generator takes a request that it does not expect for a call that failed.
LOAD_GENERATORS: Final = ("sipp",)


def user_agent_of(request: Request) -> str:
    """What the sender calls itself."""
    return request.headers.get("User-Agent") or ""


def digest_algorithms(user_agent: str) -> tuple[str, ...]:
    """What is offered for digest authentication, in this order."""
    if user_agent.startswith(ONLY_MD5):
        return ("MD5",)
    if user_agent.lower().startswith(KNOW_SHA_256):
        return ("SHA-256", "MD5")
    return ("MD5", "SHA-256")


def is_load_generator(user_agent: str) -> bool:
    """Whether nothing is sent to it but calls."""
    return user_agent.lower().startswith(LOAD_GENERATORS)


def may_be_asked(user_agent: str) -> bool:
    """Whether OPTIONS from time to time are welcome: not to what does not even say what it is."""
    return bool(user_agent) and not is_load_generator(user_agent)
