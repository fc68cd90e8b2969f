# Generated from modules/16_capstone/appendix_wire.py by `tito export`. Edit that file, not this one.
"""The Open Inference Protocol, version 2: requests read strictly, responses written."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from .capstone import Refused
from .safetensors import without_twins

__all__ = [
    "DATATYPES", "Port", "Request", "parsed", "no_number", "get", "KINDS", "from_json", "FIT", "flattened",
    "check_nesting", "strings", "from_bytes", "cut_strings", "to_bytes", "Understood", "request_of", "SHORT",
    "understood", "halves", "named", "shape_of", "checked", "wanted", "response_of", "answer_of",
    "same_answer", "listed",
]


DATATYPES = {
    "BOOL": "?", "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "<i1",
    "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8", "BYTES": "O",
}


@dataclass(frozen=True)
class Port:
    """An input or output of a model: what it is called, and what passes through; -1 is any length."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, told: dict):
        """A port as a file describes it; ValueError if it is none."""
        try: name, datatype, shape = told["name"], told["datatype"], tuple(told["shape"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"{told!r} lacks one of name, datatype and shape") from error
        if not isinstance(name, str) or datatype not in DATATYPES: raise ValueError(f"{told!r} is no port")
        if not shape or shape[0] != -1 or not all(type(n) is int and (n > 0 or n == -1) for n in shape):
            raise ValueError(f"the shape of {name} is -1, the batch, and then lengths, not {shape}")
        return cls(name, datatype, shape)

    @property
    def told(self) -> dict:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}

    def fits(self, shape: Sequence[int]) -> bool:
        return len(shape) == len(self.shape) and all([n in (-1, m) for n, m in zip(self.shape, shape)])


@dataclass
class Request:
    """A question that was understood: arrays in the order of the model's inputs, and how to answer."""

    inputs: list
    id: str = ""
    outputs: list[tuple[str, bool]] = field(default_factory=list)       # names, and whether in binary
    parameters: dict = field(default_factory=dict)


def parsed(text: bytes) -> dict:
    """A JSON object; Refused for all else."""
    try: told = json.loads(text.decode("utf-8"), parse_constant=no_number, object_pairs_hook=without_twins)
    except (ValueError, RecursionError) as error: raise Refused(f"this is no JSON: {error}"[:200]) from error
    if not isinstance(told, dict): raise Refused("a request is a JSON object")
    return told


def no_number(text: str): raise ValueError(f"{text} is no number of JSON's")


def get(told: dict, key: str, kind: type, default=None):
    """What stands under a key, if it is of this kind; without a default it has to be there."""
    if key not in told and default is not None: return default
    found = told.get(key)
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise Refused(f"{key} has to be {KINDS[kind]}" + ("" if key in told else ", and is not there"))
    return found


KINDS = {str: "a string", int: "a whole number", list: "a list", dict: "an object", bool: "true or false"}


def from_json(data: list, port: Port, shape: tuple[int, ...]):
    """The numbers of a list, as an array of this shape."""
    flat, kind = flattened(data), np.dtype(DATATYPES[port.datatype])
    if len(flat) != math.prod(shape):
        raise Refused(f"{port.name} of shape {list(shape)} has {math.prod(shape)} numbers, not {len(flat)}")
    if not set(map(type, flat)) <= FIT.get(kind.kind, {int}):
        raise Refused(f"the data of {port.name} is not all {port.datatype}")
    if kind.kind == "O": return strings([text.encode("utf-8", "replace") for text in flat], shape)
    if flat is not data: check_nesting(data, port, shape)
    try:
        with np.errstate(over="raise"): array = np.array(flat, kind)
    except (OverflowError, FloatingPointError) as error:
        raise Refused(f"a number of {port.name} is too large for {port.datatype}") from error
    if kind.kind == "f" and not np.isfinite(array).all(): raise Refused(f"{port.name} is not finite")
    return array.reshape(shape)


FIT = {"b": {bool}, "f": {int, float}, "O": {str}}


def flattened(data: list) -> list:
    """All that is in a list of lists, however deep."""
    if list not in map(type, data): return data
    flat, waiting = [], [data]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list): waiting += reversed(item)
        else: flat.append(item)
    return flat


