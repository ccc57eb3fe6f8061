"""Mutants that no test can notice, and why not."""

from collections.abc import Mapping

EXPLAINED: Mapping[str, str] = {}
"""By the mutant's name. One that is noticed all the same, or is gone, is an error."""
