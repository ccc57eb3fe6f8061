"""A simulated RBM platform, a simulated Bandwidth, and phones: a witness apart."""

from .app import Simulator
from .clock import Clock
from .config import Carriers
from .reserved import RESERVED

__all__ = ["RESERVED", "Carriers", "Clock", "Simulator"]
