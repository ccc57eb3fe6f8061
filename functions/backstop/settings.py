"""The environment, parsed once, refused if incomplete."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from backstop.adapters.google.platform import Place
from backstop.domain.agent import Agent
from backstop.domain.message import Contract, Policy, Terms, Traffic
from backstop.domain.reach import Lives
from backstop.domain.sms_text import OPT_OUT_WORDING
from backstop.domain.times import parse_duration

RBM_HOST = "rcsbusinessmessaging.googleapis.com"
RBM_REGIONS = ("", "us", "europe", "asia")

DEADLINES = {
    Traffic.AUTHENTICATION: timedelta(seconds=60),
    Traffic.PROMOTION: timedelta(hours=24),
}
OTHER_DEADLINE = timedelta(minutes=10)

LONGEST_REQUEST = timedelta(seconds=20)
"""From an SMS claim to the end of its request: no answer is lost before (rule 2)."""

NEEDS: Mapping[str, frozenset[str]] = {
    "send": frozenset({"AGENTS", "RBM_KEY"}),
    "webhook": frozenset({"RBM_CLIENT_TOKENS"}),
    "sms_webhook": frozenset({"BANDWIDTH_CALLBACKS"}),
    "revoke": frozenset({"RBM_KEY"}),
    "fallback": frozenset(
        {
            "BANDWIDTH_ACCOUNT",
            "BANDWIDTH_APPLICATION",
            "BANDWIDTH_CLIENT",
            "BANDWIDTH_SECRET",
        }
    ),
    "record": frozenset({"AGENTS"}),
}
"""What each function cannot do without; nothing else is given to it."""

POLICIES = {
    Traffic.AUTHENTICATION: Policy.PROMPT,
    Traffic.PROMOTION: Policy.STRICT,
}


class Incomplete(Exception):  # noqa: N818 - named for what happened
    """Settings are missing or contradict each other; the text lists all of it."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that a deployment decides. Secrets are kept out of `repr`."""

    agents: Mapping[str, Agent]
    rbm_url: str
    rbm_key: Mapping[str, Any] = field(repr=False)
    rbm_client_tokens: tuple[bytes, ...] = field(repr=False)
    delete_contract: Contract
    bandwidth_url: str
    bandwidth_token_url: str
    bandwidth_account: str
    bandwidth_application: str
    bandwidth_client: str
    bandwidth_secret: str = field(repr=False)
    bandwidth_callbacks: tuple[tuple[str, str], ...] = field(repr=False)
    api_token: str = field(repr=False)
    deadlines: Mapping[Traffic, timedelta]
    margin: timedelta
    grace: timedelta
    lost_answer_prompt: timedelta
    lost_answer: timedelta
    receipt_wait: timedelta
    menu_life: timedelta
    text_resubscribes: bool
    one_consent: bool
    reach_first: bool
    reach: Lives

    @classmethod
    def read(cls, environ: Mapping[str, str], *, function: str = "") -> "Settings":
        """Parse *environ* for one function, or for all of them in one process.

        Raises Incomplete, naming everything that is wrong. What the function does
        not need may be missing: it has no right to it either.
        """
        reader = _Reader(environ, NEEDS.get(function))
        settings = cls(
            agents=reader.agents("AGENTS"),
            rbm_url=reader.rbm_url("RBM_URL", region="RBM_REGION"),
            rbm_key=reader.key("RBM_KEY"),
            rbm_client_tokens=tuple(
                token.encode() for token in reader.words("RBM_CLIENT_TOKENS")
            ),
            delete_contract=reader.contract("RBM_DELETE_CONTRACT"),
            bandwidth_url=reader.text(
                "BANDWIDTH_URL", "https://messaging.bandwidth.com/api/v2"
            ),
            bandwidth_token_url=reader.text(
                "BANDWIDTH_TOKEN_URL", "https://api.bandwidth.com/api/v1/oauth2/token"
            ),
            bandwidth_account=reader.text("BANDWIDTH_ACCOUNT"),
            bandwidth_application=reader.text("BANDWIDTH_APPLICATION"),
            bandwidth_client=reader.text("BANDWIDTH_CLIENT"),
            bandwidth_secret=reader.text("BANDWIDTH_SECRET"),
            bandwidth_callbacks=reader.credentials("BANDWIDTH_CALLBACKS"),
            api_token=reader.text("API_TOKEN", ""),
            deadlines={
                traffic: reader.duration(
                    f"DEADLINE_{traffic.value}"
                    if traffic is not Traffic.UNSPECIFIED
                    else "DEADLINE",
                    DEADLINES.get(traffic, OTHER_DEADLINE),
                )
                for traffic in Traffic
            },
            margin=reader.duration("MARGIN", timedelta(seconds=5)),
            grace=reader.duration("GRACE", timedelta(seconds=60)),
            lost_answer_prompt=reader.duration(
                "LOST_ANSWER_PROMPT", timedelta(seconds=30), over=LONGEST_REQUEST
            ),
            lost_answer=reader.duration(
                "LOST_ANSWER", timedelta(minutes=15), over=LONGEST_REQUEST
            ),
            receipt_wait=reader.duration(
                "RECEIPT_WAIT", timedelta(hours=2, minutes=15)
            ),
            menu_life=reader.duration("MENU_LIFE", timedelta(days=1)),
            text_resubscribes=reader.flag("TEXT_RESUBSCRIBES"),
            one_consent=reader.flag("ONE_CONSENT"),
            reach_first=reader.flag("REACH_FIRST"),
            reach=Lives(
                positive=reader.duration("REACH_POSITIVE", timedelta(hours=1)),
                negative=reader.duration("REACH_NEGATIVE", timedelta(days=1)),
            ),
        )
        reader.finish()
        return settings

    def terms(
        self,
        *,
        traffic: Traffic,
        policy: Policy | None,
        deadline: datetime | None,
        now: datetime,
    ) -> Terms:
        """Settle the terms of a message that is accepted now."""
        chosen = policy or POLICIES.get(traffic, Policy.CONFIRMED)
        deadline = deadline or now + self.deadlines[traffic]
        prompt = chosen is Policy.PROMPT
        # The SMS may wait in the carrier's queue about as long as the app was
        # willing to wait for RCS.
        patience = max(timedelta(minutes=10), deadline - now)
        return Terms(
            policy=chosen,
            contract=self.delete_contract,
            deadline=deadline,
            margin=self.margin,
            grace=self.grace,
            lost_answer=self.lost_answer_prompt if prompt else self.lost_answer,
            receipt_wait=self.receipt_wait,
            sms_validity=min(patience, timedelta(hours=2)),
        )


