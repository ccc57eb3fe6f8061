"""The catalogue of log lines: every name that is ever written, and its fields.

Metrics count by these names. A field may be missing where it has no meaning;
numbers are seconds or counts. Nothing here is about people: of a phone there
are its last two digits.
"""

from collections.abc import Mapping


def _fields(names: str) -> frozenset[str]:
    return frozenset(names.split())


CATALOGUE: Mapping[str, frozenset[str]] = {
    # A new message is durable and its timer armed.
    "accepted": _fields("messageId agentId policy traffic phone"),
    # A message was refused, since its recipient wants none like it.
    "opted_out": _fields("agentId phone"),
    # A recipient's wish was recorded.
    "consent": _fields("agentId wish channel phone"),
    # A change of a message was saved: what was heard, and what it led to.
    "step": _fields("messageId agentId signals rcs sms outcome rule actions"),
    # An outcome was saved and is published next; a revision above 1 corrects.
    "outcome": _fields(
        "messageId agentId outcome policy revision fellBack reachSeconds overdueSeconds"
    ),
    # The SMS provider is asked now; before the deadline `lateSeconds` is negative.
    "sms_request": _fields("messageId agentId policy attempt lateSeconds"),
    # A timer was heard, and what was due is done. `overdueSeconds` only while the
    # message has no outcome all the same.
    "ring": _fields("messageId agentId lateSeconds overdueSeconds"),
    # Somebody called a webhook and was not believed.
    "webhook_refused": _fields("cause"),
    "sms_webhook_refused": _fields("cause"),
    # A provider does not take our own credentials, or does not know our agent.
    "rbm_credentials_refused": _fields("cause"),
    "rbm_agent_lookup_failed": _fields("agent count"),
    "bandwidth_credentials_refused": _fields("request status"),
    # What RBM said of so many phones' RCS could not be remembered.
    "reach_not_kept": _fields("count"),
    # A request ended in 503: the platform did not do its part. Who called comes again.
    "unavailable": _fields("error"),
    # A request ended in 500: a bug.
    "crash": _fields("error"),
    # The embedded platform could not read or write its file.
    "dispatcher_failed": _fields("cause"),
}
