"""Access tokens for RBM, in exchange for what a service account's key signs."""

import time
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import urlencode

from backstop.calls import Caller, NoAnswer, NotSent
from backstop.domain.message import Json
from backstop.errors import Throttled
from backstop.providers.answers import accepted, access_token, refused

SCOPE = "https://www.googleapis.com/auth/rcsbusinessmessaging"

_CONNECT = 2.0

# Google's own clients renew a token so long before its end, and take it to live an
# hour if the answer does not say.
_RENEW = 225.0
_USUAL_LIFE = 3600
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class KeyRefused(Throttled):
    """Asking again with the same key is of no use."""


class Grants:
    """Fetches tokens in exchange for what the key signs, one try at a time.

    google-auth signs. Its own exchange retries in its own rhythm, past our budgets,
    and asks a second Google service which regions the account is bound to.
    """

    def __init__(self, key: Json) -> None:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from google.auth.crypt import RSASigner

        # It is our own secret. To prove its primes prime, as google-auth's reader of
        # keys has it done, is a tenth of a cold start.
        private_key = load_pem_private_key(
            key["private_key"].encode(), None, unsafe_skip_rsa_key_validation=True
        )
        self._signer = RSASigner(private_key, key.get("private_key_id"))  # type: ignore[no-untyped-call]
        self._account = key["client_email"]
        self._token_uri = key["token_uri"]
        self._caller = Caller(self._token_uri)

    def __call__(self, within: float) -> tuple[str, float]:
        from google.auth import jwt

        now = int(time.time())
        claims = {
            "iss": self._account,
            "scope": SCOPE,
            "aud": self._token_uri,
            "iat": now,
            "exp": now + _USUAL_LIFE,
        }
        signed = jwt.encode(self._signer, claims)  # type: ignore[no-untyped-call]
        form = urlencode({"grant_type": _GRANT, "assertion": signed})
        answer = None
        # Judged below, so that no traceback carries the request.
        with suppress(NotSent, NoAnswer):
            answer = self._caller.call(
                "POST",
                "",
                headers={"Content-Type": "application/x-www-form-urlencoded"},
                body=form.encode(),
                connect=_CONNECT,
                within=within,
            )
        if answer is None:
            raise Throttled("no answer")
        status = answer.status
        if refused(status) and status != HTTPStatus.TOO_MANY_REQUESTS:
            raise KeyRefused(str(status))
        granted = access_token(answer.body) if accepted(status) else None
        if granted is None:
            raise Throttled("no token in the answer")
        text, life = granted
        seconds = _USUAL_LIFE if life is None else life
        return text, max(seconds - _RENEW, seconds / 2)
