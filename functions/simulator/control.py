"""Control of phones and carriers over HTTP, for tests, scripts and the console."""

import base64
import json
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from .callbacks import Sent
from .faults import Carrier
from .faults import __doc__ as faults_doc
from .google import google
from .instants import SECOND, parse_rfc3339, proto_time, rfc3339
from .owner import Owner, parse_object
from .phones import Phone, Phones, number_of
from .rbm import Rbm
from .rbm_events import Events, full
from .reserved import RESERVED
from .sms import QUEUE_SECONDS, Bandwidth
from .sms_events import SmsEvents
from .state import Store
from .web import Call, Handler, Refusal, Resource, json_response, wrong

_ROOT = "/simulator"
_PAGE, _LARGEST_PAGE = 1000, 10_000
_SYSTEMS = ("android", "iphone")
_TYPING = 20 * SECOND
_LAUNCH_STATES = ("PENDING", "LAUNCHED", "REJECTED", "SUSPENDED", "UNLAUNCHED")


class Control:
    """Routes under `/simulator/phones`, `/simulator/carriers` and `…/reserved`."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], int],
        phones: Phones,
        owner: Owner,
        *,
        rbm: Rbm,
        sms: Bandwidth,
    ) -> None:
        self._store = store
        self._now = now
        self._phones = phones
        self._owner = owner
        self._rbm = rbm
        self._sms = sms
        self._events: Mapping[str, Events | SmsEvents] = {
            "rbm": rbm.events,
            "bandwidth": sms.events,
        }
        self._carriers = {"rbm": rbm.carrier, "bandwidth": sms.carrier}

    def routes(self, helpers: Executor) -> list[Route]:
        def at(path: str, **handlers: Handler) -> Route:
            kept = {name: self._committed(h) for name, h in handlers.items()}
            return Resource(google, kept).at(f"{_ROOT}{path}")

        def unknown(_call: Call) -> Response:
            raise Refusal(404, "There is nothing at this path.")

        methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
        nothing = dict.fromkeys(methods, unknown)
        carrier = "/carriers/{carrier}"
        # The receiver's answer is waited for, and this loop may be the one to give it.
        handshake = Resource(google, {"POST": self._handshake}, workers=helpers)
        return [
            at("/reserved", GET=self._reserved),
            at("/phones", GET=self._list),
            at("/phones/{number}", GET=self._get, PUT=self._put),
            at("/phones/{number}/messages", POST=self._say),
            handshake.at(f"{_ROOT}/carriers/rbm:handshake"),
            at("/callbacks", GET=self._callbacks),
            at("/callbacks/{id}:resend", POST=self._resend),
            at("/carriers/rbm:launch", POST=self._launch),
            at(carrier, GET=self._show, PUT=self._fault, DELETE=self._clear),
            at("/phones/{rest:path}", **nothing),
            at("/carriers/{rest:path}", **nothing),
        ]

    def _committed(self, handler: Handler) -> Handler:
        def committed(call: Call) -> Response:
            with self._store.transaction():
                return handler(call)

        return committed

    def _reserved(self, _call: Call) -> Response:
        rows = [
            {"number": row.number, "name": row.name, "description": row.description}
            for row in RESERVED.values()
        ]
        return json_response({"reserved": rows})

    def _list(self, call: Call) -> Response:
        raw = call.query.get("pageSize", str(_PAGE))
        if not raw.isascii() or not raw.isdigit() or not int(raw[:6]) > 0:
            raise wrong("pageSize", f"must be a number from 1 to {_LARGEST_PAGE}")
        size = min(int(raw[:6]), _LARGEST_PAGE)
        page = self._phones.page(call.query.get("pageToken", ""), size + 1)
        answer: dict[str, Any] = {
            "phones": [
                self._described_phone(phone)
                | {"messages": self._phones.count(phone.number)}
                for phone in page[:size]
            ]
        }
        if len(page) > size:
            answer["nextPageToken"] = page[size - 1].number
        return json_response(answer)

    def _get(self, call: Call) -> Response:
        phone = self._phones.load(number_of(call.path["number"]))
        return self._shown(phone)

    def _put(self, call: Call) -> Response:
        number = number_of(call.path["number"])
        body = parse_object(call.body)
        system = body.pop("system", None)
        if system is not None and system not in _SYSTEMS:
            raise wrong("system", f"must be one of {', '.join(_SYSTEMS)}")
        phone = self._phones.update(number, body)
        if system:
            self._store.keep(f"{number}.system", system)
        now = self._now()
        self._rbm.catch_up(phone, now)
        self._sms.catch_up(phone, now)
        return self._shown(phone)

    def _shown(self, phone: Phone) -> Response:
        return json_response(
            self._described_phone(phone)
            | {
                "inbox": self._phones.inbox(phone.number),
                "outbox": self._phones.outbox(phone.number),
                "agent": self._seen_of_agent(phone.number),
            }
        )

    def _described_phone(self, phone: Phone) -> dict[str, Any]:
        system = self._store.setting(f"{phone.number}.system", _SYSTEMS[0])
        return self._phones.describe(phone) | {"system": system}

    def _seen_of_agent(self, number: str) -> dict[str, Any]:
        """Return until when the agent is seen to be typing, and what it has read."""
        rows = self._store.rows(
            "SELECT answer FROM rbm WHERE phone = ? AND state = 'EVENT'", number
        )
        events = [json.loads(row["answer"]) for row in rows]
        typing = max(
            (
                parse_rfc3339(event["sendTime"])
                for event in events
                if event["eventType"] == "IS_TYPING"
            ),
            default=None,
        )
        read = [event["messageId"] for event in events if event.get("messageId")]
        until = {"typingUntil": rfc3339(typing + _TYPING)} if typing else {}
        return {"read": read, **until}

    def _say(self, call: Call) -> Response:
        number = number_of(call.path["number"])
        body = parse_object(call.body)
        return json_response({"ids": self._owner.say(number, body, self._now())})

    def _callbacks(self, _call: Call) -> Response:
        sent = [
            (carrier, call)
            for carrier, events in self._events.items()
            for call in events.calls.newest()
        ]
        sent.sort(key=lambda pair: pair[1].at)
        return json_response({"callbacks": [_told(*pair) for pair in sent[-_PAGE:]]})

    def _resend(self, call: Call) -> Response:
        forged = parse_object(call.body).get("forged", False)
        if not isinstance(forged, bool):
            raise wrong("forged", "must be true or false")
        for events in self._events.values():
            sent = events.calls.find(call.path["id"])
            if sent:
                events.resend(sent, self._now(), forged=forged)
                return json_response({})
        raise Refusal(404, "There is no such callback.")

    def _handshake(self, _call: Call) -> Response:
        ok, status = self._rbm.events.handshake()
        return json_response({"ok": ok, "status": status})

    def _launch(self, call: Call) -> Response:
        body = parse_object(call.body)
        agent = self._owner.agent(body.get("agentId"))
        state = body.get("newLaunchState", "LAUNCHED")
        if state not in _LAUNCH_STATES:
            raise wrong("newLaunchState", f"must be one of {', '.join(_LAUNCH_STATES)}")
        now = self._now()
        event = f"{agent}/{uuid.uuid4()}"
        payload = {
            "eventId": event,
            "agentId": full(agent),
            "botDisplayName": agent,
            "brandId": "demo_brand",
            "brandDisplayName": "demo_brand",
            "regionId": "/v1/regions/demo-carrier",
            "oldLaunchState": "PENDING",
            "newLaunchState": state,
            "actingParty": "demo-carrier",
            "comment": "",
            "sendTime": proto_time(now),
        }
        attributes = {"type": "agent_launch_event", "event_type": state}
        self._rbm.events.publish(payload, now, attributes=attributes)
        return json_response({"ids": [event]})

    def _carrier(self, call: Call) -> Carrier:
        carrier = self._carriers.get(call.path["carrier"])
        if carrier is None:
            raise Refusal(404, "The carriers are rbm and bandwidth.")
        return carrier

    def _show(self, call: Call) -> Response:
        return self._described(self._carrier(call))

    def _fault(self, call: Call) -> Response:
        carrier = self._carrier(call)
        carrier.update(parse_object(call.body))
        return self._described(carrier)

    def _clear(self, call: Call) -> Response:
        carrier = self._carrier(call)
        carrier.clear()
        return self._described(carrier)

    def _described(self, carrier: Carrier) -> Response:
        own: Mapping[str, Any] = (
            {
                "agents": list(self._owner.agents),
                "deleteContract": self._rbm.delete_contract,
                "webhookUrl": self._rbm.events.url,
                "clientToken": "(hidden)",
            }
            if carrier.name == "rbm"
            else {
                "callbackUrl": self._sms.events.url,
                "callbackUser": self._sms.events.user,
                "callbackPassword": "(hidden)",
                "segmentsPerSecond": self._sms.rate,
                "queueSeconds": carrier.setting("queueSeconds", QUEUE_SECONDS),
                "messageSent": carrier.setting("messageSent", default=False),
                "basicAuth": carrier.setting("basicAuth", default=False),
            }
        )
        return json_response(
            {**carrier.describe(), **own, "help": (faults_doc or "").strip()}
        )


def _told(carrier: str, sent: Sent) -> dict[str, Any]:
    verdict = "refused" if sent.status in (401, 403) else "believed"
    if not sent.status:
        verdict = "unanswered"
    elif not 200 <= sent.status <= 299 and verdict != "refused":  # noqa: PLR2004
        verdict = "failed"
    return {
        "id": sent.id,
        "carrier": carrier,
        "time": rfc3339(sent.at),
        "url": sent.url,
        "tries": sent.tries,
        "status": sent.status or None,
        "body": sent.body,
        "verification": {
            "scheme": sent.scheme,
            "how": sent.note,
            "baseBase64": base64.b64encode(sent.base).decode(),
            "sent": sent.told,
            "expected": sent.expected,
            "equal": sent.told == sent.expected,
            "verdict": verdict,
        },
    }
