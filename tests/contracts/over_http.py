"""How the dispatcher reaches a receiver of the tests: over a real connection."""

from backstop.adapters.embedded.dispatcher import ANSWER_WAIT, Post
from backstop.calls import Caller


def over_http(url: str, token: str = "", *, lasting: bool = True) -> Post:
    """Return what POSTs to *url*, over connections that are *lasting* or not."""
    caller = Caller(url)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    if not lasting:
        # It calls all the same, and keeps nothing.
        caller.close()

    async def post(body: bytes) -> int:
        answer = await caller.ask(
            "POST",
            "",
            headers=headers,
            body=body,
            connect=ANSWER_WAIT,
            within=ANSWER_WAIT,
        )
        return answer.status

    return post
