"""What a user said or did, on either channel."""

from dataclasses import dataclass
from datetime import datetime

from backstop.domain.signal import Kind


@dataclass(frozen=True, kw_only=True)
class Inbound:
    """One inbound event, read. `event` is its id, `channel` RCS or SMS.

    RCS names the `agent` that was written to, SMS only our `number`. `text` is
    what was written, `postback` what a tap sent. `wish` is what an UNSUBSCRIBE
    (false) or SUBSCRIBE (true) says without words.
    """

    kind: Kind
    event: str
    phone: str
    at: datetime
    channel: str
    agent: str = ""
    number: str = ""
    text: str = ""
    postback: str | None = None
    wish: bool | None = None
