"""``python -m regbroker`` is the ``regbroker`` command."""

import sys

from regbroker.cli.main import main

sys.exit(main())
