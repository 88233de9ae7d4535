"""`python -m sandboxd.launcher`."""

import sys

from sandboxd.launcher.main import main

sys.exit(main())
