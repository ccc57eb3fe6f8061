"""Load, advance, save with unfinished actions, act, settle."""
