"""What the tests of the running system share."""

import signal

from tests.support.postgres import postgres

__all__ = ["postgres"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script that runs tests in the background has Ctrl-C ignored, and what they start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
