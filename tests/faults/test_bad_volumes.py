"""Volumes that are wrong, damaged or gone: refused, a dead letter at the first attempt, or waited for.

As in test_bad_input: a hang, a huge allocation, a half-right table and any other exception count as failures.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import shutil
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import brotli
import numpy as np
import pytest
import yaml
import zstandard

from shared.errors import ConfigError, DataError
from shared.memory.backend import MemoryBackend
from shared.memory.queue import MemoryBroker
from shared.operate.begin import begin
from shared.operate.check import check
from shared.operate.run import Run
from shared.plan.grid import Chunk
from shared.run.made_from import FROM_SEGMENTATION
from shared.run.ports import Failure
from shared.voxels.volume import VoxelVolume
from shared.work.open_runs import OpenRuns
from tests.faults.guard import bounded
from tests.harness import worker_of
from tests.property.test_segmentation import built, edges_are, roots_are, rows, voxels_are
from tests.segmentation_runs import small_scene
from tests.segmentations import Scene, Voxels, expected, write

SECONDS, MEGABYTES = 60.0, 300
BOMB = (MEGABYTES + 20) << 20
"""Bytes that a small file unpacks to; more than may be taken."""
NOW = 1_700_000_000_000
SECTION = "chunkedgraph_ingest.segmentation"
BLOCK = (5, 6, 7)


def started(path: Path) -> Run:
    """A run of a dataset that was begun, and that nobody works on yet; what is given back comes again at once."""
    return begin(MemoryBackend(broker=MemoryBroker()), check(path, "graph"), "graph", now_ms=NOW)[0]


def work(run: Run, stopped: Callable[[], bool] = lambda: False) -> Run:
    """One worker until there is nothing that it could do."""
    backend = run.backend
    worker = worker_of(backend.queue(run.record.plan.layers), OpenRuns(backend, lambda: 0.0), stopped=stopped)
    with bounded(SECONDS, MEGABYTES):
        worker.run(0.0)
    return run


def rows_of(run: Run) -> dict[bytes, Any]:
    """All rows of its table."""
    assert isinstance(run.backend, MemoryBackend)
    return rows(run.backend)


def dead(run: Run) -> list[Failure]:
    """What could not be done, each at its first attempt and for a reason that comes back each time."""
    found = [failure for failure in run.failures() if failure.dead]
    for failure in found:
        assert failure.attempts == 1 and failure.error in ("DataError", "RangeOverflow"), failure.traceback
        assert str(failure.chunk) in failure.message
    return found


def half_is_not_whole(run: Run, path: Path) -> None:
    """A run that did not end has not said that all is there, and nobody reads what it wrote as a dataset."""
    assert not run.finished
    for kind in ("edges", "components", "ws"):
        note = json.loads((path.parent / "out" / kind / FROM_SEGMENTATION).read_text())
        assert note["complete"] is False
    assert check(path, "other").input.segmentation is not None


# What a check refuses.


def other_info(folder: Path, **changes: Any) -> None:
    """Changes an info, of its first scale where that has such a key."""
    info = json.loads((folder / "info").read_text())
    for key, value in changes.items():
        (info["scales"][0] if key in info["scales"][0] else info)[key] = value
    (folder / "info").write_text(json.dumps(info))


def with_affinities(scene: Scene) -> Scene:
    """The scene with affinities, too."""
    rng = np.random.default_rng(0)
    return replace(scene, affinities=rng.random((*scene.labels.shape, 3)).astype(np.float32))


WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "signed labels": ("labels", {"data_type": "int64"}, "has 1 channels of int64; it needs 1 of uint8 or"),
    "labels of numbers with a point": ("labels", {"data_type": "float32"}, "1 channels of float32"),
    "labels of three channels": ("labels", {"num_channels": 3}, "has 3 channels of uint64; it needs 1"),
    "signed objects": ("objects", {"data_type": "int32"}, "has 1 channels of int32; it needs 1 of uint8 or"),
    "objects with a point": ("objects", {"data_type": "float32"}, "1 channels of float32"),
    "objects of two channels": ("objects", {"num_channels": 2}, "has 2 channels of uint32"),
    "objects elsewhere": ("objects", {"voxel_offset": [1, 0, 0]}, "its lower corner at mip 0 is 1, 0, 0"),
    "larger objects": ("objects", {"size": [10, 6, 5]}, "its upper corner at mip 0 is 10, 6, 5, and that of"),
    "coarser objects": ("objects", {"resolution": [16, 8, 40]}, "its resolution at mip 0 is 16, 8, 40"),
    "one affinity": (
        "affinities",
        {"num_channels": 1},
        "has 1 channels of float32; it needs 3 of uint8 or float32",
    ),
    "affinities as ids": ("affinities", {"data_type": "uint64"}, "has 3 channels of uint64"),
    "affinities elsewhere": ("affinities", {"voxel_offset": [0, 0, -2]}, "its lower corner at mip 0 is 0, 0, -2"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_volumes_are_refused(kind: str, tmp_path: Path) -> None:
    """A volume of another kind than its key wants is refused by its key, with what it is and what is wanted."""
    folder, changes, told = WRONG[kind]
    path = write(tmp_path, with_affinities(small_scene()))
    other_info(tmp_path / folder, **changes)
    with pytest.raises(ConfigError) as caught:
        check(path, "graph")
    key = f"{SECTION}.{'supervoxels' if folder == 'labels' else folder}"
    assert {problem.key for problem in caught.value.problems} == {key}
    assert told in str(caught.value)


@pytest.mark.parametrize("folder", ["labels", "objects", "affinities"])
@pytest.mark.parametrize("how", ["gone", "not there at that mip", "no info", "an info of something else"])
def test_volumes_that_cannot_be_opened(folder: str, how: str, tmp_path: Path) -> None:
    """So is one that is not there, at that mip level, or that is no volume."""
    path = write(tmp_path, with_affinities(small_scene()))
    if how == "gone":
        shutil.rmtree(tmp_path / folder)
    elif how == "no info":
        (tmp_path / folder / "info").write_text("<html>")
    elif how == "an info of something else":
        (tmp_path / folder / "info").write_text('{"@type": "neuroglancer_skeletons"}')
    else:
        content = yaml.safe_load(path.read_text())
        content["chunkedgraph_ingest"]["segmentation"]["mip"] = 3
        path.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=SECTION) as caught:
        check(path, "graph")
    assert f"{SECTION}.{'supervoxels' if folder == 'labels' else folder}" in str(caught.value) or how != "gone"


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    """Objects and affinities that are wrong in several ways are told of in one answer."""
    path = write(tmp_path, with_affinities(small_scene()))
    other_info(tmp_path / "objects", data_type="int32", voxel_offset=[1, 0, 0])
    other_info(tmp_path / "affinities", num_channels=1, resolution=[1, 1, 1])
    with pytest.raises(ConfigError) as caught:
        check(path, "graph")
    assert len(caught.value.problems) >= 5


# Blocks that are damaged.


PACKERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "none": ("", lambda data: data),
    "gzip": (".gz", lambda data: gzip.compress(data, mtime=0)),
    "br": (".br", lambda data: brotli.compress(data, quality=1)),
    "zstd": (".zstd", lambda data: zstandard.ZstdCompressor(write_checksum=True).compress(data)),
    "xz": (".xz", lzma.compress),
    "bz2": (".bz2", bz2.compress),
}
CHECKED = {"gzip", "zstd", "xz", "bz2"}
"""Those with a checksum: what comes back of other bytes is the same, or nothing."""


def one_block(folder: Path, encoding: str, packing: str) -> tuple[Path, Voxels]:
    """A volume of one block, in an encoding, packed; the block's file and its voxels."""
    from cloudvolume import CloudVolume

    rng = np.random.default_rng(4)
    voxels = np.repeat(rng.integers(0, 1 << 64, (5, 12, 9), dtype=np.uint64), 3, 0)
    info = CloudVolume.create_new_info(
        1, "segmentation", "uint64", encoding, [8, 8, 40], [-7, 0, 0], list(voxels.shape), chunk_size=[15, 12, 9]
    )
    volume: Any = CloudVolume(f"file://{folder}", info=info, progress=False, compress=False)
    volume.commit_info()
    volume[:, :, :] = voxels[..., None]
    (path,) = (folder / "8_8_40").iterdir()
    suffix, pack = PACKERS[packing]
    packed = path.with_name(path.name + suffix)
    data = pack(path.read_bytes())
    path.unlink()
    packed.write_bytes(data)
    return packed, voxels


