"""Google's Cloud Tasks, simulated over real gRPC for tests and local runs.

Not imported by `simulator` itself: this part alone needs grpcio and
google-cloud-tasks.
"""

from .server import CloudTasks
from .signer import Signer

__all__ = ["CloudTasks", "Signer"]
