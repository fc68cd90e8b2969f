# %% [markdown]
# # Appendix: C in strings
#
# A kernel in C is a few lines in a string. This file makes a library of such lines: the system's compiler
# turns them into a file the first time that one of the functions is called, the file is kept, and the next
# process finds it. Nothing is compiled when `tinytorch` is imported, and where there is no compiler nothing
# breaks: whoever asks is told, and computes with NumPy.

# %%
#| export
"""C that is compiled when it is first called, kept on disk, and called with NumPy's arrays."""

# %%
#| export
from __future__ import annotations

import os
import re
import sys
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

# %% [markdown]
# ## What an array looks like from below
#
# To Python an array is an object. To C it is a struct, and NumPy documents its first fields: where the
# numbers are, how many dimensions they have, and their lengths and strides in bytes. So a function may be
# handed the array as it is. That is a good deal quicker than asking each for its address in Python and
# handing that over.
#
# `KERNEL` marks the functions that Python may call. The rest of this header is arithmetic that C's own
# library has, but one number at a time. `expf` of C cannot be done for sixteen numbers at once, as it sets
# error codes and branches; this one has no branch that a vector could not take. It is right to the last
# digit or two, nan stays nan, infinity comes out where it should, and results below 1e-38 become 0.

# %%
#| export
HEADER = r"""
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {                            // the beginning of NumPy's PyArrayObject
    char head[HEAD];                        // what every Python object begins with
    void *data;
    int ndim;
    intptr_t *shape, *strides;              // strides are in bytes
} array;

#ifdef _WIN32
#define KERNEL __declspec(dllexport)
#else
#define KERNEL __attribute__((visibility("default")))
#endif
#define FLOATS(x) ((float *)(x)->data)
#define INTS(x) ((int64_t *)(x)->data)
#define SIMD(...) _Pragma(STRING(omp simd __VA_ARGS__))     // the loop below may be done in vectors
#define STRING(...) #__VA_ARGS__
#ifdef __FMA__
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#elif defined(__ARM_FEATURE_FMA)
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif

static inline int64_t count(const array *x) {
    int64_t n = 1;
    for (int d = 0; d < x->ndim; d++) n *= x->shape[d];
    return n;
}

static inline float exp_(float x) {
    float t = FMA(x, 1.44269504f, 12582912.0f);         // 1.5 * 2^23: so large that what follows the point
    t = t > 12583039.0f ? 12583039.0f : t;              // is rounded off; n is at most 127
    float n = t - 12582912.0f;                          // e^x = 2^n e^r, and |r| < 0.35, but for the last n
    float r = FMA(n, -0.693359375f, x);
    r = FMA(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;                         // Cephes' polynomial
    p = FMA(p, r, 1.3981999507e-3f);
    p = FMA(p, r, 8.3334519073e-3f);
    p = FMA(p, r, 4.1665795894e-2f);
    p = FMA(p, r, 1.6666665459e-1f);
    p = FMA(p, r, 5.0000001201e-1f);
    p = FMA(p, r, 1.0f);
    p = FMA(p, r, 1.0f);
    union { float f; uint32_t i; } power = {p}, whole = {t};
    power.i += whole.i << 23;                           // n more in the exponent: times 2^n
    p = x < -87.0f ? 0.0f : power.f;                    // whatever came out for those far away
    return x <= 88.7228f ? p : x * INFINITY;            // endless above that, and nan of nan
}

static inline float sigmoid_(float x) { return 1.0f / (1.0f + exp_(-x)); }

static inline float tanh_(float x) {
    float a = fabsf(x), z = x * x, far = 1.0f - 2.0f / (1.0f + exp_(2.0f * a));
    float p = -5.70498872745e-3f;                       // near 0 the digits of 1 - 2 / 2 would be lost
    p = FMA(p, z, 2.06390887954e-2f);
    p = FMA(p, z, -5.37397155531e-2f);
    p = FMA(p, z, 1.33314422036e-1f);
    p = FMA(p, z, -3.33332819422e-1f);
    return a < 0.625f ? FMA(p * z, x, x) : copysignf(far, x);
}

static inline float erf_(float x) {                     // a quotient of two polynomials, right to 3e-7
    float y = x > 3.832507f ? 3.832507f : x;
    y = y < -3.832507f ? -3.832507f : y;
    float z = y * y, p = 2.2905065861e-4f, q = -1.1791602954e-7f;
    p = FMA(p, z, 3.4082910107e-3f);
    p = FMA(p, z, 5.0955695062e-2f);
    p = FMA(p, z, 1.8520832240e-1f);
    p = FMA(p, z, 1.1283791435e+0f);
    q = FMA(q, z, 2.3547966471e-5f);
    q = FMA(q, z, 1.0179625278e-3f);
    q = FMA(q, z, 1.4070470171e-2f);
    q = FMA(q, z, 1.1098505178e-1f);
    q = FMA(q, z, 4.9746925110e-1f);
    q = FMA(q, z, 1.0f);
    return fabsf(x) >= 3.832507f ? copysignf(1.0f, x) : y * p / q;      // not nearly 1: gelu multiplies by x
}
"""

