"""The two protobuf messages of the input files, declared here so that no generated code is kept.

Source: PyChunkedGraph's chunkEdges.proto and chunkComponents.proto. Only field numbers and types
matter on the wire; the package name is ours, so that both can be loaded in one process.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet

_FIELD = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "chunkedgraph_ingest.inputs"


def _add(file: Any, name: str, *fields: tuple[str, int, int, str | None]) -> None:
    message = file.message_type.add(name=name)
    for number, (field, kind, label, type_name) in enumerate(fields, start=1):
        message.field.add(name=field, number=number, type=kind, label=label, type_name=type_name)


def _declare() -> tuple[Any, Any]:
    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3")
    one, many = _FIELD.LABEL_OPTIONAL, _FIELD.LABEL_REPEATED
    columns = ("node_ids1", "node_ids2", "affinities", "areas")
    _add(file, "Edges", *((name, _FIELD.TYPE_BYTES, one, None) for name in columns))
    kinds = ("in_chunk", "cross_chunk", "between_chunk")
    _add(file, "ChunkEdges", *((name, _FIELD.TYPE_MESSAGE, one, f".{_PACKAGE}.Edges") for name in kinds))
    _add(file, "Components", ("components", _FIELD.TYPE_UINT64, many, None))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)

    def of(name: str) -> Any:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))

    return of("ChunkEdges"), of("Components")


ChunkEdgesMessage, ComponentsMessage = _declare()


def parsed(message: Any, data: bytes) -> Any:
    """The message of a class in `data`; DecodeError for other bytes, MemoryError where memory ran out.

    The library says the same class for both, and only one of them is the file's fault. Fields that nobody
    knows may stand beside known ones; where they stand alone, the bytes are another message.
    """
    try:
        found = message.FromString(data)
    except DecodeError as error:
        if "alloc" in str(error):
            raise MemoryError(str(error)) from error
        raise
    if data and not found.ListFields() and len(UnknownFieldSet(found)):
        raise DecodeError("none of its fields is known")
    return found
