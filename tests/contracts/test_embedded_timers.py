import pytest

from contracts.embedded import Embedded
from contracts.timers_contract import TimersContract


class TestSqliteTimers(TimersContract):
    @pytest.fixture
    def platform(self, tmp_path):
        platform = Embedded(tmp_path)
        yield platform
        platform.close()
