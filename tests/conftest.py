import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--real-time",
        action="store_true",
        help="tell the stories by the machine's own clock",
    )