def check_nesting(data: list, port: Port, shape: tuple[int, ...]) -> None:
    """Refuses nested lists that are not of this shape."""
    lists = [data]
    for depth, n in enumerate(shape):
        if not all([isinstance(one, list) and len(one) == n for one in lists]):
            raise Refused(f"the data of {port.name} is neither flat nor nested as {list(shape)}")
        if depth < len(shape) - 1: lists = [part for one in lists for part in one]


def strings(texts: Sequence[bytes], shape):
    """An array of bytes objects."""
    array = np.empty(len(texts), object)
    array[:] = texts
    return array.reshape(shape)


def from_bytes(data: memoryview, port: Port, shape: tuple[int, ...]):
    """The numbers of some bytes, as an array of this shape."""
    if port.datatype == "BYTES": return strings(list(cut_strings(data, port, math.prod(shape))), shape)
    kind = np.dtype(DATATYPES[port.datatype])
    if len(data) != math.prod(shape) * kind.itemsize:
        raise Refused(f"{port.name}, {port.datatype} of shape {list(shape)}, takes "
                      f"{math.prod(shape) * kind.itemsize} bytes, not {len(data)}")
    if kind.kind == "b": return (np.frombuffer(data, np.uint8) != 0).reshape(shape)
    return np.frombuffer(data, kind).reshape(shape)


def cut_strings(data: memoryview, port: Port, count: int) -> Iterable[bytes]:
    at = 0
    for _ in range(count):
        size = int.from_bytes(data[at : at + 4], "little")
        if at + 4 + size > len(data): raise Refused(f"the strings of {port.name} are cut off")
        yield bytes(data[at + 4 : at + 4 + size])
        at += 4 + size
    if at != len(data): raise Refused(f"something follows behind the strings of {port.name}")


def to_bytes(array) -> bytes:
    """An array as the extension writes it."""
    if array.dtype != object: return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return b"".join([len(text).to_bytes(4, "little") + text for text in array.reshape(-1)])


class Understood(NamedTuple):
    """What the JSON of a request says."""

    parts: list[tuple]                  # port, shape, and either how many bytes follow, or None and the data
    id: str
    outputs: list[tuple[str, bool]]
    parameters: dict


def request_of(
    body: bytes, header_length: str | None, inputs: Sequence[Port], outputs: Sequence[Port],
) -> Request:
    """The question in a body, if it is one for a model with these ports; Refused if not."""
    head, rest = halves(body, header_length)
    read = understood if len(head) <= SHORT else understood.__wrapped__
    said, arrays, at = read(head, tuple(inputs), tuple(outputs)), {}, 0
    for port, shape, size, data in said.parts:
        if size is None: arrays[port.name] = from_json(data, port, shape)
        else:
            if size > len(rest) - at: raise Refused(f"the bytes of {port.name} are cut off")
            arrays[port.name], at = from_bytes(rest[at : at + size], port, shape), at + size
    if at != len(rest): raise Refused(f"{len(rest) - at} bytes follow that belong to no input")
    return Request([arrays[port.name] for port in inputs], said.id, said.outputs, said.parameters)


SHORT = 1024                            # bytes of JSON that are worth keeping


@lru_cache(256)
def understood(head: bytes, inputs: tuple[Port, ...], outputs: tuple[Port, ...]) -> Understood:
    told = parsed(head)
    parameters = checked(get(told, "parameters", dict, {}), {"timeout": int, "binary_data_output": bool})
    parts: dict[str, tuple] = {}
    for one in get(told, "inputs", list):
        if not isinstance(one, dict): raise Refused("an input is an object")
        port = named(get(one, "name", str), inputs, parts)
        size = checked(get(one, "parameters", dict, {}), {"binary_data_size": int}).get("binary_data_size")
        if size is not None and "data" in one:
            raise Refused(f"{port.name} has its data twice, in the JSON and behind it")
        if size is not None and size < 0: raise Refused(f"{port.name} has less than no bytes")
        data = get(one, "data", list) if size is None else None
        parts[port.name] = port, shape_of(one, port), size, data
    missing = [port.name for port in inputs if port.name not in parts]
    if missing: raise Refused(f"there is no input {missing[0]}")
    rows = {shape[0] for _, shape, _, _ in parts.values()}
    if len(rows) != 1: raise Refused(f"the inputs do not agree on how many rows there are: {sorted(rows)}")
    return Understood([*parts.values()], get(told, "id", str, ""),
                      wanted(told, outputs, parameters.get("binary_data_output", False)), parameters)