# %% [markdown]
# ## With which words the compiler is asked
#
# `-O3` unrolls loops and does them in vectors, `-march=native` may use all that this processor has, and
# `-fopenmp-simd` believes us where we say that a sum may be added up in any order. The famous `-ffast-math`
# is not among the words: it lets the compiler assume that there is no nan and no infinity, and then a loss
# that has gone to nan looks like any other. Of what it stands for, two harmless things are asked for: no
# error codes, and no care for traps.

# %%
#| export
WORDS = ("-O3", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast",
         "-shared", "-fPIC", "-fvisibility=hidden", "-Werror=implicit-function-declaration")
NATIVE = (("-march=native", "-mprefer-vector-width=512"), ("-march=native",), ("-mcpu=native",), ())


class NoCompiler(RuntimeError):
    """There is none, or it would not compile."""


@cache
def compiler() -> str | None:
    """The path of the system's C compiler, if it has one: $CC, cc, gcc or clang."""
    names = [os.environ["CC"]] if os.environ.get("CC") else ["cc", "gcc", "clang"]
    folders = os.environ.get("PATH", "").split(os.pathsep)
    places = [os.path.join(folder, name) for name in names for folder in folders]       # noqa: PTH118
    return next((place for place in places if os.access(place, os.X_OK)), None)


@cache
def processor() -> str:
    """What this processor is and can do, in words that change when it does."""
    from platform import machine
    try: lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError: lines = []
    able = [line for line in lines if line.lower().startswith(("flags", "features"))]
    return f"{machine()} {able[0] if able else ''}"


def cache_folder() -> Path:
    """Where this system keeps what can be made again; $TINYTORCH_CACHE says another place."""
    if os.environ.get("TINYTORCH_CACHE"): return Path(os.environ["TINYTORCH_CACHE"])
    home = Path.home()
    if sys.platform == "darwin": base = home / "Library" / "Caches"
    elif sys.platform == "win32": base = Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
    else: base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "tinytorch"

# %% [markdown]
# ## A library
#
# The file is named by a digest of everything that it depends on: the source, the compiler, its words, the
# processor. A change of any of them is another file, and an old one is never mistaken for a new one. It is
# written beside its place and then moved there, which happens at once or not at all: two processes that
# compile at the same time do not see each other's half.

# %%
#| export
SIGNATURE = re.compile(r"^KERNEL\s+(\w+)\s+(\w+)\s*\(([^)]*)\)", re.MULTILINE)


class Library:
    """Functions in C, compiled when one of them is first asked for; `library.f(x, n)` calls one."""

    _failed = None                          # why it could not be compiled

    def __init__(self, name: str, source: str, header: str = HEADER):
        self._name, self._source = name, header + source

    @cached_property
    def _signatures(self) -> dict[str, tuple[str, str]]:
        """Of each function that may be called: what it returns, and what it takes."""
        return {f: (result, arguments) for result, f, arguments in SIGNATURE.findall(self._source)}

    def __getattr__(self, f: str):
        if f.startswith("_") or f not in self._signatures: raise AttributeError(f"{self._name} has no {f}")
        if self._failed is not None: raise self._failed
        import ctypes
        try: library = ctypes.CDLL(str(self._file()))
        except (NoCompiler, OSError) as error:
            self._failed = NoCompiler(str(error))
            print(f"tinytorch: {self._name} runs in NumPy: {error}", file=sys.stderr)
            raise self._failed from None
        for name, (result, arguments) in self._signatures.items():
            function = getattr(library, name)
            function.argtypes = [c_type(ctypes, argument) for argument in arguments.split(",")]
            function.restype = None if result == "void" else c_type(ctypes, result)
            setattr(self, name, function)               # so that it is asked for once
        return getattr(self, f)

    def __dir__(self): return list(self._signatures)

    def load(self) -> None:
        """Has it compiled now, if it was not."""
        for f in self._signatures: getattr(self, f)

    def _file(self) -> Path:
        """The compiled library: one that came ready, or one made for this processor, now if not before."""
        machine, *able = processor().split()
        for level in LEVELS if READY.is_dir() else ():
            path = READY / ready_name(self._name, self._source, level)
            if machine in level.machines and {*level.able} <= {*able} and path.exists(): return path
        cc = compiler()
        if cc is None: raise NoCompiler("there is no C compiler here: neither cc, gcc nor clang")
        stat = Path(cc).resolve().stat()
        told = repr((self._source, cc, stat.st_size, stat.st_mtime, WORDS, NATIVE, processor(), HEAD))
        path = cache_folder() / f"{self._name}-{digest(told)}.so"
        if not path.exists(): build(cc, self._name, self._source, path)
        return path


