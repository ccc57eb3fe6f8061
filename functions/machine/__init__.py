"""One machine's Backstop: a platform, simulated carriers and phones, one clock."""

from backstop.adapters.embedded.database import InUse
from backstop.settings import Incomplete

from .emulators import MissingError
from .machine import Machine

__all__ = ["InUse", "Incomplete", "Machine", "MissingError"]