def read(folder: Path, fill_missing: bool = False) -> Voxels:
    """The voxels of that volume, within bounds."""
    with bounded(SECONDS, MEGABYTES):
        return VoxelVolume(f"file://{folder}", 0, fill_missing).read((-7, 0, 0), (8, 12, 9), Chunk(1, 0, 0, 0))


BLOCKS = pytest.mark.parametrize("packing", PACKERS)
ENCODINGS = pytest.mark.parametrize("encoding", ["raw", "compressed_segmentation"])


@BLOCKS
@ENCODINGS
def test_every_block_is_read(encoding: str, packing: str, tmp_path: Path) -> None:
    """Whatever a block is packed with, its voxels come back."""
    _, voxels = one_block(tmp_path, encoding, packing)
    assert np.array_equal(read(tmp_path), voxels)


@BLOCKS
@ENCODINGS
def test_damaged_blocks(encoding: str, packing: str, tmp_path: Path) -> None:
    """Cut off anywhere, with bytes flipped anywhere, or foreign: refused with volume, block and chunk, or as many
    voxels as were asked for; the same ones where there is a checksum. Nothing ends the process."""
    path, voxels = one_block(tmp_path, encoding, packing)
    whole, rng = path.read_bytes(), random.Random(f"{encoding} {packing}")
    damaged = [("cut off", whole[: rng.randrange(len(whole))]) for _ in range(40)]
    damaged += [("cut off", whole[:length]) for length in range(1, 24)]
    for kind, near in (("flipped", len(whole)), ("flipped at its head", 200)):
        for _ in range(120):
            flipped = bytearray(whole)
            flipped[rng.randrange(min(near, len(whole)))] ^= 1 << rng.randrange(8)
            damaged.append((kind, bytes(flipped)))
    damaged += [("of other bytes", rng.randbytes(rng.randrange(1, 3000))) for _ in range(20)]
    damaged += [("foreign", data) for data in (b"", b"<html>404</html>", b'{"error": 1}', bytes(8), b"\xff" * 4096)]
    for kind, data in damaged:
        path.write_bytes(data)
        try:
            found = read(tmp_path, fill_missing=True)
        except DataError as error:
            assert error.file == f"file://{tmp_path}" and error.chunk == Chunk(1, 0, 0, 0)
            assert "8_8_40/-7-8_0-12_0-9" in error.reason
            continue
        assert kind.startswith("flipped") or kind == "of other bytes", kind
        assert found.shape == voxels.shape and found.dtype == voxels.dtype
        assert np.array_equal(found, voxels) or packing not in CHECKED


