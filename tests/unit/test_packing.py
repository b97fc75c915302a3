"""Files as tools pack them: read by how they begin, within bounds; what is another thing is called by its name."""

from __future__ import annotations

import bz2
import gzip
import lzma
import resource
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import zstandard

from shared.errors import DataError
from shared.inputs.components import decode_components, encode_components
from shared.inputs.edges import ChunkEdges, EdgeList, decode_edges, encode_edges
from shared.inputs.packing import unpacked
from shared.plan.grid import Chunk

CHUNK = Chunk(2, 0, 0, 0)
CONTENT = b"\x0a\x80\x80\x40" + np.arange(1 << 17, dtype=np.uint64).tobytes()
PACK: dict[str, Callable[[bytes], bytes]] = {
    "zstd": zstandard.compress,
    "zstd without its size": zstandard.ZstdCompressor(write_content_size=False).compress,
    "gzip": partial(gzip.compress, compresslevel=6),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
}
FOREIGN = {
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
    "git-annex pointer": b"../.git/annex/objects/Xk/qp/SHA256E-s31390--f50d7ac4\n",
    "page of HTML": b"<!DOCTYPE html>\n<html><title>404 Not Found</title></html>",
    "XML document": b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>NoSuchKey</Code></Error>",
    "JSON": b'{"error": {"code": 403}}',
    "DVC pointer": b"outs:\n- md5: a304afb96060aad90176268345e10355\n",
    "zip archive": b"PK\x03\x04\x14\x00\x00\x00",
    "tar archive": b"edges".ljust(257, b"\0") + b"ustar\x0000" + bytes(248),
    "numpy array": b"\x93NUMPY\x01\x00",
    "HDF5 file": b"\x89HDF\r\n\x1a\n",
    "pickle": b"\x80\x04\x95\x10\x00",
    "raw agglomeration": b"SO01" + bytes(16),
}


@pytest.mark.parametrize("pack", PACK.values(), ids=PACK)
def test_packings(pack: Callable[[bytes], bytes]) -> None:
    """Each packing is undone, in one go, in several streams, and under another one; no byte may be lacking."""
    assert unpacked(pack(CONTENT)) == CONTENT
    assert unpacked(pack(CONTENT[:1000]) + pack(CONTENT[1000:])) == CONTENT
    assert unpacked(PACK["gzip"](pack(CONTENT))) == CONTENT
    data = pack(CONTENT[:3000])
    for length in range(8, len(data), 7):
        with pytest.raises(ValueError, match=r"cut off|end-of-stream"):
            unpacked(data[:length])


def test_plain_bytes() -> None:
    """What begins like no packing is taken as it is."""
    assert (unpacked(CONTENT), unpacked(b"")) == (CONTENT, b"")


def test_packed_without_end() -> None:
    """A file that is packed over and over is given up."""
    data = CONTENT[:100]
    for _ in range(6):
        data = gzip.compress(data)
    with pytest.raises(ValueError, match="packed more than"):
        unpacked(data)


@pytest.mark.parametrize("pack", PACK.values(), ids=PACK)
def test_bombs(pack: Callable[[bytes], bytes]) -> None:
    """A few kilobytes that hold hundreds of megabytes are given up at the limit, and never held in memory."""
    data = pack(bytes(100 << 20)) * 3
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=r"holds more than|claims"):
        unpacked(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


@pytest.mark.parametrize(("what", "data"), FOREIGN.items(), ids=FOREIGN)
def test_other_things_are_named(what: str, data: bytes) -> None:
    """What stands in a file's place is called what it is, for both messages, with file and chunk."""
    for decode in (decode_edges, decode_components):
        for content in (data, gzip.compress(data)):
            with pytest.raises(DataError, match=what) as caught:
                decode(content, "gs://b/file", CHUNK)
            assert (caught.value.file, caught.value.chunk) == ("gs://b/file", CHUNK)


@pytest.mark.parametrize("pack", [*PACK.values(), bytes], ids=[*PACK, "plain"])
def test_both_messages(pack: Callable[[bytes], bytes]) -> None:
    """Edges and components are read whatever they are packed with."""
    pairs = np.array([[1, 2], [3, 4]], np.uint64)
    plain = zstandard.decompress(encode_edges(ChunkEdges(inside=EdgeList(pairs))))
    assert decode_edges(pack(plain), "file", CHUNK).inside.pairs.tolist() == pairs.tolist()
    listed = encode_components([pairs[0], pairs[1]])
    assert decode_components(pack(listed), "file", CHUNK).same(pairs).all()
