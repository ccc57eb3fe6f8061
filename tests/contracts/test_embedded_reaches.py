import pytest

from contracts.embedded import Embedded
from contracts.reaches_contract import ReachesContract


class TestSqliteReaches(ReachesContract):
    @pytest.fixture
    def platform(self, tmp_path):
        platform = Embedded(tmp_path)
        yield platform
        platform.close()
