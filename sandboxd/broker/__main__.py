"""`python -m sandboxd.broker`."""

import sys

from sandboxd.broker.main import main

sys.exit(main())
