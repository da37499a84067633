"""The client library is imported before the first test, so that no test's clock runs meanwhile."""

import importlib

import pytest


@pytest.fixture(autouse=True, scope="session")
def _client_library() -> None:
    importlib.import_module("openai")
