import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import emulators
from machine import Machine
from machine.credentials import private_key
from stories.world import REAL, VIRTUAL, Pace, World

CONTRACTS = ("confirming", "legacy")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tell every story on both platforms; Google's emulators know no real-time pace."""
    if "platform" in metafunc.fixturenames:
        real = metafunc.config.getoption("--real-time")
        platforms = ["embedded"] if real else ["embedded", "google"]
        metafunc.parametrize("platform", platforms)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares six servers on one worker."""
    for item in items:
        params = (
            item.callspec.params
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else {}
        )
        if params.get("platform") == "google":
            item.add_marker(pytest.mark.xdist_group(f"google-{params['contract']}"))


@pytest.fixture(scope="session")
def pace(request: pytest.FixtureRequest) -> Pace:
    return REAL if request.config.getoption("--real-time") else VIRTUAL


@pytest.fixture(scope="session")
def rbm_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One service account's key for all worlds: making it takes long."""
    state = tmp_path_factory.mktemp("key")
    private_key(state)
    return state / "rbm-key.pem"


@pytest.fixture(params=CONTRACTS)
def contract(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def state(tmp_path: Path, rbm_key: Path) -> Path:
    state = tmp_path / "state"
    state.mkdir()
    shutil.copy(rbm_key, state)
    return state


@pytest.fixture(scope="session")
def deployed(
    tmp_path_factory: pytest.TempPathFactory, rbm_key: Path, pace: Pace
) -> Iterator[Callable[[str], World]]:
    """Six servers per contract, for all stories of a worker."""
    worlds: dict[str, World] = {}
    with ExitStack() as stack:

        def deploy(contract: str) -> World:
            if not worlds:
                hosts.update(
                    FIRESTORE_EMULATOR_HOST=stack.enter_context(emulators.firestore()),
                    PUBSUB_EMULATOR_HOST=stack.enter_context(emulators.pubsub()),
                )
            if contract not in worlds:
                state = tmp_path_factory.mktemp(contract)
                shutil.copy(rbm_key, state)
                environ = {"PLATFORM": "google", "RBM_DELETE_CONTRACT": contract}
                machine = Machine(state, pace.environ() | hosts | environ)
                stack.callback(machine.stop)
                machine.start()
                log = state / "google" / "log.jsonl"
                worlds[contract] = World(machine, pace, contract, log)
            return worlds[contract]

        hosts: dict[str, str] = {}
        yield deploy


@pytest.fixture
def world(
    platform: str,
    contract: str,
    pace: Pace,
    request: pytest.FixtureRequest,
) -> Iterator[World]:
    if platform == "google":
        world = request.getfixturevalue("deployed")(contract)
        yield world
        world.begin_anew()
        return
    state = request.getfixturevalue("state")
    machine = Machine(state, pace.environ() | {"RBM_DELETE_CONTRACT": contract})
    machine.start()
    world = World(machine, pace, contract, state / "log.jsonl")
    yield world
    world.close()
    machine.stop()
