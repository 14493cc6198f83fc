"""What holds for every test."""

import os

# Else measurements here would wait for the calm of a machine that runs tests.
os.environ.setdefault("EDGEPROF_CALM_MEMORY", "off")
