"""The project's example dataset, made up from a seed: needed to try, test and measure an ingest.

Invariants: the files are those of the field (see format.md), the same parameters give the same
bytes, and the true objects lie beside them. `make_example` is the way in.
"""

from jobs.example.generate import Summary, make_example
from jobs.example.params import ExampleParams

__all__ = ["ExampleParams", "Summary", "make_example"]