@pytest.mark.parametrize("packing", [name for name in PACKERS if name != "none"])
@ENCODINGS
def test_zip_bombs(encoding: str, packing: str, tmp_path: Path) -> None:
    """A small file that unpacks to more than there is memory for is refused before there is room for it."""
    path, _ = one_block(tmp_path, encoding, packing)
    path.write_bytes(bomb(packing))
    with pytest.raises(DataError, match=r"such a block can have|damaged"):
        read(tmp_path)


@cache
def bomb(packing: str) -> bytes:
    """Nothing but zeros, so many that they do not fit."""
    made: Any = {
        "gzip": lambda: zlib.compressobj(1, wbits=31),
        "br": lambda: brotli.Compressor(quality=1),
        "zstd": lambda: zstandard.ZstdCompressor(level=1).compressobj(),
        "xz": lambda: lzma.LZMACompressor(preset=0),
        "bz2": lambda: bz2.BZ2Compressor(1),
    }[packing]()
    piece = bytes(1 << 20)
    put, end = (made.process, made.finish) if packing == "br" else (made.compress, made.flush)
    return b"".join([*(put(piece) for _ in range(BOMB >> 20)), end()])


def test_a_gzip_that_lies_about_its_size(tmp_path: Path) -> None:
    """The size at the end of a gzip file is what it is unpacked into, and no more."""
    path, _ = one_block(tmp_path, "raw", "gzip")
    for size in (0, 5, 1 << 31, (1 << 32) - 1):
        path.write_bytes(bomb("gzip")[:-4] + size.to_bytes(4, "little"))
        with pytest.raises(DataError):
            read(tmp_path)


