import pytest

from contracts.embedded import Embedded
from contracts.recipients_contract import RecipientsContract


class TestSqliteRecipients(RecipientsContract):
    @pytest.fixture
    def platform(self, tmp_path):
        platform = Embedded(tmp_path)
        yield platform
        platform.close()