HEAD = object.__basicsize__                 # 16 bytes: a count of references, and a type

# %% [markdown]
# A wheel for one platform may bring libraries that are ready, in a folder beside this file. They cannot be
# made for the processor at hand, so there is one for each **level** of what processors can do, and the first
# that this one reaches is taken. They are named by a digest, too: those of another source are not found.

# %%
#| export
READY = Path(__file__).with_name("ready")


class Level(NamedTuple):
    """Processors of one kind that can do all of this, and the words with which a compiler uses it."""

    name: str
    machines: tuple[str, ...]
    able: tuple[str, ...]
    words: tuple[str, ...]


LEVELS = (
    Level("v4", ("x86_64", "AMD64"), ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
          ("-march=x86-64-v4", "-mprefer-vector-width=512")),
    Level("v3", ("x86_64", "AMD64"), ("avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"), ("-march=x86-64-v3",)),
    Level("v8", ("aarch64", "arm64"), (), ("-march=armv8-a",)),
)


def ready_name(name: str, source: str, level: Level) -> str:
    return f"{name}-{level.name}-{digest(repr((source, WORDS, level.words, HEAD)))}.so"


def digest(text: str) -> str:
    from hashlib import sha256
    return sha256(text.encode()).hexdigest()[:16]


def c_type(ctypes, argument: str):
    """ctypes' word for the type in `array *x`, `int64_t n`, `float f`."""
    word = argument.replace("const", "").split()[0].rstrip("*")
    return {"array": ctypes.py_object, "int64_t": ctypes.c_int64, "int": ctypes.c_int,
            "float": ctypes.c_float, "double": ctypes.c_double}[word]


def build(cc: str, name: str, source: str, path: Path, natives=NATIVE) -> None:
    """Compiles, and says so, because it takes a moment."""
    import subprocess
    from tempfile import TemporaryDirectory
    from time import perf_counter
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    start = perf_counter()
    with TemporaryDirectory(dir=path.parent) as folder:
        written, made = Path(folder) / f"{name}.c", Path(folder) / f"{name}.so"
        written.write_text(source, "utf-8")
        for native in natives:
            words = [cc, *WORDS, *native, f"-DHEAD={HEAD}", str(written), "-o", str(made), "-lm"]
            ran = subprocess.run(words, capture_output=True, text=True, check=False)
            if ran.returncode == 0: break
        else: raise NoCompiler(f"{cc} would not compile {name}:\n{ran.stderr.strip()}")
        made.replace(path)                                  # at once, or not at all
    print(f"tinytorch: {name} compiled in {perf_counter() - start:.1f} s, once: {path}", file=sys.stderr)


def compiled(source: str, name: str = "yours") -> Library:
    """The functions that are marked KERNEL in C source, ready to be called.

    NoCompiler if there is none, or if it has something to say about the source.
    """
    library = Library(name, source)
    library.load()
    return library

# %% [markdown]
# ## What a kernel wants
#
# Floats of 32 bits, laid out in order, in NumPy's own arrays.

# %%
#| export
FLOAT32 = np.dtype(np.float32)


def plain(*arrays) -> bool:
    """Whether all of these are arrays of NumPy, of float32, without gaps and in order."""
    for x in arrays:
        if type(x) is not np.ndarray or not x.flags.c_contiguous: return False
        if x.dtype is not FLOAT32 and x.dtype != FLOAT32: return False      # a pickled one is another object
    return True


def ordered(x):
    """The array itself if it lies in order, else a copy that does; single numbers of NumPy become arrays."""
    return x if type(x) is np.ndarray and x.flags.c_contiguous else np.asarray(x, order="C")


NOTHING = np.empty(0, np.float32)           # stands for an array that is not there


def perhaps(x): return NOTHING if x is None else x
