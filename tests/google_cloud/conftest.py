from datetime import timedelta

import grpc
import pytest
from google.pubsub_v1 import SubscriberClient
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

import emulators
from contracts.waiting import until
from google_cloud.proxy import Proxy
from machine import Machine
from machine.credentials import private_key
from stories.world import VIRTUAL, World

LOOK = 0.05
"""Whoever looks all the time takes the processor from the six it waits for."""


class Deployment(World):
    """A world on Google Cloud, whose parts can be taken away for a while."""

    def __init__(self, machine, log, emulators, lines):
        super().__init__(machine, VIRTUAL, "confirming", log)
        self.ground = machine.ground
        self.firestore, self.pubsub = emulators
        self.to_firestore, self.to_pubsub = lines

    def kill(self, name):
        self.ground.kill(name)

    def revive(self, name):
        self.ground.revive(name)

    def give_up_after(self, tries):
        """Let `record`'s subscription make a dead letter sooner."""
        with grpc.insecure_channel(self.pubsub) as channel:
            transport = SubscriberGrpcTransport(channel=channel)
            client = SubscriberClient(transport=transport)
            project = f"projects/{self.ground.project}"
            name = f"{project}/subscriptions/record"
            subscription = client.get_subscription(subscription=name)
            subscription.dead_letter_policy.max_delivery_attempts = tries
            client.update_subscription(
                subscription=subscription,
                update_mask={"paths": ["dead_letter_policy"]},
            )

    def jump(self, seconds):
        """Let time pass and wait for nothing."""
        clock = self.machine.clock
        clock.jump_to(clock.now() + timedelta(seconds=seconds))

    def said(self, word):
        """Wait until a function has logged *word*: it gave up, or began again."""
        until(lambda: f'"{word}"' in self.heard(), within=60, pause=LOOK)

    def heard(self):
        """Return what was logged since `listen`."""
        return self.log.read_text()[self._read :]

    def listen(self):
        """Forget what was logged so far."""
        self._read = len(self.log.read_text())


@pytest.fixture(scope="session")
def emulated():
    with emulators.firestore() as firestore, emulators.pubsub() as pubsub:
        yield firestore, pubsub


@pytest.fixture(scope="session")
def deployed(tmp_path_factory, emulated):
    lines = firestore, pubsub = [Proxy(emulator) for emulator in emulated]
    state = tmp_path_factory.mktemp("deployed")
    private_key(state)
    environ = VIRTUAL.environ() | {
        "PLATFORM": "google",
        "FIRESTORE_EMULATOR_HOST": firestore.address,
        "PUBSUB_EMULATOR_HOST": pubsub.address,
    }
    machine = Machine(state, environ)
    machine.start()
    log = state / "google" / "log.jsonl"
    yield Deployment(machine, log, emulated, lines)
    machine.stop()
    for line in lines:
        line.close()


@pytest.fixture(scope="module")
def knowing(tmp_path_factory, emulated):
    """A deployment that remembers which phones RCS reaches."""
    firestore, pubsub = emulated
    state = tmp_path_factory.mktemp("knowing")
    private_key(state)
    environ = VIRTUAL.environ() | {
        "PLATFORM": "google",
        "REACH_FIRST": "true",
        "FIRESTORE_EMULATOR_HOST": firestore,
        "PUBSUB_EMULATOR_HOST": pubsub,
    }
    machine = Machine(state, environ)
    machine.start()
    log = state / "google" / "log.jsonl"
    yield World(machine, VIRTUAL, "confirming", log)
    machine.stop()


@pytest.fixture
def deployment(deployed):
    deployed.listen()
    yield deployed
    deployed.begin_anew()
