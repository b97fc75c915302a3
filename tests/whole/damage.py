"""Random damage to a good table, a kind for each way in which cells and rows can go wrong."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import zstandard

from shared.plan.plan import Plan
from shared.run.ports import Row
from shared.table.columns import VERSION_KEY, counter_key
from shared.table.decode import decode_ids

Rows = dict[bytes, Row]


def frame(values: list[int]) -> bytes:
    """A list of ids as its cell."""
    return zstandard.compress(np.array(values, "<u8").tobytes())


class Damager:
    """Damages a table, `rows`, and puts it right again."""

    def __init__(self, plan: Plan, rows: Rows) -> None:
        self.plan, self.rows = plan, rows
        self.nodes = sorted(key for key in rows if key.isdigit())
        self.cells = sorted((key, column) for key in self.nodes for column in rows[key].cells)
        self._kept: dict[bytes, Row | None] = {}

    def damage(self, rng: Random) -> str:
        """One damage; its name, empty if this one is not possible here."""
        kind = rng.choice(KINDS)
        try:
            return kind.__name__ if kind(self, rng) else ""
        except (KeyError, ValueError, IndexError):
            return ""  # another damage has taken what this one begins with

    def undo(self) -> None:
        """The table as it was."""
        for key, row in self._kept.items():
            if row is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        self._kept = {}

    def changed(self) -> set[bytes]:
        """The rows that are not as they were, by cells and times."""
        return {key for key, row in self._kept.items() if self.rows.get(key) != row}

    def row(self, key: bytes) -> Row:
        """A row to be changed."""
        if key not in self._kept:
            before = self.rows.get(key)
            self._kept[key] = before
            if before is not None:
                self.rows[key] = Row(key, dict(before.cells), dict(before.timestamps))
        if key not in self.rows:
            self.rows[key] = Row(key, {}, {})
        return self.rows[key]

    def put(self, key: bytes, column: str, value: bytes) -> bool:
        """Changes or adds a cell, with the time that others of the table have."""
        row = self.row(key)
        if row.cells.get(column) == value:
            return False
        row.cells[column] = value
        row.timestamps.setdefault(column, self.rows[self.nodes[0]].timestamps["0:parents"])
        return True

    def drop(self, key: bytes) -> bool:
        """Removes a row."""
        self.row(key)
        del self.rows[key]
        return True

    def some(self, rng: Random, *starts: str) -> tuple[bytes, str] | None:
        """A cell of columns that begin so."""
        found = [cell for cell in self.cells if cell[1].startswith(starts)]
        return rng.choice(found) if found else None


def lose_a_row(table: Damager, rng: Random) -> bool:
    return table.drop(rng.choice(table.nodes))


def lose_a_cell(table: Damager, rng: Random) -> bool:
    key, column = rng.choice(table.cells)
    row = table.row(key)
    del row.cells[column], row.timestamps[column]
    if not row.cells:
        del table.rows[key]
    return True


def another_parent(table: Damager, rng: Random) -> bool:
    key, column = table.some(rng, "0:parents") or (b"", "")
    other = int(rng.choice(table.nodes)) if rng.random() < 0.7 else rng.randrange(1 << 64)
    return bool(key) and table.put(key, column, other.to_bytes(8, "little"))


def swapped_parents(table: Damager, rng: Random) -> bool:
    cells = [table.some(rng, "0:parents") for _ in range(2)]
    (one, column), (other, _) = (cell or (b"", "") for cell in cells)
    if not one or not other:
        return False
    values = table.rows[one].cells[column], table.rows[other].cells[column]
    return table.put(one, column, values[1]) | table.put(other, column, values[0])


def moved_child(table: Damager, rng: Random) -> bool:
    """A child goes to another node of the layer, in the words of both sides."""
    key, column = table.some(rng, "0:children") or (b"", "")
    like = [node for node in table.nodes if key and int(node) >> 56 == int(key) >> 56 and node != key]
    ids = decode_ids(table.rows[key].cells[column]).tolist() if key else []
    like = [node for node in like if column in table.rows[node].cells]
    if not like or len(ids) < 2:
        return False
    to, child = rng.choice(like), rng.choice(ids)
    others = sorted({*decode_ids(table.rows[to].cells[column]).tolist(), child})
    table.put(key, column, frame([one for one in ids if one != child]))
    table.put(to, column, frame(others))
    return table.put(b"%020d" % child, "0:parents", int(to).to_bytes(8, "little"))


def changed_list(table: Damager, rng: Random) -> bool:
    """A child or an end of an edge is another one, is lost, or is there twice."""
    key, column = table.some(rng, "0:children", "3:", "4:") or (b"", "")
    if not key:
        return False
    ids = decode_ids(table.rows[key].cells[column]).tolist()
    at, how = rng.randrange(len(ids)), rng.random()
    if how < 0.5:
        ids[at] = int(rng.choice(table.nodes)) if rng.random() < 0.7 else rng.randrange(1 << 64)
    elif column == "0:children":
        ids = ids[:at] + ids[at + 1 :] if how < 0.8 else [*ids, int(rng.choice(table.nodes))]
    else:
        at -= at % 2
        ids = ids[:at] + ids[at + 2 :] if how < 0.8 else [*ids, ids[0], int(rng.choice(table.nodes))]
    return table.put(key, column, frame(ids))


def garbage(table: Damager, rng: Random) -> bool:
    key, column = rng.choice(table.cells)
    return table.put(key, column, rng.randbytes(rng.choice([0, 3, 7, 9, 17])))


def cut_off(table: Damager, rng: Random) -> bool:
    key, column = rng.choice(table.cells)
    return table.put(key, column, table.rows[key].cells[column][:-1])


def renamed_column(table: Damager, rng: Random) -> bool:
    key, column = table.some(rng, "3:", "4:") or (b"", "")
    if not key:
        return False
    row = table.row(key)
    value = row.cells.pop(column)
    row.timestamps.pop(column)
    return table.put(key, column[:-1] + rng.choice("0123456789x"), value) | True


def strange_column(table: Damager, rng: Random) -> bool:
    key, column = rng.choice(table.cells)
    return table.put(rng.choice(table.nodes), column, table.rows[key].cells[column])


def orphan(table: Damager, rng: Random) -> bool:
    """A row of the same cells under another id: near by, or anywhere."""
    key = rng.choice(table.nodes)
    near = (int(key) + rng.choice([1, 7, 1000])) % (1 << 64)
    other = b"%020d" % (near if rng.random() < 0.7 else rng.randrange(1 << 64))
    if other in table.rows:
        return False
    return any([table.put(other, column, value) for column, value in table.rows[key].cells.items()])


def strange_row(table: Damager, rng: Random) -> bool:
    return table.put(rng.choice([b"zebra", b"0", b"99999999999999999999", b"h"]), "0:parents", bytes(8))


def low_counter(table: Damager, rng: Random) -> bool:
    keys = [key for key in table.rows if key.startswith(b"i")]
    return table.put(rng.choice(sorted(keys)), "1:counter", rng.choice([bytes(8), bytes(7), b"\xff" * 8]))


def lost_counter(table: Damager, rng: Random) -> bool:
    root = table.plan.grid.root
    return table.drop(rng.choice([VERSION_KEY, counter_key(table.plan.ids.chunk_id(root), rng.randrange(256))]))


def root_with_a_parent(table: Damager, rng: Random) -> bool:
    roots = [key for key in table.nodes if int(key) >> 56 == table.plan.grid.layer_count]
    return table.put(rng.choice(roots), "0:parents", rng.choice([bytes(8), int(roots[0]).to_bytes(8, "little")]))


def one_sided(table: Damager, rng: Random) -> bool:
    """An edge is lost on both sides: nothing in the table contradicts itself."""
    key, column = table.some(rng, "3:") or (b"", "")
    if not key:
        return False
    ids = decode_ids(table.rows[key].cells[column]).reshape(-1, 2)
    near, far = ids[rng.randrange(len(ids))].tolist()
    parent = table.rows[b"%020d" % far].cells["0:parents"]
    for node, edge in ((key, (near, far)), (b"%020d" % int.from_bytes(parent, "little"), (far, near))):
        pairs = decode_ids(table.rows[node].cells[column]).reshape(-1, 2).tolist()
        left = [pair for pair in pairs if tuple(pair) != edge]
        if left:
            table.put(node, column, frame([end for pair in left for end in pair]))
        else:
            table.row(node)
            del table.rows[node].cells[column], table.rows[node].timestamps[column]
    return True


KINDS: list[Callable[[Damager, Random], bool]] = [
    *(lose_a_row, lose_a_cell, another_parent, swapped_parents, moved_child, changed_list, garbage, cut_off),
    *(
        renamed_column,
        strange_column,
        orphan,
        strange_row,
        low_counter,
        lost_counter,
        root_with_a_parent,
        one_sided,
    ),
]
