"""`python -m redpop_assets.cli`: the command line where the program `redpop` is not installed."""

from redpop_assets.cli.app import main

main()
