import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from stories.world import REAL, VIRTUAL, Pace, World


@pytest.fixture(scope="session")
def pace(request: pytest.FixtureRequest) -> Pace:
    return REAL if request.config.getoption("--real-time") else VIRTUAL


@pytest.fixture(scope="session")
def rbm_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One service account's key for all worlds: making it takes long."""
    from local import _service_account

    state = tmp_path_factory.mktemp("key")
    _service_account(state, "")
    return state / "rbm-key.pem"


@pytest.fixture(params=["confirming", "legacy"])
def contract(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def state(tmp_path: Path, rbm_key: Path) -> Path:
    state = tmp_path / "state"
    state.mkdir()
    shutil.copy(rbm_key, state)
    return state


@pytest.fixture
def world(state: Path, pace: Pace, contract: str) -> Iterator[World]:
    world = World(state, pace, RBM_DELETE_CONTRACT=contract)
    yield world
    world.stop()
