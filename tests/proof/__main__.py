"""`python -m proof N=20000 [SEED=…] [PROCESSES=…]`: the long proof, as one table."""

import sys

from proof.prove import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
