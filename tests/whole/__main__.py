"""`python -m tests.whole 5000`: so many damaged tables, verified as a whole and chunk by chunk; says what
differs."""

from __future__ import annotations

import sys
import time

from tests.whole.share import Share, verify_damaged

DAMAGES = 20
"""Of each table that is built."""


def main() -> int:
    """Goes on until so many tables were damaged; the exit code is 1 if anything was missed, or a false alarm."""
    wanted, begun, seed, share = int(sys.argv[1]), time.process_time(), 1_000_000, Share()
    while share.tables.total() < wanted:
        verify_damaged(seed, DAMAGES, share)
        seed += 1
        for text in share.wrong:
            print(text)
        if share.wrong:
            return 1
    print(f"{share.tables.total():,} damaged tables of {seed - 1_000_000} runs: nothing missed, no false alarm")
    print(f"found by chunks alone: {dict(+share.more)}; by none: {dict(+share.neither)}")
    print(f"{time.process_time() - begun:.0f} s of CPU; by kind: {dict(share.tables.most_common())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
