"""RCS first, SMS behind it."""