def read_place(environ: Mapping[str, str], *, function: str) -> Place:
    """Parse where on Google Cloud a function lives. Raises Incomplete."""
    stateless = function in {"webhook", "sms_webhook"}
    reader = _Reader(environ, frozenset({"TOPIC"}) if stateless else None)
    tasks_emulator = reader.text("CLOUD_TASKS_EMULATOR_HOST", "")
    place = Place(
        project=reader.text("PROJECT"),
        database=reader.text("DATABASE", "(default)"),
        topic=reader.text("TOPIC"),
        queue=reader.text("QUEUE"),
        revoke_url=reader.text("REVOKE_URL"),
        caller=reader.text("TASKS_CALLER", "" if tasks_emulator else None),
        pubsub_emulator=reader.text("PUBSUB_EMULATOR_HOST", ""),
        tasks_emulator=tasks_emulator,
        clock_file=reader.text("CLOCK_FILE", ""),
    )
    reader.finish()
    return place


class _Reader:
    """Reads one variable after the other and remembers what is wrong.

    *needed* are the names that must not be missing, None for all.
    """

    def __init__(
        self, environ: Mapping[str, str], needed: frozenset[str] | None
    ) -> None:
        self._environ = environ
        self._needed = needed
        self._wrong: list[str] = []

    def needs(self, name: str) -> bool:
        return self._needed is None or name in self._needed

    def finish(self) -> None:
        if self._wrong:
            raise Incomplete("; ".join(self._wrong))

    def text(self, name: str, default: str | None = None) -> str:
        value = self._environ.get(name, "").strip()
        if value:
            return value
        if default is None and self.needs(name):
            self._wrong.append(f"{name} is missing")
        return default or ""

    def words(self, name: str) -> list[str]:
        text = self.text(name)
        words = [word for part in text.split(",") if (word := part.strip())]
        if text and not words:
            self._wrong.append(f"{name} is missing: it holds nothing but commas")
        return words

    def json(self, name: str) -> Any:
        text = self.text(name)
        try:
            return json.loads(text) if text else {}
        except ValueError:
            self._wrong.append(f"{name} is not JSON")
            return {}

    def rbm_url(self, name: str, *, region: str) -> str:
        prefix = self.text(region, "")
        if prefix not in RBM_REGIONS:
            self._wrong.append(f"{region} is none of {', '.join(RBM_REGIONS[1:])}")
        host = f"{prefix}-{RBM_HOST}" if prefix else RBM_HOST
        return self.text(name, f"https://{host}")

    def key(self, name: str) -> Mapping[str, Any]:
        given = self.json(name)
        parts = ("client_email", "private_key", "token_uri")
        if isinstance(given, dict) and all(
            isinstance(given.get(part), str) for part in parts
        ):
            return given
        if name in self._environ:
            self._wrong.append(f"{name} is not a service account's key")
        return {}

    def agents(self, name: str) -> Mapping[str, Agent]:
        agents = {}
        given = self.json(name)
        for agent, entry in given.items() if isinstance(given, dict) else ():
            senders = entry.get("senders") if isinstance(entry, dict) else None
            if not isinstance(senders, list) or not senders:
                self._wrong.append(f"{name}: {agent} has no list of senders")
                continue
            texts = {
                field: entry.get(key, default)
                for field, key, default in (
                    ("opt_out_wording", "optOutWording", OPT_OUT_WORDING),
                    ("opt_out_reply", "optOutReply", ""),
                    ("help_reply", "helpReply", ""),
                )
            }
            if not all(isinstance(text, str) for text in texts.values()):
                self._wrong.append(f"{name}: {agent} has a reply that is no text")
                continue
            agents[agent] = Agent(
                name=agent,
                senders=tuple(str(sender) for sender in senders),
                handset_receipts=bool(entry.get("handsetReceipts")),
                **texts,
            )
        if not agents and self.needs(name):
            self._wrong.append(f"{name} names no agent")
        return agents

    def contract(self, name: str) -> Contract:
        value = self.text(name, Contract.CONFIRMING.value)
        try:
            return Contract(value)
        except ValueError:
            self._wrong.append(f"{name} is neither confirming nor legacy")
            return Contract.CONFIRMING

    def credentials(self, name: str) -> tuple[tuple[str, str], ...]:
        pairs = []
        for word in self.words(name):
            user, colon, password = word.partition(":")
            if not (user and colon and password):
                self._wrong.append(f"{name} is not user:password,user:password")
                break
            pairs.append((user, password))
        return tuple(pairs)

    def flag(self, name: str) -> bool:
        value = self.text(name, "false")
        if value not in {"true", "false"}:
            self._wrong.append(f"{name} is neither true nor false")
        return value == "true"

    def duration(
        self, name: str, default: timedelta, *, over: timedelta = timedelta(0)
    ) -> timedelta:
        text = self._environ.get(name, "").strip()
        if not text:
            return default
        try:
            duration = parse_duration(text)
        except ValueError:
            self._wrong.append(f'{name} is not a duration such as "60s"')
            return default
        if duration <= over:
            self._wrong.append(f"{name} must be more than {over.total_seconds():g}s")
        return duration
