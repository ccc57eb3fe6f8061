"""Bandwidth's error codes, and what each says about the SMS."""

from enum import StrEnum
from typing import NamedTuple


class Disposition(StrEnum):
    """What a failed SMS means for the next one."""

    DESTINATION = "destination"
    OPTED_OUT = "opted_out"
    SENDER = "sender"
    CONTENT = "content"
    FORMAT = "format"
    EXPIRED = "expired"
    CHANNEL = "channel"
    LATER = "later"
    RETRY = "retry"
    RETRY_ONCE = "retry_once"
    REFUSED = "refused"
    DOUBT = "doubt"


class Code(NamedTuple):
    """One row: Bandwidth's name for it, and our reading."""

    name: str
    disposition: Disposition


_D = Disposition

CODES = {
    # Refused by Bandwidth.
    4001: Code("service-not-allowed", _D.SENDER),
    4301: Code("malformed-invalid-encoding", _D.FORMAT),
    4302: Code("malformed-invalid-from-number", _D.SENDER),
    4303: Code("malformed-invalid-to-number", _D.DESTINATION),
    4350: Code("malformed-for-destination", _D.DESTINATION),
    4360: Code("message-not-sent-expiration-date-passed", _D.EXPIRED),
    4401: Code("rejected-routing-error", _D.SENDER),
    4403: Code("rejected-forbidden-from-number", _D.SENDER),
    4404: Code("rejected-forbidden-to-number", _D.DESTINATION),
    4405: Code("rejected-unallocated-from-number", _D.SENDER),
    4406: Code("rejected-unallocated-to-number", _D.DESTINATION),
    4407: Code("rejected-account-not-defined-from-number", _D.SENDER),
    4408: Code("rejected-account-not-defined-to-number", _D.DESTINATION),
    4409: Code("rejected-invalid-from-profile", _D.CHANNEL),
    4410: Code("media-unavailable", _D.FORMAT),
    4411: Code("rejected-message-size-limit-exceeded", _D.FORMAT),
    4412: Code("media-content-invalid", _D.FORMAT),
    4420: Code("rejected-carrier-does-not-exist", _D.SENDER),
    4421: Code("rejected-forbidden-no-destination", _D.SENDER),
    4431: Code("rejected-forbidden-shortcode", _D.SENDER),
    4432: Code("rejected-forbidden-country", _D.SENDER),
    4433: Code("rejected-forbidden-tollfree", _D.SENDER),
    4434: Code("rejected-forbidden-tollfree-for-recipient", _D.SENDER),
    4435: Code("forbidden-too-many-recipients", _D.FORMAT),
    4451: Code("rejected-wrong-user-id", _D.SENDER),
    4452: Code("rejected-wrong-application-id", _D.SENDER),
    4470: Code("rejected-spam-detected", _D.CONTENT),
    4475: Code("destination-rejected-due-to-user-opt-out", _D.OPTED_OUT),
    4476: Code("blocked-unregistered", _D.SENDER),
    4481: Code("rejected-from-number-in-blacklist", _D.SENDER),
    4482: Code("rejected-to-number-in-blacklist", _D.DESTINATION),
    4492: Code("reject-emergency", _D.DESTINATION),
    4493: Code("rejected-unauthorized", _D.SENDER),
    # Refused by the carrier.
    4700: Code("invalid-service-type", _D.CHANNEL),
    4701: Code("destination-service-unavailable", _D.LATER),
    4702: Code("destination-subscriber-unavailable", _D.LATER),
    4710: Code("media-unavailable", _D.FORMAT),
    4711: Code("rejected-message-size-limit-exceeded", _D.FORMAT),
    4712: Code("media-content-invalid", _D.FORMAT),
    4720: Code("invalid-destination-address", _D.DESTINATION),
    4721: Code("destination-tn-deactivated", _D.DESTINATION),
    4730: Code("no-route-to-destination-carrier", _D.LATER),
    4735: Code("too-many-recipients", _D.FORMAT),
    4740: Code("invalid-source-address-address", _D.SENDER),
    4750: Code("destination-rejected-message", _D.CONTENT),
    4751: Code("destination-rejected-message-size-invalid", _D.FORMAT),
    4752: Code("destination-rejected-malformed", _D.FORMAT),
    4753: Code("destination-rejected-handset", _D.CHANNEL),
    4754: Code("unsupported-channel", _D.CHANNEL),
    4770: Code("destination-spam-detected", _D.CONTENT),
    4771: Code("rejected-shortened-url", _D.CONTENT),
    4772: Code("rejected-tn-blocked", _D.SENDER),
    4773: Code("inactive-campaign", _D.SENDER),
    4774: Code("provisioning-issue", _D.SENDER),
    4775: Code("destination-rejected-due-to-user-opt-out", _D.OPTED_OUT),
    4780: Code("volume-violation-tmo", _D.LATER),
    4781: Code("volume-violation-att", _D.LATER),
    4785: Code("volumetric-violation", _D.LATER),
    4790: Code("destination-rejected-sc-not-allowed", _D.SENDER),
    4791: Code("destination-rejected-campaign-not-allowed", _D.SENDER),
    4792: Code("destination-rejected-sc-not-provisioned", _D.SENDER),
    4793: Code("destination-rejected-sc-expired", _D.SENDER),
    4794: Code("destination-rejected-expired", _D.EXPIRED),
    4795: Code("tfn-not-verified", _D.SENDER),
    # Bandwidth's own fault, and not billed: it never left.
    5100: Code("temporary-app-error", _D.RETRY),
    5101: Code("temporary-app-shutdown", _D.RETRY),
    5106: Code("impossible-to-route", _D.RETRY),
    5111: Code("temporary-app-connection-closed", _D.RETRY),
    5201: Code("temporary-rout-error-retries-exceeded", _D.RETRY),
    5211: Code("temporary-app-error-app-busy", _D.RETRY),
    5220: Code("temporary-store-error", _D.RETRY),
    5231: Code("discarded-concatenation-timeout", _D.RETRY),
    5500: Code("message-send-failed", _D.RETRY),
    5501: Code("message-send-failed", _D.RETRY),
    5999: Code("unknown-error", _D.RETRY),
    # The carrier's fault, and billed.
    5600: Code("destination-carrier-queue-full", _D.RETRY_ONCE),
    5610: Code("submit-sm-or-submit-multi-failed", _D.RETRY_ONCE),
    5620: Code("destination-app-error", _D.RETRY_ONCE),
    5630: Code("message-not-acknowledged", _D.RETRY_ONCE),
    5650: Code("destination-failed", _D.RETRY_ONCE),
    # Ambiguous: the phone may well have it.
    9902: Code("delivery-receipt-expired", _D.DOUBT),
    9999: Code("unknown-error", _D.DOUBT),
}

# New codes appear without notice, but their first two digits keep a scheme:
# who refused, or whose fault it was. What fits no row is doubt.
_SCHEME = {
    **dict.fromkeys((40, 41, 42, 43, 44, 45, 46, 47, 48, 49), _D.REFUSED),
    **dict.fromkeys((51, 52, 55), _D.RETRY),
    **dict.fromkeys((50, 53, 54, 56, 57, 58, 59), _D.RETRY_ONCE),
}


def disposition(code: int | None) -> Disposition:
    """Return what the code says; a code that is new goes by its first digits."""
    if code is None:
        return Disposition.DOUBT
    row = CODES.get(code)
    if row is not None:
        return row.disposition
    return _SCHEME.get(code // 100, Disposition.DOUBT)
