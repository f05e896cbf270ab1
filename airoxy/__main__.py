"""`python3 -m airoxy` is the same program as `airoxy`."""

import sys

from airoxy.cli import main

if __name__ == "__main__":
    sys.exit(main())
