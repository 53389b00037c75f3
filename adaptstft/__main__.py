"""Run the command line: ``python -m adaptstft``."""

import sys

from adaptstft.cli import main

if __name__ == "__main__":
    sys.exit(main())
