"""Bearer tokens that describe themselves, and the look of a service's assertion."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from typing import Any

from .state import Store

LIFETIME = 3600


class Tokens:
    """Issues and knows again tokens of one *kind*; they survive a restart.

    Their time is the machine's own, never the clock that messages live on.
    """

    def __init__(self, store: Store, kind: str) -> None:
        self._kind = kind
        with store.transaction():
            key = store.setting("tokenKey")
            if key is None:
                key = secrets.token_hex(32)
                store.keep("tokenKey", key)
        self._key = bytes.fromhex(key)

    def issue(self, **claims: Any) -> str:
        head = _write({"alg": "HS256", "typ": "JWT"})
        issued = int(time.time())
        body = _write(
            {"kind": self._kind, "iat": issued, "exp": issued + LIFETIME, **claims}
        )
        return f"{head}.{body}.{self._sign(f'{head}.{body}')}"

    def knows(self, authorization: str) -> bool:
        """Whether a header's value is a live bearer token of ours."""
        scheme, _, token = authorization.partition(" ")
        signed, _, signature = token.strip().rpartition(".")
        if scheme.lower() != "bearer" or not hmac.compare_digest(
            signature.encode(), self._sign(signed).encode()
        ):
            return False
        claims = _read(signed.partition(".")[2])
        return bool(claims["kind"] == self._kind and claims["exp"] > time.time())

    def _sign(self, signed: str) -> str:
        digest = hmac.new(self._key, signed.encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def well_formed_assertion(assertion: str) -> bool:
    """Whether this is an RS256 JWT with an issuer, an audience and a scope.

    Its signature is not judged, as no key was ever registered here; nor its times.
    """
    parts = assertion.split(".")
    if len(parts) != 3 or not parts[2]:  # noqa: PLR2004 - head, claims, signature
        return False
    try:
        head, claims = _read(parts[0]), _read(parts[1])
        base64.urlsafe_b64decode(parts[2] + "==")
    except (ValueError, binascii.Error, RecursionError):
        return False
    return (
        isinstance(head, dict)
        and isinstance(claims, dict)
        and head.get("alg") == "RS256"
        and bool(claims.get("iss"))
        and bool(claims.get("aud"))
        and bool(claims.get("scope"))
    )


def _write(value: Any) -> str:
    text = json.dumps(value, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _read(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