def halves(body: bytes, header_length: str | None) -> tuple[bytes, memoryview]:
    """The JSON, and what follows it."""
    if header_length is None: return body, memoryview(b"")
    if not (header_length.isascii() and header_length.isdigit() and len(header_length) < 12):
        raise Refused("Inference-Header-Content-Length is not a number of bytes")
    length = int(header_length)
    if length > len(body): raise Refused(f"the JSON has {length} bytes, and the body {len(body)}")
    return body[:length], memoryview(body)[length:]


def named(name: str, ports: Sequence[Port], taken: dict) -> Port:
    for port in ports:
        if port.name != name: continue
        if name in taken: raise Refused(f"the input {name} is there twice")
        return port
    raise Refused(f"the model has no input {name[:50]!r}: it has {', '.join([p.name for p in ports])}")


def shape_of(one: dict, port: Port) -> tuple[int, ...]:
    shape, datatype = tuple(get(one, "shape", list)), get(one, "datatype", str)
    if datatype != port.datatype: raise Refused(f"{port.name} is {port.datatype}, not {datatype[:20]}")
    if not all([type(n) is int and n > 0 for n in shape]):
        raise Refused(f"{port.name} has a shape of whole lengths")
    if not port.fits(shape): raise Refused(f"{port.name} is {list(port.shape)}, not {list(shape)[:10]}")
    return shape


def checked(parameters: dict, known: dict[str, type]) -> dict:
    """Parameters whose known ones are of the right kind. What would change the answer is refused."""
    for name in parameters:
        if name in known: get(parameters, name, known[name])
        elif name.startswith(("shared_memory", "classification", "sequence_")):
            raise Refused(f"the parameter {name} is not served here", 501)
    return parameters


def wanted(told: dict, outputs: Sequence[Port], binary: bool) -> list[tuple[str, bool]]:
    """Which outputs to answer with, and which of them in binary; without a wish, all."""
    names, found = [port.name for port in outputs], []
    for one in get(told, "outputs", list, []):
        if not isinstance(one, dict): raise Refused("an output is an object")
        name = get(one, "name", str)
        if name not in names:
            raise Refused(f"the model has no output {name[:50]!r}: it has {', '.join(names)}")
        parameters = checked(get(one, "parameters", dict, {}), {"binary_data": bool})
        found.append((name, parameters.get("binary_data", binary)))
    if len({name for name, _ in found}) < len(found): raise Refused("an output is asked for twice")
    return found or [(name, binary) for name in names]


def response_of(
    request: Request, name: str, version: str, outputs: Sequence[Port], arrays: Sequence,
) -> tuple[bytes, int | None]:
    """The body of an answer, and, if numbers follow as bytes, how long the JSON is."""
    found, behind, told = {port.name: (port, array) for port, array in zip(outputs, arrays)}, [], []
    for wish, binary in request.outputs:
        port, array = found[wish]
        data = to_bytes(array.astype(DATATYPES[port.datatype], copy=False)) if binary else listed(array, port)
        if binary: behind.append(data)
        told.append((port.name, port.datatype, array.shape, len(data) if binary else data))
    if request.id or len(behind) < len(told): head = answer_of(name, version, request.id, told)
    else: head = same_answer(name, version, tuple(told))
    return head + b"".join(behind), len(head) if behind else None


def answer_of(name: str, version: str, id: str, told: Sequence) -> bytes:
    """The JSON of an answer: each output with its numbers, or with how many bytes of them follow."""
    outputs = [{"name": name, "datatype": datatype, "shape": shape, **(
        {"data": said} if isinstance(said, list) else {"parameters": {"binary_data_size": said}})}
        for name, datatype, shape, said in told]
    return json.dumps({"model_name": name, "model_version": version, "outputs": outputs,
                       **({"id": id} if id else {})}, separators=(",", ":")).encode()


@lru_cache(256)
def same_answer(name: str, version: str, told: tuple) -> bytes:
    """Without an id and without numbers, an answer begins as the last one did."""
    return answer_of(name, version, "", told)


def listed(array, port: Port) -> list:
    """The numbers of an array, one after the other, for JSON."""
    if port.datatype == "BYTES": return [text.decode(errors="replace") for text in array.reshape(-1)]
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise Refused(f"{port.name} holds numbers that are not finite: ask for it in binary", 500)
    return array.reshape(-1).tolist()
