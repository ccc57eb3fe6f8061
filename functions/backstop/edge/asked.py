"""What a request of an app asks, checked alike on every path of the RBM API."""

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qsl

from starlette.requests import Request

from backstop.domain.agent import Agent
from backstop.domain.invalid import Invalid
from backstop.edge.answers import Problem, error_info
from backstop.errors import ProviderError, Refusal, Refused, Throttled
from backstop.providers.rbm.wire import bare_agent

PHONE = re.compile(r"\+[0-9]{7,15}")
ID = re.compile(r"[!-.0-~]{1,255}")

GOOGLES = frozenset(
    {
        *("$.xgafv", "access_token", "alt", "callback", "fields", "key"),
        *("oauth_token", "prettyPrint", "quotaUser", "uploadType", "upload_protocol"),
    }
)
"""Query parameters that Google knows on every method."""

PATIENCE = timedelta(seconds=10)
"""When to come again, if RBM does not say."""


def read_query(request: Request, own: frozenset[str]) -> dict[str, str]:
    """Return the query, empty ones left out. Raises Invalid for an unknown name."""
    text = request.scope.get("query_string", b"").decode("latin-1")
    query: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in own | GOOGLES:
            raise Invalid(name[:64], "is not a known query parameter")
        if name in query:
            raise Invalid(name, "must not be given twice")
        if name == "validateOnly" and not value:
            # Left out with the other empty ones it would send.
            raise Invalid(name, "must be true or false")
        query[name] = value
    return {name: value for name, value in query.items() if value}


def check_phone(phone: str) -> None:
    if not PHONE.fullmatch(phone):
        raise Invalid("phone", "must be + and 7 to 15 digits (E.164)")


def check_id(name: str, value: str) -> None:
    # A dot or two would be another path to every proxy and client on the way.
    if not ID.fullmatch(value) or value in {".", ".."}:
        raise Invalid(name, "must be 1 to 255 visible ASCII characters without a slash")


def find_agent(agents: Mapping[str, Agent], given: str) -> Agent:
    """Return the agent that is named, or the only one. Raises Invalid."""
    if not given and len(agents) == 1:
        return next(iter(agents.values()))
    if not given:
        raise Invalid("agentId", "is needed where several agents are configured")
    agent = agents.get(bare_agent(given))
    if agent is None:
        raise Invalid("agentId", "is not an agent of this deployment")
    return agent


def wrong_method(allowed: str) -> Problem:
    return Problem(
        405, f"method: this path takes {allowed}", headers={"Allow": allowed}
    )


def refused_by_rbm(error: ProviderError, *, repeat: str) -> Problem:
    """Return what RBM's refusal, or its silence, is to the app."""
    if isinstance(error, Throttled):
        wait = math.ceil((error.after or PATIENCE).total_seconds())
        return Problem(
            429,
            "RBM takes no more of this at present",
            status="RESOURCE_EXHAUSTED",
            headers={"Retry-After": str(max(wait, 1))},
        )
    if not isinstance(error, Refused):
        return Problem(503, f"RBM did not answer: outcome unknown, {repeat}")
    if error.refusal is Refusal.UNREACHABLE:
        return Problem(404, "RCS does not reach this phone for this agent")
    return Problem(400, "RBM refused it", details=(error_info("REFUSED_BY_RBM"),))
