"""CUDA sources without a GPU: compiled by NVRTC for real ones, and run on the CPU for their numbers.

`RawModule` and `ElementwiseKernel` stand for CuPy's: a C++ compiler turns the same source into a library of
this machine (cuda_host.hpp says what its words mean here), and a launch runs it on the stand-in's memory.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from tests.stand_in import Array

HEADER = Path(__file__).with_name("cuda_host.hpp")
COMPILER = shutil.which("g++") or shutil.which("clang++")
SIGNATURE = re.compile(r'extern "C" __global__ void (\w+)\(([^)]*)\)')
POINTERS = {"float": np.float32, "long long": np.int64, "int": np.int32}
LAUNCHER = """
extern "C" void run_{name}(const unsigned *grid, const unsigned *block, void **given) {{
    launch(grid, block, [=] {{ {name}({given}); }});
}}
"""


def parameters(text: str) -> list[str]:
    """The types of a kernel's parameters."""
    text = re.sub(r"\s+", " ", text)
    return [re.sub(r"\b\w+$", "", part.strip()).replace("const ", "").strip() for part in text.split(",")]


def expanded(source: str) -> str:
    """The source with its macros for parameters written out: what RawModule has to read signatures from."""
    for name, text in re.findall(r"#define (WALKS) (.*)", source):
        source = re.sub(rf",\s*{name}\)", f", {text})", source)
    return source


def library(source: str):
    """The source as a library of this machine."""
    kernels = {name: parameters(given) for name, given in SIGNATURE.findall(expanded(source))}
    calls = [LAUNCHER.format(name=name, given=", ".join(
        [f"*({kind} *)given[{n}]" for n, kind in enumerate(kinds)])) for name, kinds in kernels.items()]
    text = f'#include "{HEADER}"\n{source}\n' + "\n".join(calls)
    folder = Path(tempfile.gettempdir()) / "tinytorch-cuda-on-cpu"
    folder.mkdir(exist_ok=True)
    made = folder / f"{hashlib.sha256((text + HEADER.read_text()).encode()).hexdigest()[:24]}.so"
    if not made.exists():
        half = made.with_suffix(f".{id(text)}")
        flags = ["-std=c++20", "-O1", "-shared", "-fPIC", "-x", "c++", "-", "-o"]
        told = subprocess.run([COMPILER, *flags, half], input=text, text=True, capture_output=True)
        if told.returncode: raise RuntimeError(told.stderr)
        half.replace(made)
    return ctypes.CDLL(str(made)), kernels


class RawModule:
    """Kernels of a source, run on the CPU."""

    def __init__(self, code: str): self.library, self.kernels = library(code)

    def get_function(self, name: str):
        kinds = self.kernels[name]

        def launch(grid: tuple, block: tuple, given: tuple) -> None:
            assert len(given) == len(kinds), f"{name} takes {len(kinds)} arguments, {len(given)} were given"
            assert np.prod(block) <= 1024 and max(grid[1:]) < 65536, f"no GPU takes {grid}, {block}"
            kept = [passed(kind, x) for kind, x in zip(kinds, given)]
            addresses = (ctypes.c_void_p * len(kept))(*[ctypes.addressof(x) for x in kept])
            triple = ctypes.c_uint * 3
            getattr(self.library, f"run_{name}")(triple(*grid), triple(*block), addresses)
        return launch


def passed(kind: str, x):
    """An argument as the kernel wants it; complains about one of another kind, which a GPU would misread."""
    if kind.endswith("*"):
        if isinstance(x, np.uint64) and x == 0: return ctypes.c_void_p(0)
        wanted = POINTERS[kind.rstrip(" *")]
        assert isinstance(x, Array) and x.dtype == wanted, f"{kind} is given {getattr(x, 'dtype', type(x))}"
        return ctypes.c_void_p(x.held.ctypes.data)
    assert isinstance(x, (np.generic, bool)), f"{kind} is given {x!r}, whose width nobody said"
    wanted = {**POINTERS, "bool": np.bool_}[kind]
    assert np.asarray(x).dtype == wanted, f"{kind} is given {np.asarray(x).dtype}"
    return np.ctypeslib.as_ctypes_type(wanted)(x.item() if isinstance(x, np.generic) else x)


