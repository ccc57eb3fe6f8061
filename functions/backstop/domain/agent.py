"""One sender's identity, as a deployment knows it."""

from msgspec import Struct

from backstop.domain.sms_text import OPT_OUT_WORDING


class Agent(Struct, frozen=True, kw_only=True):
    """One RBM agent and the numbers that its SMS may come from, the first by default.

    `handset_receipts` says that the number is toll-free or a short code, whose
    "delivered" comes from the handset and not from the carrier. The replies are
    what an opt-out and a HELP are answered with, "" for nothing; the wording is
    what a promotion's SMS ends with when its words are derived.
    """

    name: str
    senders: tuple[str, ...]
    handset_receipts: bool = False
    opt_out_wording: str = OPT_OUT_WORDING
    opt_out_reply: str = ""
    help_reply: str = ""
