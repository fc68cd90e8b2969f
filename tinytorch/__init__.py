# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""TinyTorch: a deep-learning framework, built lesson by lesson."""

from . import _reference  # refuses to stand in for a learner's own package
from . import _missing  # has a sentence for each name that is not here

# what these define is not handed on: they fill tables
from . import (
    receipts, journeys, overwriting, modes, rulebook, autograd, rules_numbers, rules_bends, rules_shaping,
    rules_places, rules_totals, rules_linalg, rules_dense, rules_normalization, rules_pooling,
    rules_convolution, rules_attention, rules_recurrent, saved, custom, grad_hooks, graph, switch, cuda,
)

from .pages import keep_pages
from .dtypes import (
    dtype, bool_ as bool, uint8, uint16, uint32, uint64, int8, int16, short, int32, int_ as int, int64, long,
    float16, half, float32, float_ as float, float64, double, get_default_dtype, set_default_dtype, finfo,
    iinfo, Size, device, set_default_device, get_default_device,
)
from .printing import set_printoptions
from .tensor import (
    Tensor, tensor, broadcast_shapes, promote_types, result_type, add, sub, mul, true_divide, neg, exp, log,
    sqrt, sum_ as sum, mean, var, matmul, transpose, permute, reshape, Op, Engine, Kept, pointwise, floating,
    sharing, using, current_engine, set_default_engine,
)
from .comparisons import eq, ne, lt, le, gt, ge, greater, greater_equal, less, less_equal, not_equal
from .creation import (
    zeros, ones, empty, full, empty_strided, scalar_tensor, eye, arange, linspace, logspace, bartlett_window,
    hann_window, hamming_window, blackman_window, kaiser_window, zeros_like, ones_like, empty_like, full_like,
    as_tensor, asarray, from_numpy, frombuffer, is_tensor, fill, fill_, zero_, is_nonzero, is_floating_point,
    is_complex, is_signed,
)
from .shaping import (
    cat, stack, concat, concatenate, atleast_1d, atleast_2d, atleast_3d, hstack, vstack, dstack, column_stack,
    row_stack, block_diag, split, unbind, chunk, split_with_sizes, tensor_split, hsplit, vsplit, dsplit,
    narrow, select, select_scatter, slice_scatter, diagonal_scatter, squeeze, unsqueeze, flatten, unflatten,
    ravel, movedim, t, adjoint, swapaxes, moveaxis, swapdims, broadcast_to, broadcast_tensors, tile,
    repeat_interleave, flip, roll, fliplr, flipud, rot90, diagonal, diag_embed, diag, diagflat, tril, triu,
    tril_indices, triu_indices, strided, as_strided, meshgrid, cartesian_prod, combinations, memory_format,
    preserve_format, contiguous_format, channels_last, clone, detach, can_cast, numel, is_same_size,
    get_device,
)
from .elementwise import (
    floor_divide, remainder, fmod, div, reciprocal, pow_ as pow, square, rsqrt, hypot, float_power,
    abs_ as abs, sign, sgn, signbit, copysign, positive, heaviside, exp2, expm1, log2, log10, log1p,
    logaddexp, logaddexp2, xlogy, logit, sin, cos, tan, asin, acos, atan, atan2, sinh, cosh, asinh, acosh,
    atanh, sinc, deg2rad, rad2deg, floor, ceil, trunc, frac, round_ as round, maximum, minimum, fmax, fmin,
    clamp, clamp_min, clamp_max, lerp, addcmul, addcdiv, rsub, erf, erfc, erfinv, lgamma, digamma, polygamma,
    isnan, isinf, isfinite, isposinf, isneginf, isreal, nan_to_num, isclose, allclose, equal, logical_and,
    logical_or, logical_xor, logical_not, bitwise_and, bitwise_or, bitwise_xor, bitwise_not,
    bitwise_left_shift, bitwise_right_shift, gcd, lcm, frexp, ldexp, nextafter, where, masked_fill, absolute,
    divide, multiply, subtract, negative, clip, fix, arcsin, arccos, arctan, arctan2, arcsinh, arccosh,
    arctanh,
)
from .indexing import (
    gather, index_select, take, take_along_dim, scatter, scatter_add, scatter_reduce, index_add, index_copy,
    index_fill, index_reduce, unravel_index, index_put, put, masked_select, masked_scatter, nonzero, argwhere,
    isin, sort, argsort, msort, topk, kthvalue, searchsorted, bucketize,
)
from .products import (
    mm, bmm, mv, dot, vdot, inner, outer, ger, addmm, addmv, addr, baddbmm, addbmm, einsum, tensordot, kron,
    trace, cross, cdist,
)
from .reductions import (
    norm, prod, amax, amin, argmax, argmin, max_ as max, min_ as min, aminmax, all_ as all, any_ as any,
    count_nonzero, std, var_mean, std_mean, dist, logsumexp, cumsum, cumprod, logcumsumexp, cummax, cummin,
    diff, trapezoid, cumulative_trapezoid, trapz, median, nanmedian, quantile, nanquantile, mode, nansum,
    nanmean, unique, unique_consecutive, bincount, histc, histogram, cov, corrcoef,
)
from .linalg import (
    det, slogdet, logdet, inverse, matrix_power, matrix_exp, cholesky, qr, cholesky_solve, cholesky_inverse,
    geqrf, orgqr, pinverse, chain_matmul, vander,
)
from .randomness import (
    Generator, default_generator, manual_seed, seed, initial_seed, get_rng_state, set_rng_state, rand, randn,
    randint, randperm, rand_like, randn_like, randint_like, normal, bernoulli, multinomial, poisson,
)
from .interchange import from_dlpack
from .shortfloat import bfloat16
from .errors import ShapeError
from .methods import method
from .activations import relu, sigmoid, tanh, softmax, log_softmax
from .bends import (
    selu, celu, prelu, rrelu, threshold, hardshrink, relu_, selu_, celu_, rrelu_, threshold_, sigmoid_, tanh_,
)
from .ledger import summary
from .dense import layer_norm
from .root_mean_square import rms_norm
from .likeness import bilinear, cosine_similarity, pairwise_distance, pdist
from .convolution import conv1d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from .spatial import conv2d, max_pool2d
from .pooling import max_pool1d, max_pool3d, avg_pool1d, adaptive_avg_pool1d, adaptive_max_pool1d
from .resampling import pixel_shuffle, pixel_unshuffle, channel_shuffle
from .recurrent import lstm_cell, gru_cell, rnn_tanh_cell, rnn_relu_cell
from .modes import no_grad, enable_grad, inference_mode, set_grad_enabled, is_grad_enabled
from .cuda import set_float32_matmul_precision, get_float32_matmul_precision

