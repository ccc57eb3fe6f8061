import pytest

from contracts.embedded import Embedded
from contracts.events_contract import EventsContract


class TestSqliteEvents(EventsContract):
    @pytest.fixture
    def platform(self, tmp_path):
        platform = Embedded(tmp_path)
        yield platform
        platform.close()