def test_offsets_that_lead_out_of_a_block(tmp_path: Path) -> None:
    """compressed_segmentation without a checksum, each word of its head replaced: never a label from elsewhere."""
    path, _ = one_block(tmp_path, "compressed_segmentation", "none")
    whole = path.read_bytes()
    for word in range(1 + 2 * 2 * 2 * 2):
        for value in (0, 1, len(whole) // 4 - 1, len(whole) // 4, 0xFFFFFF, 0x20FFFFFF, 0x08000000, 0xFFFFFFFF):
            path.write_bytes(whole[: 4 * word] + value.to_bytes(4, "little") + whole[4 * word + 4 :])
            try:
                found = read(tmp_path)
            except DataError:
                continue
            # A label is made of two words that stand next to each other, within the block.
            words = np.frombuffer(path.read_bytes(), "<u4").astype(np.uint64)
            assert set(found.ravel().tolist()) <= set((words[:-1] | words[1:] << np.uint64(32)).tolist())


DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "cut off": lambda data: data[:-9],
    "flipped": lambda data: data[:30] + bytes([data[30] ^ 4]) + data[31:],
    "empty": lambda data: b"",
    "a page": lambda data: b"<html><body>Service unavailable</body></html>",
    "a bomb": lambda data: bomb("gzip"),
    "another block": lambda data: gzip.compress(bytes(80)),
    "missing": lambda data: None,
}


