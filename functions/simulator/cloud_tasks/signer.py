"""The tokens a task carries: RS256, of the shape Google's own have."""

import base64
import json
import threading
import time
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ISSUER = "https://accounts.google.com"
_LIFETIME = 3600
_KEY_ID = "simulated-cloud-tasks"


class Signer:
    """Signs with a key of its own, drawn when first needed.

    Its time is the machine's, as those who verify tokens have no other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._private: rsa.RSAPrivateKey | None = None

    def token(self, *, email: str, audience: str) -> str:
        """Return an OIDC identity token for a service account."""
        issued = int(time.time())
        head = {"alg": "RS256", "kid": _KEY_ID, "typ": "JWT"}
        claims = {
            "aud": audience,
            "azp": email,
            "email": email,
            "email_verified": True,
            "exp": issued + _LIFETIME,
            "iat": issued,
            "iss": ISSUER,
            "sub": email,
        }
        signed = f"{_part(head)}.{_part(claims)}"
        signature = self._key().sign(
            signed.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        return f"{signed}.{_text(signature)}"

    def public_key(self) -> rsa.RSAPublicKey:
        return self._key().public_key()

    def public_pem(self) -> bytes:
        """Return what a verifier in another process needs."""
        return self.public_key().public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )

    def _key(self) -> rsa.RSAPrivateKey:
        with self._lock:
            if self._private is None:
                self._private = rsa.generate_private_key(
                    public_exponent=65537, key_size=2048
                )
            return self._private


def _part(value: Any) -> str:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
