"""The files of tables, found and looked at before a run begins: what is wrong is said then, all of it at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from shared.errors import ConfigError, IngestError, Problem
from shared.tables.formats.known import ENDINGS, format_of, units_of
from shared.tables.parts import LEAST_ROWS, Part, TableFile, cut
from shared.tables.ports import OpenPlace
from shared.tables.range_file import RangeFile
from shared.tables.rows import Table, Wrong

MOST_FILES = 20_000
"""Files of all tables together: each is named in the run's record."""
MOST_SHOWN = 20
"""Problems that are listed."""
THREADS = 16
_SKIPPED = (".", "_")
"""How names begin of what tools leave beside tables: _SUCCESS, .part.crc."""


def find_parts(
    table: Table,
    locations: Sequence[str],
    open_place: OpenPlace,
    most: int,
    where: str,
    key: str,
    least: int = LEAST_ROWS,
) -> list[Part]:
    """The parts of the tables at some locations, each a file or a folder; see `cut` for `most` and `least`.

    ConfigError, which names `where` and `key` of the configuration, for what is not there or no such table.
    """
    problems: list[Problem] = []
    found: list[tuple[str, str, int]] = []
    for location in locations:
        try:
            found += _files(location, open_place)
        except (Wrong, IngestError) as error:
            problems.append(Problem(where, key, location, str(error)))
    times = Counter(f"{folder}/{name}" for folder, name, _ in found)
    problems += [Problem(where, key, file, "it is named twice") for file, count in times.items() if count > 1]
    if len(found) > MOST_FILES:
        reason = f"there are {len(found):,} files, more than {MOST_FILES:,}; join them to larger ones"
        problems.append(Problem(where, key, None, reason))
    if problems:
        raise ConfigError(problems[:MOST_SHOWN])
    with ThreadPoolExecutor(THREADS) as pool:
        looked = list(pool.map(lambda file: _looked_at(table, file, open_place), found))
    problems = [
        Problem(where, key, f"{file[0]}/{file[1]}", each)
        for file, each in zip(found, looked, strict=True)
        if isinstance(each, str)
    ]
    if problems:
        raise ConfigError(problems[:MOST_SHOWN])
    files = [each for each in looked if isinstance(each, TableFile)]
    if not sum(file.units.rows for file in files):
        raise ConfigError([Problem(where, key, list(locations), "no row is in these tables")])
    return cut(files, most, least)


def _files(location: str, open_place: OpenPlace) -> Iterator[tuple[str, str, int]]:
    """Folder, name and bytes of each file at a location, in the order of their names; Wrong if there is none."""
    above, _, last = location.rstrip("/").rpartition("/")
    is_root = above.endswith(":/")  # of gs://bucket
    if last and not is_root and not location.endswith("/"):
        place = open_place(f"{above}/" if above.endswith("://") or location.startswith("/") else above or ".")
        size = place.sizes([last])[0]
        if size is not None:
            if format_of(last) is None:
                raise Wrong(f"no table is called so; names end with {', '.join(ENDINGS)}")
            yield place.folder, last, size
            return
    place = open_place(location.rstrip("/") if last else location)
    if place.folder.startswith(("http://", "https://")):
        raise Wrong("the server has no such file (and a web server has no folders: name each file)")
    every = sorted(name for name in place.names() if not name.startswith(_SKIPPED))
    names = [name for name in every if format_of(name)]
    if not names:
        raise Wrong(
            f"there is no such file, nor a folder with files whose names end with {', '.join(ENDINGS)}"
            + (f"; what is there are {', '.join(every[:3])}" if every else "")
        )
    for name, size in zip(names, place.sizes(names), strict=True):
        if size is None:
            raise Wrong(f"{name} is listed, and not there")
        yield place.folder, name, size


def _looked_at(table: Table, file: tuple[str, str, int], open_place: OpenPlace) -> TableFile | str:
    """What a file can be cut in, or what is wrong with it."""
    folder, name, size = file
    try:
        if size == 0:
            raise Wrong("it is empty: it has no bytes")
        return TableFile(*file, units_of(RangeFile(open_place(folder), name, size, "of the tables"), table))
    except (Wrong, IngestError) as error:
        return str(error)