@pytest.mark.parametrize("volume", ["labels", "objects", "affinities"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_in_a_run(kind: str, volume: str, tmp_path: Path) -> None:
    """Chunks of a damaged block end in the dead letters at once, with volume, block and reason; all others are cut;
    no table is half right. Mended and replayed, the run comes to what it would have been."""
    path = write(tmp_path, with_affinities(small_scene()))
    run = started(path)
    (block,) = (tmp_path / volume / "8_4_40").glob("0-5_0-6_0-4*")
    whole = block.read_bytes()
    data = DAMAGE[kind](whole)
    if data is None:
        block.unlink()
    else:
        block.write_bytes(data)
    work(run)
    found = dead(run)
    assert {failure.chunk.x for failure in found} == {0, 1} and len(found) == 2 * 2 * 2
    for failure in found:
        assert f"file://{tmp_path}/{volume}" in failure.message and "8_4_40/0-5_0-6_0-4" in failure.message
        assert ("fill_missing" in failure.message) == (kind == "missing")
    assert run.completion.progress([1])[1].done == 16 - 8
    half_is_not_whole(run, path)
    block.write_bytes(whole)
    run.replay(run.failures())
    assert work(run).finished and run.verify().violation_count == 0
    found_rows = {key: row for key, row in rows_of(run).items() if key not in (b"meta", b"version")}
    shutil.rmtree(tmp_path / "out")
    assert built(path)[1] == found_rows


@pytest.mark.parametrize("kind", ["cut off", "a page", "a bomb", "empty"])
def test_a_check_reads_a_few_voxels(kind: str, tmp_path: Path) -> None:
    """Damage in the middle of a volume is refused before anything is made."""
    path = write(tmp_path, small_scene(), block=(10, 6, 4))
    (block,) = (tmp_path / "labels" / "8_4_40").iterdir()
    block.write_bytes(DAMAGE[kind](block.read_bytes()) or b"")
    with bounded(SECONDS, MEGABYTES), pytest.raises(ConfigError, match=f"{SECTION}.supervoxels") as caught:
        check(path, "graph")
    assert "0-10_0-6_0-4" in str(caught.value)


# Voxels that contradict each other.


def test_affinities_that_are_no_numbers(tmp_path: Path) -> None:
    """An affinity that is no number is named by its place."""
    scene = with_affinities(small_scene())
    assert scene.affinities is not None
    scene.affinities[7, 1, 2, 1] = np.nan
    scene.affinities[7, 2, 2, 0] = np.inf
    run = work(started(write(tmp_path, scene)))
    (failure,) = dead(run)
    assert failure.chunk == Chunk(1, 2, 0, 0) and f"file://{tmp_path}/affinities" in failure.message
    assert "(7, 1, 2)" in failure.message and "nan" in failure.message


def test_a_supervoxel_of_several_objects(tmp_path: Path) -> None:
    """Within a chunk it is refused by the cut, with the objects and a place; with `most` it goes to one."""
    labels = np.full((6, 4, 4), 9, np.uint64)
    objects = np.full((6, 4, 4), 2, np.uint32)
    objects[1, 2, 3] = 7
    path = write(tmp_path, Scene(labels, (3, 4, 4), low=(-6, 10, 0), objects=objects))
    run = work(started(path))
    (failure,) = dead(run)
    assert failure.chunk == Chunk(1, 0, 0, 0)
    assert "supervoxel 9 meets 2 objects: 2 (47 voxels) and 7 (1 voxels)" in failure.message
    assert "(-5, 12, 3)" in failure.message and "several_objects: most" in failure.message
    half_is_not_whole(run, path)


def test_a_supervoxel_of_two_objects_at_a_face(tmp_path: Path) -> None:
    """On both sides of a face it is refused by both chunks of layer 2."""
    labels = np.full((6, 4, 4), 9, np.uint64)
    objects = np.full((6, 4, 4), 2, np.uint32)
    objects[3:] = 7
    path = write(tmp_path, Scene(labels, (3, 4, 4), objects=objects))
    run = work(started(path))
    found = dead(run)
    assert [failure.chunk for failure in found] == [Chunk(2, 0, 0, 0), Chunk(2, 1, 0, 0)]
    for failure in found:
        assert f"file://{tmp_path}/objects" in failure.message and "supervoxel 9 meets objects" in failure.message
    half_is_not_whole(run, path)


def test_more_pieces_than_ids(tmp_path: Path) -> None:
    """A chunk with more supervoxels than its ids have room for says so."""
    rng = np.random.default_rng(1)
    labels = rng.permutation(np.arange(1, 6 * 4 * 4 + 1, dtype=np.uint64)).reshape(6, 4, 4)
    path = write(tmp_path, Scene(labels, (3, 4, 4)))
    content = yaml.safe_load(path.read_text())
    content["graph_config"]["SPATIAL_BITS"] = 17
    path.write_text(yaml.safe_dump(content))
    run = work(started(path))
    found = dead(run)
    assert found and {failure.error for failure in found} == {"RangeOverflow"}
    half_is_not_whole(run, path)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("shape", [(6, 4, 4), (6, 1, 1), (1, 1, 1)])
def test_labels_of_all_bits(shape: tuple[int, int, int], flat: bool, tmp_path: Path) -> None:
    """Ids of 2^63 and above, next to each other, are exact; in a single row of voxels, too."""
    names = np.array([(1 << 63) - 1, 1 << 63, (1 << 63) + 1, (1 << 64) - 1, 1], np.uint64)
    labels = names[np.arange(int(np.prod(shape))) % 5].reshape(shape)
    scene = Scene(labels, (3, 4, 4), objects=None if flat else np.ones(shape, np.uint64) << np.uint64(63))
    path = write(tmp_path, scene)
    run, _ = built(path)
    wanted = expected(scene)
    names_of = voxels_are(run, scene, wanted)
    edges_are(run, wanted, names_of)
    roots_are(run, wanted, names_of)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("background", [0, 5, (1 << 64) - 1])
@pytest.mark.parametrize("dtype", ["uint8", "uint64"])
def test_background(dtype: str, background: int, flat: bool, tmp_path: Path) -> None:
    """The id that is said to be no supervoxel is none, and 0 is none in any case."""
    labels = np.random.default_rng(3).integers(0, 8, (7, 5, 4)).astype(dtype)
    if dtype == "uint64":
        labels[labels == 7] = (1 << 64) - 1
    scene = Scene(labels, (3, 4, 4), objects=None if flat else (labels > 2).astype("uint8"))
    path = write(tmp_path, scene)
    content = yaml.safe_load(path.read_text())
    content["chunkedgraph_ingest"]["segmentation"]["background"] = background
    path.write_text(yaml.safe_dump(content))
    run, _ = built(path)
    told = replace(scene, labels=np.where(labels == background, 0, labels).astype(dtype))
    wanted = expected(told)
    names = voxels_are(run, told, wanted)
    edges_are(run, wanted, names)
    roots_are(run, wanted, names)


@pytest.mark.parametrize("flat", [False, True])
def test_nothing_but_background(flat: bool, tmp_path: Path) -> None:
    """A volume without a supervoxel ends in an error that names it, and no graph of nothing."""
    scene = small_scene(flat=flat)
    run = work(started(write(tmp_path, replace(scene, labels=np.zeros_like(scene.labels)))))
    (failure,) = dead(run)
    assert failure.chunk == run.record.plan.top and f"file://{tmp_path}/labels" in failure.message
    assert "edge file" not in failure.message and "names of the files" not in failure.message


# Cuts that are damaged.


@pytest.mark.parametrize("kind", ["cut off", "flipped", "empty", "a page", "another chunk's", "gone"])
def test_a_damaged_cut_in_a_run(kind: str, tmp_path: Path) -> None:
    """Chunks that need a cut that is damaged name its file, at once; cut again and replayed, the run comes to what
    it would have been."""
    path = write(tmp_path, small_scene())
    content = yaml.safe_load(path.read_text())
    content["chunkedgraph_ingest"]["auto_queue_parents"] = False
    path.write_text(yaml.safe_dump(content))
    run = work(started(path))
    cut = Chunk(1, 1, 1, 0)
    name = run.record.handoff_name(cut)
    whole = run.scratch.get([name])[name]
    assert whole is not None
    other = run.record.handoff_name(Chunk(1, 2, 1, 0))
    damaged = {
        "cut off": whole[: len(whole) // 2],
        "flipped": whole[:-20] + bytes([whole[-20] ^ 1]) + whole[-19:],
        "empty": b"",
        "a page": b"<html></html>",
        "another chunk's": run.scratch.get([other])[other],
        "gone": None,
    }[kind]
    if damaged is None:
        run.scratch.delete([name])
    else:
        run.scratch.put(name, damaged)
    run.queue_layer(2)
    work(run)
    found = [failure for failure in run.failures() if failure.dead]
    assert {failure.chunk for failure in found} == set(run.record.plan.dependents(cut))
    for failure in found:
        assert name in failure.message and str(cut if kind == "another chunk's" else "") in failure.message
        wanted = ("MissingCut", 5) if kind == "gone" else ("DataError", 1)
        assert (failure.error, failure.attempts) == wanted
    half_is_not_whole(run, path)
    run.queue_chunk(cut)
    work(run)
    run.replay(run.failures())
    work(run)
    for layer in (3, 4):
        run.queue_layer(layer)
        work(run)
    assert run.finished and run.verify().violation_count == 0
    mine = {key: row for key, row in rows_of(run).items() if key not in (b"meta", b"version")}
    shutil.rmtree(tmp_path / "out")
    assert built(write(tmp_path, small_scene()))[1] == mine


# What disappears, and what cannot be written.


def after(count: int, then: Callable[[], object]) -> Callable[[], bool]:
    """Asked before each delivery: does something once, after so many."""
    asked = iter([False] * count)

    def stopped() -> bool:
        if next(asked, True):
            then_once()
        return False

    done: list[bool] = []

    def then_once() -> None:
        if not done:
            done.append(True)
            then()

    return stopped


def waits(run: Run, told: str) -> None:
    """Nothing is dead, and some chunk says what it waits for."""
    found = run.failures()
    assert not [failure for failure in found if failure.dead], [failure.traceback for failure in found]
    assert any(failure.waiting and told in failure.message for failure in found), found


@pytest.mark.parametrize("fill_missing", [False, True])
@pytest.mark.parametrize("volume", ["labels", "objects"])
def test_a_volume_that_disappears(volume: str, fill_missing: bool, tmp_path: Path) -> None:
    """While a run goes on: it waits, and takes nothing for background; once the volume is back it is completed."""
    path = write(tmp_path, small_scene())
    content = yaml.safe_load(path.read_text())
    content["chunkedgraph_ingest"]["segmentation"]["fill_missing"] = fill_missing
    path.write_text(yaml.safe_dump(content))
    run, there, gone = started(path), tmp_path / volume, tmp_path / "gone"
    work(run, after(3, lambda: there.rename(gone)))
    waits(run, f"file://{there}")
    half_is_not_whole_but_gone(run)
    gone.rename(there)
    run.resume()
    assert work(run).finished and run.verify().violation_count == 0
    mine = {key: row for key, row in rows_of(run).items() if key not in (b"meta", b"version")}
    shutil.rmtree(tmp_path / "out")
    assert built(path)[1] == mine


def half_is_not_whole_but_gone(run: Run) -> None:
    """Not all is cut."""
    assert not run.finished and 0 < run.completion.progress([1])[1].done < 16


def test_a_volume_that_becomes_another(tmp_path: Path) -> None:
    """One that is replaced by a smaller one while a run goes on is an error of the data for what is not there."""
    path = write(tmp_path, small_scene())
    run = started(path)
    other_info(tmp_path / "labels", size=[5, 6, 4])
    work(run)
    found = dead(run)
    assert found and all("within the volume" in failure.message for failure in found) and not run.finished


def test_an_output_that_cannot_be_written_from_the_start(tmp_path: Path) -> None:
    """It is refused before anything is made."""
    path = write(tmp_path, small_scene())
    (tmp_path / "out").write_text("a file where the folders would be")
    with pytest.raises(ConfigError, match="data_source"):
        started(path)


@pytest.mark.parametrize("kind", ["ws/8_4_40", "edges", "components"])
def test_an_output_that_cannot_be_written_any_more(kind: str, tmp_path: Path) -> None:
    """While a run goes on it waits, says for what, and is completed afterwards."""
    path = write(tmp_path, small_scene())
    run = started(path)
    folder = tmp_path / "out" / kind
    aside = tmp_path / "aside"

    def break_it() -> None:
        folder.rename(aside)
        folder.write_text("a file")

    work(run, after(3, break_it) if kind.startswith("ws") else after(0, break_it))
    waits(run, str(tmp_path / "out" / kind.split("/")[0]))
    assert not run.finished
    folder.unlink()
    aside.rename(folder)
    run.resume()
    assert work(run).finished and run.verify().violation_count == 0


@pytest.mark.parametrize("kind", ["edges", "components", "ws"])
@pytest.mark.parametrize("what", ["files of others", "a note that is none", "a note of another segmentation"])
def test_outputs_of_others(kind: str, what: str, tmp_path: Path) -> None:
    """An output folder that holds something of others is refused by its key, and left as it is."""
    path = write(tmp_path, small_scene())
    folder = tmp_path / "out" / kind
    folder.mkdir(parents=True)
    names = {"edges": "edges_0_0_0.proto.zst", "components": "components_0_0_0.proto", "ws": "info"}
    if what == "files of others":
        (folder / names[kind]).write_bytes((tmp_path / "labels" / "info").read_bytes())
    elif what == "a note that is none":
        (folder / FROM_SEGMENTATION).write_bytes(b"{")
    else:
        other = tmp_path / "other"
        other.mkdir()
        built(write(other, small_scene(seed=2)))
        shutil.copy(other / "out" / kind / FROM_SEGMENTATION, folder / FROM_SEGMENTATION)
        shutil.copy(other / "out" / kind / names[kind], folder / names[kind])
    before = {file: file.read_bytes() for file in folder.iterdir()}
    key = {"edges": "EDGES", "components": "COMPONENTS", "ws": "WATERSHED"}[kind]
    with pytest.raises(ConfigError, match=f"data_source.{key}"):
        started(path)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before
