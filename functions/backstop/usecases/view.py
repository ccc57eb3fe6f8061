"""A message as the app sees it: RBM's AgentMessage and our `delivery`."""

from backstop.domain import sms_text
from backstop.domain.agenda import next_up
from backstop.domain.consent import Change, Consent
from backstop.domain.message import Entry, Json, Message, Policy, Request, Traffic
from backstop.domain.times import format_time

PUBLISHED = {"sms.doubted": "sms.failed", "sms.unsent": "sms.failed"}
"""What we read into an event, and what it is published as."""


def agent_message(message: Message) -> Json:
    """Return the AgentMessage with `delivery`: the body of every answer."""
    view: Json = {
        "name": f"phones/{message.phone}/agentMessages/{message.message_id}",
        "sendTime": format_time(message.accepted_at),
        "contentMessage": message.request.content,
        "expireTime": format_time(message.terms.deadline),
    }
    if message.request.traffic is not Traffic.UNSPECIFIED:
        view["messageTrafficType"] = message.request.traffic.value
    if "text" in message.request.content:
        view["rcsLength"] = len(message.request.content["text"].encode())
    view["fallback"] = message.terms.policy is not Policy.NONE and _sms(message.request)
    if message.request.metadata:
        view["metadata"] = dict(message.request.metadata)
    return view | {"delivery": delivery(message)}


def _sms(request: Request) -> Json:
    """Return what the SMS says, and what that takes."""
    view: Json = {"text": request.text, "from": request.sender}
    if request.media:
        view["media"] = list(request.media)
    else:
        measure = sms_text.measure(request.text)
        view |= {"encoding": measure.encoding, "segments": measure.segments}
        if measure.forced_by:
            view["forcedBy"] = list(measure.forced_by)
    view["cut"] = request.cut
    if request.options:
        view["replies"] = [
            {
                "number": option.number,
                "text": option.label,
                "postbackData": option.postback,
            }
            for option in request.options
        ]
    return view


def _type(entry: Entry) -> str:
    """Return the published name of a carrier's event, our own word for a step."""
    return (
        f"backstop.{PUBLISHED.get(entry.type, entry.type)}"
        if entry.id
        else (entry.type)
    )


def delivery(message: Message) -> Json:
    """Return what became of it, which rule decided, and what happens next."""
    rcs = message.rcs_state
    view: Json = {
        "outcome": message.outcome.value,
        "policy": message.terms.policy.value,
        "deadline": format_time(message.terms.deadline),
        "rcs": {"state": rcs.value, "at": format_time(message.rcs[rcs])},
        "rule": message.rule,
    }
    sms = message.sms_state
    if sms is not None:
        shown = next(
            (a for a in reversed(message.sms) if a.live and a.state is sms),
            message.sms[-1],
        )
        leg: Json = {"state": sms.value, "at": format_time(shown.at)}
        if shown.segments is not None:
            leg["segments"] = shown.segments
        if shown.by:
            leg["by"] = shown.by
        if shown.code is not None:
            leg["code"] = shown.code
        view["sms"] = leg | {"attempts": len(message.sms)}
    if message.closed:
        view["closed"] = message.closed.value
    if message.revision:
        view["revision"] = message.revision
    coming = next_up(message)
    if coming:
        view["next"] = {"what": coming[1], "at": format_time(coming[0])}
    view["events"] = [
        {
            "time": format_time(entry.time),
            "type": _type(entry),
            "leg": entry.leg,
            "id": entry.id,
        }
        for entry in message.history
    ]
    return view


def consent_view(phone: str, agent: str, consent: Consent) -> Json:
    """Return what a recipient chose, and every change with its evidence."""
    view: Json = {
        "name": f"phones/{phone}/consent",
        "agentId": agent,
        "state": consent.wish.value,
    }
    if consent.newest:
        view |= _change(consent.newest)
    view["history"] = [_change(change) for change in reversed(consent.changes)]
    return view


def _change(change: Change) -> Json:
    view: Json = {
        "state": change.wish.value,
        "at": format_time(change.at),
        "channel": change.channel,
        "evidence": change.evidence,
    }
    return view | ({"wording": change.wording} if change.wording else {})
