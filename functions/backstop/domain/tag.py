"""How an SMS carries the name of its message and attempt to the provider and back."""

import re

_TAG = re.compile(r"([^/]+)/(.+)/(0|[1-9][0-9]{0,8})", re.DOTALL)


def make_tag(agent: str, message_id: str, attempt: int) -> str:
    """Return the tag by which every callback names its message and attempt."""
    return f"{agent}/{message_id}/{attempt}"


def read_tag(tag: str) -> tuple[str, str, int]:
    """Return what `make_tag` was given, or `("", "", 0)` if the tag is not ours.

    An agent holds no slash, a message id may.
    """
    match = _TAG.fullmatch(tag)
    if match is None:
        return "", "", 0
    agent, message_id, attempt = match.groups()
    return agent, message_id, int(attempt)
