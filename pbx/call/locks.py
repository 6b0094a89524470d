"""Wrong passcodes and PINs in a row lock what they open (product §3).

In memory only: a restart forgives, and nobody can cause one from a phone.
"""

from typing import Final

FAILURES: Final = 5
LOCKED_S: Final = 15 * 60.0
MOST_SUBJECTS: Final = 10_000  # whose failures are counted


class Locks:
    """Failures of each subject, such as "passcode 100" or "mailbox 100".

    One is `is_shared` where many codes are right, each somebody's: who has one of his own must not have his
    guesses at those of others forgiven by it. So there a right code gives back its own try only, and failures
    are forgotten when there was none for LOCKED_S.
    """

    def __init__(self) -> None:
        # How many in a row, when the last was, and the one before.
        self._failures: dict[str, tuple[int, float, float]] = {}

    def is_locked(self, subject: str, now: float) -> bool:
        """Whether not even the right code counts now."""
        count, last, _ = self._failures.get(subject, (0, 0.0, 0.0))
        return count >= FAILURES and now - last < LOCKED_S

    def begin(self, subject: str, now: float, *, is_shared: bool = False) -> bool:
        """A code is about to be checked; False: it is locked, and nothing is to be checked.

        It counts as wrong until `right` is called, so that many calls at once have no more tries than one.
        """
        if self.is_locked(subject, now):
            return False
        count, last, _ = self._failures.pop(subject, (0, 0.0, 0.0))
        if is_shared and now - last >= LOCKED_S:
            count = 0
        self._failures[subject] = (count % FAILURES + 1, now, last)
        if len(self._failures) > MOST_SUBJECTS:
            del self._failures[next(iter(self._failures))]
        return True

    def right(self, subject: str, *, is_shared: bool = False) -> None:
        """The code was right: failures are counted anew, or go on without this try."""
        count, _, before = self._failures.pop(subject, (0, 0.0, 0.0))
        if is_shared and count > 1:
            self._failures[subject] = (count - 1, before, before)