WIDTHS = {"float32": "float", "int32": "int", "int64": "long long", "bool": "bool", "T": "float"}


class ElementwiseKernel:
    """A formula for each number, run on the CPU; for float32."""

    def __init__(self, in_params: str, out_params: str, operation: str, name: str, preamble: str = ""):
        self.given, self.made = [[tuple(part.split()) for part in text.split(",")]
                                 for text in (in_params, out_params)]
        self.code, self.name = elementwise_source(self.given, self.made, operation, name, preamble), name

    def __call__(self, *args):
        inputs, outputs = args[: len(self.given)], list(args[len(self.given) :])
        arrays = [x for x in args if isinstance(x, Array)]
        assert {x.dtype for x in arrays} == {np.dtype(np.float32)}, f"{self.name} is tried in float32 here"
        shape = np.broadcast_shapes(*[x.shape for x in arrays])
        if not outputs: outputs = [Array(np.empty(shape, np.float32)) for _ in self.made]
        flat = []
        for (kind, _), x in zip(self.given, inputs):
            flat.append(Array(np.ascontiguousarray(np.broadcast_to(x.held, shape))) if kind == "T"
                        else np.dtype(kind).type(x))
        results = [np.ascontiguousarray(x.held) for x in outputs]
        count = int(np.prod(shape))
        RawModule(self.code).get_function(self.name)(
            (-(-count // 64), 1, 1), (64, 1, 1), (*flat, *[Array(x) for x in results], np.int64(count)))
        for x, result in zip(outputs, results): x.held[...] = result
        return outputs[0] if len(outputs) == 1 else tuple(outputs)


def elementwise_source(given, made, operation: str, name: str, preamble: str) -> str:
    """What CuPy makes of a formula, by and large: a thread for each number."""
    arrays = [(kind, n) for kind, n in given if kind == "T"] + made
    text = ", ".join([f"const float *{n}_" if kind == "T" else f"{WIDTHS[kind]} {n}" for kind, n in given]
                     + [f"float *{n}_" for _, n in made] + ["long long all"])
    names = "".join([f"{'const ' if (k, n) in given else ''}float &{n} = {n}_[i];\n" for k, n in arrays])
    return f"""{preamble}
extern "C" __global__ void {name}({text}) {{
    const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= all) return;
    {names}{operation};
}}
"""


class NVRTC:
    """The compiler that CuPy uses on a GPU, from the wheel `nvidia-cuda-nvrtc`; it needs no GPU itself."""

    def __init__(self):
        spec = importlib.util.find_spec("nvidia")
        places = [] if spec is None else spec.submodule_search_locations
        found = [path for place in places for path in Path(place).rglob("libnvrtc.so.*")]
        self.missing = "" if found else "NVRTC is not installed: pip install nvidia-cuda-nvrtc"
        if found:
            self.c = ctypes.CDLL(str(sorted(found)[-1]))
            self.c.nvrtcGetErrorString.restype = ctypes.c_char_p

    def cubin(self, source: str, arch: str) -> bytes:
        """Machine code for a GPU such as "sm_80"; RuntimeError with what the compiler says."""
        program, size = ctypes.c_void_p(), ctypes.c_size_t()
        assert self.c.nvrtcCreateProgram(ctypes.byref(program), source.encode(), b"k.cu", 0, None, None) == 0
        options = (ctypes.c_char_p * 3)(f"-arch={arch}".encode(), b"--std=c++17", b"-Werror=all-warnings")
        failed = self.c.nvrtcCompileProgram(program, len(options), options)
        text = self.fetched(program, size, self.c.nvrtcGetProgramLogSize, self.c.nvrtcGetProgramLog)
        if failed: raise RuntimeError(text.decode(errors="replace"))
        code = self.fetched(program, size, self.c.nvrtcGetCUBINSize, self.c.nvrtcGetCUBIN)
        self.c.nvrtcDestroyProgram(ctypes.byref(program))
        return code

    def fetched(self, program, size, ask, fetch) -> bytes:
        ask(program, ctypes.byref(size))
        room = ctypes.create_string_buffer(size.value)
        fetch(program, room)
        return room.raw
