import pytest

from contracts.embedded import Embedded
from contracts.messages_contract import MessagesContract


class TestSqliteMessages(MessagesContract):
    @pytest.fixture
    def platform(self, tmp_path):
        platform = Embedded(tmp_path)
        yield platform
        platform.close()
