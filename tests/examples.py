"""How many examples property tests try: few daily, many in CI.

Invariants: no test has a deadline, and none fails as examples are slow to make: how long that takes says more
of the machine than of the code. A test without settings of its own has the profile's number; one whose
examples are dear (whole runs, winding objects) says by `examples` what it has in CI.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.lacking import IN_CI

DAILY, MANY = 25, 100
FEWEST = 10

_NEVER = [HealthCheck.too_slow]

settings.register_profile("daily", max_examples=DAILY, deadline=None, suppress_health_check=_NEVER)
settings.register_profile("ci", settings.get_profile("daily"), max_examples=MANY, print_blob=True)
settings.load_profile("ci" if IN_CI else "daily")


def examples(many: int, *suppressed: HealthCheck, steps: int | None = None) -> settings:
    """Settings of a test that tries `many` examples in CI, and daily a share of them as the profiles have it.

    Checks in `suppressed` are left out besides; a state machine takes at most `steps` in an example.
    """
    count = many if IN_CI else min(many, max(FEWEST, many * DAILY // MANY))
    found = settings(max_examples=count, suppress_health_check=[*_NEVER, *suppressed])
    return settings(found, stateful_step_count=steps) if steps else found
