"""Turns what Google's clients raise, once their tries are used up, into our word."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.auth.exceptions import GoogleAuthError

from backstop.errors import Unavailable

P = ParamSpec("P")
T = TypeVar("T")


def reaching(method: Callable[P, T]) -> Callable[P, T]:
    """Let *method* raise Unavailable when the service could not be reached.

    The cause's text may name a document, and so is left out.
    """

    @wraps(method)
    def reach(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except (GoogleAPICallError, RetryError, GoogleAuthError) as error:
            raise Unavailable(type(error).__name__) from error

    return reach
