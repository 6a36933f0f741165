"""The asyncio clients are made from the blocking ones, and what cannot be made right is refused."""

import pytest

from clients.python.generate import Rewriting, Unknown

HEAD = '''"""Asks."""

from collections.abc import Iterator

from policy_client.blocking import BlockingClient


class Client(BlockingClient):
    """Asks."""

'''


def made(tmp_path, text):
    (tmp_path / "one.py").write_text(text)
    return Rewriting(tmp_path / "one.py").made()


def test_what_a_client_calls_of_itself_is_awaited(tmp_path):
    text = made(
        tmp_path,
        HEAD
        + '''    def one(self, é: str) -> int:
        """Asks, été."""
        found = [self._ask("é", int, None), self.two()]
        for part in self._stream(é, int, None):
            found.append(len(part))
        return sum(found)

    def many(self) -> Iterator[int]:
        """More."""
        return self._items("é", int, None)
''',
    )
    assert "class AsyncClient(AsyncioClient)" in text
    assert 'async def one(self, é: str) -> int:\n        """Asks, été."""' in text
    assert 'found = [await self._ask("é", int, None), await self.two()]' in text
    assert "async for part in self._stream(é, int, None)" in text
    assert "    def many(self) -> AsyncIterator[int]:" in text
    assert '        return self._items("é", int, None)' in text
    assert "import AsyncIterator" in text


@pytest.mark.parametrize(
    "method",
    [
        "def one(self) -> int:\n        return sum(part for part in self._stream(1, int, None))",
        "def one(self) -> int:\n        return sum(self._stream(1, int, None))",
        "def one(self) -> Iterator[int]:\n        yield from self._stream(1, int, None)",
        "def one(self) -> Iterator[int]:\n        return iter([self._ask(1, int, None)])",
        "def one(self):\n        return self._ask(1, int, None)",
        "def _begin(self) -> None:\n        self.one = 1",
        "@property\n    def one(self) -> int:\n        return 1",
    ],
)
def test_a_method_that_cannot_be_made_right_is_refused(tmp_path, method):
    with pytest.raises(Unknown, match=r"one\.py:\d+: "):
        made(tmp_path, f"{HEAD}    {method}\n")


@pytest.mark.parametrize("more", ["def other() -> None:\n    pass", "class Other:\n    pass", "print(1)"])
def test_a_module_has_one_client_and_nothing_that_would_be_there_twice(tmp_path, more):
    with pytest.raises(Unknown, match="a module has"):
        made(tmp_path, f"{HEAD}\n{more}\n")
