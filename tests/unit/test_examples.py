"""How many examples property tests try is said in one place."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import HealthCheck, settings

from tests.examples import FEWEST, examples

TESTS = Path(__file__).parents[1]


def test_profiles_rule() -> None:
    """No test has settings of its own, by which it could get a deadline or a number that no profile knows."""
    files = {path for path in TESTS.rglob("*.py") if path not in (TESTS / "examples.py", Path(__file__))}
    imported = re.compile(r"^from hypothesis import .*\bsettings\b|^import hypothesis", re.MULTILINE)
    assert [path for path in sorted(files) if imported.search(path.read_text())] == []
    assert settings().deadline is None and HealthCheck.too_slow in settings().suppress_health_check


def test_examples() -> None:
    """Dear tests try at most what they say, and never hardly any."""
    for many in (1, FEWEST, 60, 1000):
        found = examples(many, HealthCheck.function_scoped_fixture)
        assert min(many, FEWEST) <= found.max_examples <= many
        assert found.deadline is None
        assert set(found.suppress_health_check) == {HealthCheck.too_slow, HealthCheck.function_scoped_fixture}
    assert examples(60, steps=30).stateful_step_count == 30
