"""What a phone's owner says and does, and whom the carriers tell of it."""

import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from .config import Carriers
from .instants import proto_time
from .phones import Phone, Phones, valid
from .rbm import Rbm
from .rbm_content import all_suggestions
from .rbm_events import full
from .reserved import behaviour
from .sms import Bandwidth
from .state import Job
from .web import Refusal, wrong

_SAYINGS = ("text", "suggestion", "file", "location", "event")
_EVENTS = ("UNSUBSCRIBE", "SUBSCRIBE", "READ", "IS_TYPING")
_LONGEST_TEXT = 2048
# What Google Messages writes for the owner, by country.
_STOP, _START = "STOP", "START"
_KEYWORDS = (
    ("+33", _STOP, "Démarrer"),
    ("+34", "BAJA", "ALTA"),
    ("+52", "BAJA", "ALTA"),
    ("+55", "parar", "começar"),
)


class Owner:
    """Speaks for the owners of all phones."""

    def __init__(
        self,
        phones: Phones,
        rbm: Rbm,
        sms: Bandwidth,
        config: Callable[[], Carriers],
    ) -> None:
        self._phones = phones
        self._rbm = rbm
        self._sms = sms
        self._config = config

    def say(self, number: str, body: Mapping[str, Any], now: int) -> list[str]:
        """Do what *body* says; return the ids of what was sent by it."""
        unknown = sorted(
            body.keys() - {*_SAYINGS, "channel", "agentId", "to", "messageId"}
        )
        if unknown:
            raise wrong(unknown[0], "an owner's message has no such field")
        said = [name for name in _SAYINGS if body.get(name) is not None]
        if len(said) != 1:
            raise wrong("text", f"needs exactly one of {', '.join(_SAYINGS)}")
        phone = self._phones.meet(number)
        if phone.off:
            raise _not_now("The phone is off.")
        channel = body.get("channel") or (
            "RCS" if phone.connected or said[0] not in ("text", "file") else "SMS"
        )
        if channel == "SMS":
            return [self._say_by_sms(phone, body, now)]
        if channel != "RCS":
            raise wrong("channel", "must be RCS or SMS")
        if not phone.connected:
            raise _not_now("The phone is not online with RCS.")
        agent = self.agent(body.get("agentId"))
        if "event" in body and body["event"] is not None:
            return self._do(phone, agent, body, now)
        content = self._content(phone, agent, said[0], body[said[0]])
        return [self._say_by_rcs(phone, agent, content, now)]

    def reply(self, job: Job) -> None:
        """Say what the owner of a reserved number says of whatever arrives."""
        number, now = job.payload["phone"], job.due
        replies = dict(behaviour(number).replies or {})
        phone = self._phones.meet(number)
        if "suggestion" in replies:
            found = self._phones.last_rcs_message(number, self.agent(None), None)
            offered = all_suggestions(found[1]["contentMessage"]) if found else []
            if not offered:
                return
            option = next(iter(next(iter(offered)).values()))
            replies = {"suggestion": {"postbackData": option.get("postbackData", "")}}
        if not phone.off:
            self.say(number, replies, now)

    @property
    def agents(self) -> tuple[str, ...]:
        """All who may write to a phone."""
        return self._config().agents

    def agent(self, name: Any) -> str:
        """Return the agent of that name, or the first; 400 if there is none."""
        if name is None:
            return self.agents[0]
        try:
            return self._rbm.agent(name if isinstance(name, str) else "")
        except Refusal:
            raise wrong("agentId", "there is no such agent") from None

    def _say_by_sms(self, phone: Phone, body: Mapping[str, Any], now: int) -> str:
        content: dict[str, Any]
        if body.get("text") is not None:
            content = {"text": _text(body["text"])}
        elif body.get("file") is not None:
            content = {"text": "", "media": [_file(body["file"])["fileUri"]]}
        else:
            raise wrong("channel", "SMS carries only text and file")
        to = body.get("to") or self._phones.last_sms_sender(phone.number)
        to = to or self._config().sms_sender
        if not isinstance(to, str) or not valid(to):
            raise wrong("to", "must be an E.164 number")
        message = self._sms.receive(phone.number, content, to, now=now)
        entry = {"channel": "SMS", "messageId": message, "content": content}
        self._phones.send(phone.number, now, entry)
        return message

    def _say_by_rcs(
        self, phone: Phone, agent: str, content: dict[str, Any], now: int
    ) -> str:
        message = "Mx" + secrets.token_urlsafe(16)
        payload = {
            "senderPhoneNumber": phone.number,
            "messageId": message,
            "sendTime": proto_time(now),
            **content,
            "agentId": full(agent),
        }
        self._rbm.events.publish(payload, now)
        entry = {"channel": "RCS", "messageId": message, "content": content}
        self._phones.send(phone.number, now, entry)
        return message

    def _do(
        self, phone: Phone, agent: str, body: Mapping[str, Any], now: int
    ) -> list[str]:
        event = body["event"]
        if event not in _EVENTS:
            raise wrong("event", f"must be one of {', '.join(_EVENTS)}")
        if event == "READ":
            message, _ = self._message(phone, agent, body.get("messageId"))
            self._rbm.read(agent, phone.number, message, now)
            return [message]
        payload = self._rbm.events.user_event(agent, phone.number, event, now)
        self._rbm.events.publish(payload, now)
        if event == "IS_TYPING":
            return [payload["eventId"]]
        # Google Messages writes the country's keyword besides, and either may be first.
        words = {"UNSUBSCRIBE": (_STOP, 1), "SUBSCRIBE": (_START, 2)}[event]
        keyword = next(
            (row[words[1]] for row in _KEYWORDS if phone.number.startswith(row[0])),
            words[0],
        )
        said = self._say_by_rcs(phone, agent, {"text": keyword}, now)
        return [payload["eventId"], said]

    def _content(
        self, phone: Phone, agent: str, kind: str, said: Any
    ) -> dict[str, Any]:
        if kind == "text":
            return {"text": _text(said)}
        if kind == "file":
            return {"userFile": {"payload": _file(said)}}
        if kind == "location":
            return {"location": _location(said)}
        return {"suggestionResponse": self._suggestion(phone, agent, said)}

    def _suggestion(self, phone: Phone, agent: str, said: Any) -> dict[str, str]:
        if not isinstance(said, dict) or not isinstance(said.get("postbackData"), str):
            raise wrong("suggestion.postbackData", "must be a string")
        _, content = self._message(
            phone, agent, said.get("messageId"), "suggestion.messageId"
        )
        for suggestion in all_suggestions(content["contentMessage"]):
            kind, option = next(iter(suggestion.items()))
            if option.get("postbackData", "") == said["postbackData"]:
                return {
                    "postbackData": said["postbackData"],
                    "text": option["text"],
                    "type": kind.upper(),
                }
        raise wrong("suggestion.postbackData", "that message offers no such suggestion")

    def _message(
        self, phone: Phone, agent: str, message: Any, name: str = "messageId"
    ) -> tuple[str, Any]:
        if message is not None and not isinstance(message, str):
            raise wrong(name, "must be a string")
        found = self._phones.last_rcs_message(phone.number, agent, message)
        if found is None:
            raise Refusal(
                404,
                "The phone has no such message of this agent.",
                fields=((name, "no such message on the phone"),),
            )
        return found