TYPE_CHECKING = False
if TYPE_CHECKING:           # each is imported when it is first used; editors see them here
    from . import amp, ao, autograd, backends, cuda, datasets, metrics, models, monitoring, nn, onnx, optim, profiler, quantization, random, registry, serve, tokenizers, transforms, utils
    from .setup import timed, Timing, peak_memory, matmul_flops, gemm_ceiling, bandwidth_ceiling
    from .version import show_versions
    from .anomaly import is_anomaly_enabled, is_anomaly_check_nan_enabled
    from .training import save, load
    from .precision import autocast, is_autocast_enabled, get_autocast_dtype
    from .quantized_tensors import (
        quantize_per_tensor, quantize_per_channel, quantize_per_tensor_dynamic, dequantize, int_repr, q_scale,
        q_zero_point, q_per_channel_scales, q_per_channel_zero_points, q_per_channel_axis, qint8, quint8, qint32,
        per_tensor_affine, per_tensor_symmetric, per_channel_affine, per_channel_symmetric,
    )
    from .straight_through import fake_quantize_per_tensor_affine, fake_quantize_per_channel_affine
    from .sparse_rows import sparse_csr_tensor
    from .benchmarking import Profiler, profiled, cost_of, in_turns, paired, percentile
    from .costs import cost, Cost

