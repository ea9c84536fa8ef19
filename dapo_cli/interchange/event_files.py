"""TensorBoard's event files as a sequence of events, each checked; bounded, and without TensorFlow.

A file is a sequence of records (TFRecord): 8 bytes of length, their masked CRC-32C, the data, the masked CRC-32C of the
data; all little-endian. Each holds one `Event` message.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from dapo_cli.errors import BadInput
from dapo_cli.interchange import log_files

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

LARGEST_EVENT = 1 << 20  # bytes; a larger one is an image or a graph, and passed over
_NUMBERS = {1: ("float_val", "<f"), 2: ("double_val", "<d"), 3: ("int_val", "<i"), 9: ("int64_val", "<q")}  # DataType
STRING = 7


def messages() -> Any:
    """The module of TensorBoard's messages; raises BadInput where TensorBoard is not installed."""
    try:
        from tensorboard.compat.proto import event_pb2
    except ImportError as error:
        raise BadInput("TensorBoard's files need a package: pip install 'dapo-cli[tensorboard]'") from error
    return event_pb2


def events(path: Path) -> Iterator[tuple[str, Event | None]]:
    """The events in order: ("file, record N", event). A last None means that the file ends within a record."""
    from google.protobuf.message import DecodeError

    message = messages().Event
    with log_files.readable(path), path.open("rb") as file:
        for number, data in enumerate(_records(path, file), start=1):
            place = f"{path}, record {number}"
            if data is None:
                yield place, None
                return
            try:
                yield place, message.FromString(data)
            except DecodeError as error:
                raise BadInput(f"{place}: that is no TensorBoard event: name another file") from error


def number(value: Any) -> float | None:
    """The number of a `Summary.Value`, however it was written; None for an image, a histogram or a text."""
    if value.WhichOneof("value") == "simple_value":
        return float(value.simple_value)
    tensor = value.tensor
    if value.WhichOneof("value") != "tensor" or tensor.dtype not in _NUMBERS or tensor.tensor_shape.dim:
        return None
    name, layout = _NUMBERS[tensor.dtype]
    if len(tensor.tensor_content) == struct.calcsize(layout):
        return float(struct.unpack(layout, tensor.tensor_content)[0])
    values = getattr(tensor, name)
    return float(values[0]) if len(values) == 1 else None


def restarts(event: Event) -> bool:
    """Whether a process says with it that it begins, or goes on, at the event's step."""
    return bool(event.HasField("session_log") and event.session_log.status == event.session_log.START)


def text(value: Any) -> str | None:
    """The text of a `Summary.Value`; None for one that is something else."""
    if value.WhichOneof("value") == "tensor" and value.tensor.dtype == STRING and len(value.tensor.string_val) == 1:
        return bytes(value.tensor.string_val[0]).decode("utf-8", "backslashreplace")
    return None


def _records(path: Path, file: BinaryIO) -> Iterator[bytes | None]:
    from tensorboard.summary.writer.record_writer import masked_crc32c

    size = path.stat().st_size
    while header := file.read(12):
        if len(header) < 12:
            yield None
            return
        length, check = struct.unpack("<QI", header)
        if masked_crc32c(header[:8]) != check:
            place = f"{path}, byte {file.tell() - 12}"
            raise BadInput(f"{place}: that is no TensorBoard event file, or a damaged one: name another")
        if file.tell() + length + 4 > size:
            yield None
            return
        if length > LARGEST_EVENT:
            file.seek(length + 4, 1)
            continue
        data, footer = file.read(length), file.read(4)
        if masked_crc32c(data) != struct.unpack("<I", footer)[0]:
            raise BadInput(f"{path}, byte {file.tell() - 4 - length}: the file is damaged there: copy it again")
        yield data