def _text(said: Any) -> str:
    if not isinstance(said, str) or not 0 < len(said) <= _LONGEST_TEXT:
        raise wrong("text", f"must be a string of 1 to {_LONGEST_TEXT} characters")
    return said


def _file(said: Any) -> dict[str, Any]:
    given = {"fileUri": said} if isinstance(said, str) else said
    if not isinstance(given, dict) or not isinstance(given.get("fileUri"), str):
        raise wrong("file", "must be a URL, or hold fileUri")
    known = ("mimeType", "fileSizeBytes", "fileName", "fileUri")
    defaults = {
        "mimeType": "image/jpeg",
        "fileSizeBytes": 1024,
        "fileName": given["fileUri"].rpartition("/")[2] or "file",
    }
    return defaults | {name: given[name] for name in known if name in given}


def _location(said: Any) -> dict[str, float]:
    bounds = {"latitude": 90, "longitude": 180}
    if not isinstance(said, dict):
        raise wrong("location", "must hold latitude and longitude")
    for name, most in bounds.items():
        value = said.get(name)
        if (
            not isinstance(value, int | float)
            or isinstance(value, bool)
            or not -most <= value <= most
        ):
            raise wrong(f"location.{name}", f"must be a number within {most}")
    return {name: said[name] for name in bounds}


def _not_now(text: str) -> Refusal:
    return Refusal(
        400, text, code="FAILED_PRECONDITION", fields=(("channel", text.lower()),)
    )


def parse_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object in *body*; 400 if it is none."""
    try:
        value = json.loads(body or b"{}")
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise Refusal(400, "The body is not JSON.") from None
    if not isinstance(value, dict):
        raise Refusal(400, "The body must be a JSON object.")
    return value
