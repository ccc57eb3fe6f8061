"""What a user said or did, on either channel."""

from datetime import datetime

from msgspec import Struct

from backstop.domain.signal import Kind


class Inbound(Struct, frozen=True, kw_only=True):
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
