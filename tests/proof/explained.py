"""Mutants that no test can notice, and why not."""

from collections.abc import Mapping

LIFECYCLE = "backstop/domain/lifecycle.py"
EVIDENCE = "backstop/domain/evidence.py"
AGENDA = "backstop/domain/agenda.py"
MESSAGE = "backstop/domain/message.py"
KEYWORDS = "backstop/domain/keywords.py"
ACTIONS = "backstop/usecases/actions.py"
HANDLE = "backstop/usecases/handle.py"
LISTEN = "backstop/usecases/listen.py"

EXPLAINED: Mapping[str, str] = {
    f"{MESSAGE} Message.armed: without if timer.at": (
        "a timer always has an instant, which its type leaves open"
    ),
    f"{LIFECYCLE} _without_timers: without due in due and due <= now": (
        "a fallback always has an instant, which its type leaves open"
    ),
    f"{LIFECYCLE} _without_timers: without action.again_at in "
    "action.again_at and action.again_at <= now": (
        "a DELETE always has an instant, which its type leaves open"
    ),
    f"{EVIDENCE} _gives_up_at: without now in message.due_at or now": (
        "what was claimed was due before, which its type leaves open"
    ),
    f"{AGENDA} due: without if signal.kind is not Kind.REPEAT": (
        "the ring asks for all that a repeat would, and nothing need be heard twice"
    ),
    f"{AGENDA} _agenda_without_outcome: without attempt.claimed_at in "
    "attempt.queued_at or attempt.claimed_at": (
        "whatever is said of an attempt sets `queued_at`, which its type leaves open"
    ),
    f"{KEYWORDS} _is_one_typo_from: turned: same < len(word)": (
        "only a word like the other is read so far, and then nothing is left of either"
    ),
    f"{ACTIONS} _send_sms: without ports.sms is None in "
    "ports.sms is None or _is_late(ports, message, attempt)": (
        "only who can send claims, which the type of `ports.sms` leaves open"
    ),
    f"{ACTIONS} _send_sms: without now in message.due_at or now": (
        "what was claimed was due before, which its type leaves open"
    ),
    f"{HANDLE} _is_told: all for: any((signal.event for signal in signals))": (
        "a carrier's event comes alone"
    ),
    f"{LISTEN} _Said.act: without self.answered in option and self.answered": (
        "only who answers a menu has an option, which its type leaves open"
    ),
    f"{LISTEN} _Said._choose: without known in known and known.refuses": (
        "whoever answers is bound by the choice, which `get` leaves open"
    ),
    f"{LISTEN} _Said._comes_back: without consent.newest in consent.refuses "
    "and consent.newest and (consent.newest.at < self.reply.at)": (
        "who refuses has chosen, which the type of `newest` leaves open"
    ),
    f"{LISTEN} _Said._answer: without self.agent is None in "
    "not text or self.agent is None": (
        "the text is the agent's own, which the type of `agent` leaves open"
    ),
}
"""By the mutant's name. One that is noticed all the same, or is gone, is an error."""
