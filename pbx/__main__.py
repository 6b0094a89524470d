"""`python -m pbx`."""

from pbx.cli import main

main()