__version__ = "0.1.0"

__all__ = [
    "timed", "Timing", "peak_memory", "matmul_flops", "gemm_ceiling", "bandwidth_ceiling", "show_versions",
    "keep_pages", "dtype", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "short", "int32", "int64",
    "long", "float16", "half", "float32", "float64", "double", "get_default_dtype", "set_default_dtype",
    "finfo", "iinfo", "Size", "device", "set_default_device", "get_default_device", "set_printoptions",
    "Tensor", "tensor", "broadcast_shapes", "promote_types", "result_type", "add", "sub", "mul",
    "true_divide", "neg", "exp", "log", "sqrt", "mean", "var", "matmul", "transpose", "permute", "reshape",
    "eq", "ne", "lt", "le", "gt", "ge", "greater", "greater_equal", "less", "less_equal", "not_equal",
    "zeros", "ones", "empty", "full", "empty_strided", "scalar_tensor", "eye", "arange", "linspace",
    "logspace", "bartlett_window", "hann_window", "hamming_window", "blackman_window", "kaiser_window",
    "zeros_like", "ones_like", "empty_like", "full_like", "as_tensor", "asarray", "from_numpy", "frombuffer",
    "is_tensor", "fill", "fill_", "zero_", "is_nonzero", "is_floating_point", "is_complex", "is_signed",
    "cat", "stack", "concat", "concatenate", "atleast_1d", "atleast_2d", "atleast_3d", "hstack", "vstack",
    "dstack", "column_stack", "row_stack", "block_diag", "split", "unbind", "chunk", "split_with_sizes",
    "tensor_split", "hsplit", "vsplit", "dsplit", "narrow", "select", "select_scatter", "slice_scatter",
    "diagonal_scatter", "squeeze", "unsqueeze", "flatten", "unflatten", "ravel", "movedim", "t", "adjoint",
    "swapaxes", "moveaxis", "swapdims", "broadcast_to", "broadcast_tensors", "tile", "repeat_interleave",
    "flip", "roll", "fliplr", "flipud", "rot90", "diagonal", "diag_embed", "diag", "diagflat", "tril", "triu",
    "tril_indices", "triu_indices", "strided", "as_strided", "meshgrid", "cartesian_prod", "combinations",
    "memory_format", "preserve_format", "contiguous_format", "channels_last", "clone", "detach", "can_cast",
    "numel", "is_same_size", "get_device", "floor_divide", "remainder", "fmod", "div", "reciprocal", "square",
    "rsqrt", "hypot", "float_power", "sign", "sgn", "signbit", "copysign", "positive", "heaviside", "exp2",
    "expm1", "log2", "log10", "log1p", "logaddexp", "logaddexp2", "xlogy", "logit", "sin", "cos", "tan",
    "asin", "acos", "atan", "atan2", "sinh", "cosh", "asinh", "acosh", "atanh", "sinc", "deg2rad", "rad2deg",
    "floor", "ceil", "trunc", "frac", "maximum", "minimum", "fmax", "fmin", "clamp", "clamp_min", "clamp_max",
    "lerp", "addcmul", "addcdiv", "rsub", "erf", "erfc", "erfinv", "lgamma", "digamma", "polygamma", "isnan",
    "isinf", "isfinite", "isposinf", "isneginf", "isreal", "nan_to_num", "isclose", "allclose", "equal",
    "logical_and", "logical_or", "logical_xor", "logical_not", "bitwise_and", "bitwise_or", "bitwise_xor",
    "bitwise_not", "bitwise_left_shift", "bitwise_right_shift", "gcd", "lcm", "frexp", "ldexp", "nextafter",
    "where", "masked_fill", "absolute", "divide", "multiply", "subtract", "negative", "clip", "fix", "arcsin",
    "arccos", "arctan", "arctan2", "arcsinh", "arccosh", "arctanh", "gather", "index_select", "take",
    "take_along_dim", "scatter", "scatter_add", "scatter_reduce", "index_add", "index_copy", "index_fill",
    "index_reduce", "unravel_index", "index_put", "put", "masked_select", "masked_scatter", "nonzero",
    "argwhere", "isin", "sort", "argsort", "msort", "topk", "kthvalue", "searchsorted", "bucketize", "mm",
    "bmm", "mv", "dot", "vdot", "inner", "outer", "ger", "addmm", "addmv", "addr", "baddbmm", "addbmm",
    "einsum", "tensordot", "kron", "trace", "cross", "cdist", "norm", "det", "slogdet", "logdet", "inverse",
    "matrix_power", "matrix_exp", "cholesky", "qr", "cholesky_solve", "cholesky_inverse", "geqrf", "orgqr",
    "pinverse", "chain_matmul", "vander", "prod", "amax", "amin", "argmax", "argmin", "aminmax",
    "count_nonzero", "std", "var_mean", "std_mean", "dist", "logsumexp", "cumsum", "cumprod", "logcumsumexp",
    "cummax", "cummin", "diff", "trapezoid", "cumulative_trapezoid", "trapz", "median", "nanmedian",
    "quantile", "nanquantile", "mode", "nansum", "nanmean", "unique", "unique_consecutive", "bincount",
    "histc", "histogram", "cov", "corrcoef", "Generator", "default_generator", "manual_seed", "seed",
    "initial_seed", "get_rng_state", "set_rng_state", "rand", "randn", "randint", "randperm", "rand_like",
    "randn_like", "randint_like", "normal", "bernoulli", "multinomial", "poisson", "from_dlpack", "bfloat16",
    "Op", "Engine", "Kept", "ShapeError", "pointwise", "floating", "sharing", "method", "using",
    "current_engine", "set_default_engine", "relu", "sigmoid", "tanh", "softmax", "log_softmax", "selu",
    "celu", "prelu", "rrelu", "threshold", "hardshrink", "relu_", "selu_", "celu_", "rrelu_", "threshold_",
    "sigmoid_", "tanh_", "summary", "layer_norm", "rms_norm", "bilinear", "cosine_similarity",
    "pairwise_distance", "pdist", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "adaptive_avg_pool1d",
    "adaptive_max_pool1d", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "lstm_cell", "gru_cell",
    "rnn_tanh_cell", "rnn_relu_cell", "no_grad", "enable_grad", "inference_mode", "set_grad_enabled",
    "is_grad_enabled", "is_anomaly_enabled", "is_anomaly_check_nan_enabled", "save", "load", "autocast",
    "is_autocast_enabled", "get_autocast_dtype", "quantize_per_tensor", "quantize_per_channel",
    "quantize_per_tensor_dynamic", "dequantize", "int_repr", "q_scale", "q_zero_point",
    "q_per_channel_scales", "q_per_channel_zero_points", "q_per_channel_axis", "qint8", "quint8", "qint32",
    "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric",
    "fake_quantize_per_tensor_affine", "fake_quantize_per_channel_affine", "sparse_csr_tensor",
    "set_float32_matmul_precision", "get_float32_matmul_precision", "Profiler", "profiled", "cost", "cost_of",
    "Cost", "in_turns", "paired", "percentile",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [
    *__all__, "bool", "int", "float", "sum", "pow", "abs", "round", "max", "min", "all", "any", "amp", "ao",
    "autograd", "backends", "cuda", "datasets", "metrics", "models", "monitoring", "nn", "onnx", "optim",
    "profiler", "quantization", "random", "registry", "serve", "tokenizers", "transforms", "utils",
    "__version__",
]
