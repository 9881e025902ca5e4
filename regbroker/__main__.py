"""``python -m regbroker`` is the ``regbroker`` command."""

import sys

from regbroker.cli import main

sys.exit(main())
