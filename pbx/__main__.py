"""`pbx` and `python -m pbx`."""

import sys


def run() -> None:
    """Run the command line. Ctrl-C ends it quietly, also while the program is still being loaded."""
    try:
        from pbx.cli import main  # noqa: PLC0415

        main()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    run()
