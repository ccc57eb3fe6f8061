"""HTTP in, HTTP out: the only layer that knows the web framework."""
