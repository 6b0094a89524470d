"""What becomes of a call that nobody answered (product §2, step 6)."""

from typing import Final

from pbx.office.extension import Extension
from pbx.rules.decision import Reject, TakeMessage

ANSWERS: Final = {480: "Temporarily Unavailable", 486: "Busy Here"}


def decide_no_answer(extension: Extension, status: int, why: str) -> Reject | TakeMessage:
    """The action of the extension's no-answer settings.

    Args:
        status: what its phones answered: 486 when all were busy, 480 when nobody was there.
    """
    if extension.type != "normal":
        return Reject(
            status, ANSWERS.get(status, ""), f"{why}; a call centre's calls have no no-answer action"
        )
    action = extension.no_answer.action
    if action == "voicemail":
        return TakeMessage(extension.key, f"{why}: voicemail of {extension.key}")
    if action == "notify":
        return Reject(480, ANSWERS[480], f"{why}: the missed call is noted and mailed", is_noted=True)
    return Reject(status, ANSWERS.get(status, ""), f"{why}: {extension.key} hangs up")
