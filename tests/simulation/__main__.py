"""Tells the story of seeds: `python -m simulation 1234 [1235 …]`."""

import sys

from simulation.run import tell

for seed in sys.argv[1:]:
    sys.stdout.write(tell(int(seed)) + "\n")
