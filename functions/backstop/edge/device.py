"""What an app asks of a phone, and tells it, beside messages."""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from backstop.edge.answers import Problem, answer, parse_json, read_body
from backstop.edge.asked import (
    check_id,
    check_phone,
    find_agent,
    read_query,
    refused_by_rbm,
    wrong_method,
)
from backstop.edge.workers import Workers
from backstop.errors import AlreadyExists, ProviderError
from backstop.ports import Ports
from backstop.providers.rbm.content import canonical_event
from backstop.settings import Settings
from backstop.usecases.reach import ask
from backstop.usecases.tell import tell

BODY_LIMIT = 16 * 1024


class Device:
    """`agentEvents` and `capabilities` of one phone."""

    def __init__(self, ports: Ports, settings: Settings, workers: Workers) -> None:
        self._ports = ports
        self._settings = settings
        self._workers = workers

    async def event(self, request: Request, phone: str) -> Response:
        """POST …/agentEvents: show the user that we read, or are typing."""
        check_phone(phone)
        if request.method != "POST":
            raise wrong_method("POST")
        query = read_query(request, frozenset({"eventId", "agentId"}))
        agent = find_agent(self._settings.agents, query.get("agentId", ""))
        event_id = query.get("eventId") or self._ports.random.new_id()
        check_id("eventId", event_id)
        body = canonical_event(parse_json(await read_body(request, BODY_LIMIT)))

        def work() -> Response:
            try:
                told = tell(
                    self._ports,
                    agent=agent.name,
                    phone=phone,
                    event_id=event_id,
                    body=body,
                )
            except AlreadyExists:
                raise Problem(
                    409, "eventId: a message has this id; RBM has one set for both"
                ) from None
            return answer(told)

        return await self._by_rbm(work, f"repeat with the same eventId, {event_id}")

    async def capabilities(self, request: Request, phone: str) -> Response:
        """GET …/capabilities: what RCS can do on that phone."""
        check_phone(phone)
        if request.method != "GET":
            raise wrong_method("GET")
        query = read_query(request, frozenset({"requestId", "agentId"}))
        agent = find_agent(self._settings.agents, query.get("agentId", ""))
        request_id = query.get("requestId") or self._ports.random.new_id()
        check_id("requestId", request_id)

        def work() -> Response:
            known = ask(
                self._ports,
                agent=agent.name,
                phone=phone,
                request_id=request_id,
                lives=self._settings.reach,
            )
            return answer(known)

        return await self._by_rbm(work, "ask again")

    async def _by_rbm(self, work: Callable[[], Response], repeat: str) -> Response:
        try:
            return await self._workers.run(work)
        except ProviderError as error:
            raise refused_by_rbm(error, repeat=repeat) from None
