"""`python -m dapo_cli` is the command `dapo`."""

import sys

from dapo_cli.app import main

sys.exit(main())
