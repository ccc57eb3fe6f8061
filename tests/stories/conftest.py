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

Environ = dict[str, str]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Tell every story on both platforms; Google's emulators know no real-time pace."""
    if "platform" in metafunc.fixturenames:
        real = metafunc.config.getoption("--real-time")
        platforms = ["embedded"] if real else ["embedded", "google"]
        metafunc.parametrize("platform", platforms)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what shares six servers on one worker."""
    for item in items:
        told = getattr(item, "callspec", None)
        if told and told.params.get("platform") == "google":
            group = f"google-{told.params['contract']}"
            item.add_marker(pytest.mark.xdist_group(group))


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


@pytest.fixture
def environ(contract: str) -> Environ:
    """The settings of a story's Backstop; a module may add to them."""
    return {"RBM_DELETE_CONTRACT": contract}


@pytest.fixture(scope="session")
def deployed(
    tmp_path_factory: pytest.TempPathFactory, rbm_key: Path, pace: Pace
) -> Iterator[Callable[[Environ], World]]:
    """Six servers for each of the settings, for all stories of a worker."""
    worlds: dict[frozenset[tuple[str, str]], World] = {}
    with ExitStack() as stack:

        def deploy(environ: Environ) -> World:
            settings = frozenset(environ.items())
            if not worlds:
                hosts.update(
                    FIRESTORE_EMULATOR_HOST=stack.enter_context(emulators.firestore()),
                    PUBSUB_EMULATOR_HOST=stack.enter_context(emulators.pubsub()),
                )
            if settings not in worlds:
                contract = environ["RBM_DELETE_CONTRACT"]
                state = tmp_path_factory.mktemp(contract)
                shutil.copy(rbm_key, state)
                environ = environ | {"PLATFORM": "google"}
                machine = Machine(state, pace.environ() | hosts | environ)
                stack.callback(machine.stop)
                machine.start()
                log = state / "google" / "log.jsonl"
                worlds[settings] = World(machine, pace, contract, log)
            return worlds[settings]

        hosts: dict[str, str] = {}
        yield deploy


@pytest.fixture
def world(
    platform: str,
    contract: str,
    environ: Environ,
    pace: Pace,
    request: pytest.FixtureRequest,
) -> Iterator[World]:
    if platform == "google":
        world = request.getfixturevalue("deployed")(environ)
        yield world
        world.begin_anew()
        return
    state = request.getfixturevalue("state")
    machine = Machine(state, pace.environ() | environ)
    machine.start()
    world = World(machine, pace, contract, state / "log.jsonl")
    yield world
    world.close()
    machine.stop()
