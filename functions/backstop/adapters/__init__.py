"""Our platforms: what keeps the promises of the ports."""
