"""Batch, group, instance and local response norm against PyTorch: values, running statistics, errors."""
# ruff: noqa: E501      a line of the tables is a program

import numpy as np
import pytest

import tinytorch

pytestmark = pytest.mark.usefixtures("each_choice")

RANDOM = np.random.default_rng(2)
SHAPES = {1: (3, 6, 5), 2: (4, 6, 5, 3), 3: (2, 6, 3, 2, 4)}
ARRAYS = {f"x{n}": RANDOM.normal(2, 3, shape) for n, shape in SHAPES.items()}
ARRAYS |= {"flat": RANDOM.normal(1, 2, (7, 6)), "w": RANDOM.standard_normal(6), "b": RANDOM.standard_normal(6),
           "m": RANDOM.standard_normal(6), "v": RANDOM.random(6) + 0.5, "far": RANDOM.normal(1000, 1, (8, 6, 4, 4))}


def names(t): return {**{k: t.tensor(v) for k, v in ARRAYS.items()}, "F": t.nn.functional, "nn": t.nn}


EACH = """
F.batch_norm({x}, m, v)
F.batch_norm({x}, m, v, w, b)
F.batch_norm({x}, m, v, w, b, eps=0.1)
F.batch_norm({x}, None, None, training=True)
F.batch_norm({x}, None, None, w, b, True)
F.batch_norm({x}, m, v, w, b, True); [m, v]
F.batch_norm({x}, m, v, w, b, True, 0.7, 1e-3); [m, v]
F.batch_norm({x}.float(), None, None, w.float(), b.float(), True)
F.group_norm({x}, 1)
F.group_norm({x}, 2, w, b)
F.group_norm({x}, 3, w)
F.group_norm({x}, 6, None, b, 0.1)
F.group_norm({x}.float(), 3, w.float(), b.float())
F.group_norm({x}, 4)
F.group_norm({x}, 2, w[:3])
F.batch_norm({x}, m[:2], v)
F.batch_norm({x}, m, v, w[:2])
F.batch_norm({x}[:0], m, v)
F.group_norm({x}[:0], 2)
F.group_norm({x}[:1], 2, w, b)
nn.GroupNorm(2, 6).double()({x})
nn.GroupNorm(2, 6, affine=False)({x})
"""

MODULES = """
nn.BatchNorm{n}d(6)
nn.BatchNorm{n}d(6, 1e-3, None, False, False)
list(nn.BatchNorm{n}d(6).state_dict())
list(nn.BatchNorm{n}d(6, affine=False).state_dict())
list(nn.BatchNorm{n}d(6, track_running_stats=False).state_dict())
k = nn.BatchNorm{n}d(6).double(); k(x{n}); k(x{n} + 1); [k(x{n}), k.running_mean, k.running_var, k.num_batches_tracked]
k = nn.BatchNorm{n}d(6, momentum=None).double(); k(x{n}); k(x{n} + 1); [k.running_mean, k.running_var]
k = nn.BatchNorm{n}d(6).double(); k(x{n}); k.eval(); [k(x{n}), k.running_mean, k.num_batches_tracked]
k = nn.BatchNorm{n}d(6, track_running_stats=False).double().eval(); k(x{n})
k = nn.BatchNorm{n}d(6, affine=False).double(); k(x{n})
k = nn.BatchNorm{n}d(6).double(); k(x{n}); k.reset_running_stats(); [k.running_mean, k.running_var, k.num_batches_tracked]
nn.BatchNorm{n}d(6)(flat[0])
nn.InstanceNorm{n}d(6)
nn.InstanceNorm{n}d(6, 1e-3, 0.2, True, True)
nn.InstanceNorm{n}d(6)(x{n})
nn.InstanceNorm{n}d(6)(x{n}[0])
nn.InstanceNorm{n}d(6, affine=True).double()(x{n})
k = nn.InstanceNorm{n}d(6, track_running_stats=True).double(); k(x{n}); [k.running_mean, k.running_var, k.num_batches_tracked]
k = nn.InstanceNorm{n}d(6, track_running_stats=True).double(); k(x{n}); k.eval()(x{n})
nn.InstanceNorm{n}d(6)(flat[0])
nn.InstanceNorm{n}d(5, affine=True)(x{n}.float())
F.instance_norm(x{n})
F.instance_norm(x{n}, weight=w, bias=b, eps=0.1)
F.instance_norm(x{n}, m, v, w, b, True, 0.3); [m, v]
F.instance_norm(x{n}, m, v, w, b, False)
F.local_response_norm(x{n}, 3)
F.local_response_norm(x{n}, 2, 0.1, 0.5, 2.0)
F.local_response_norm(x{n}, 5, alpha=1.0)
nn.LocalResponseNorm(4, 0.5)(x{n})
"""

SINGLE = """
k = nn.BatchNorm1d(6).double(); [k(flat), k.running_mean, k.running_var]
nn.BatchNorm1d(6).double().eval()(flat)
nn.BatchNorm2d(6)(x1)
nn.BatchNorm1d(6)(x2)
nn.BatchNorm1d(6).double()(flat[:1])
F.batch_norm(flat[:1], None, None, training=True)
F.instance_norm(x1[:, :, :1])
F.local_response_norm(flat, 2)
nn.GroupNorm(4, 6)
nn.GroupNorm(3, 6)
nn.GroupNorm(3, 6, 0.1, False)
nn.GroupNorm(6, 6)(flat[:1])
list(nn.GroupNorm(3, 6).state_dict())
nn.LocalResponseNorm(4)
F.batch_norm(x2.transpose(2, 3), m, v, w, b)
F.batch_norm(flat, m, v)
"""

LINES = [line.format(x=x) for x in ("flat", "x1", "x2", "x3") for line in EACH.strip().splitlines()]
LINES += [line.format(n=n) for n in SHAPES for line in MODULES.strip().splitlines()] + SINGLE.strip().splitlines()


@pytest.mark.parametrize("line", LINES)
def test_norms_agree(agree_as_layers, line):
    agree_as_layers(line, names)


def test_far_from_zero_it_is_as_near_the_truth_as_pytorch():
    """Of numbers around 1000 a float32 has lost three digits before anything is computed."""
    torch = pytest.importorskip("torch")
    far = torch.tensor(ARRAYS["far"]).float()
    truth = torch.nn.functional.batch_norm(far.double(), None, None, training=True).numpy()
    theirs = torch.nn.functional.batch_norm(far, None, None, training=True).numpy()
    ours = tinytorch.nn.functional.batch_norm(tinytorch.tensor(far.numpy()), None, None, training=True).array
    assert abs(ours - truth).max() <= max(2 * abs(theirs - truth).max(), 1e-5 * abs(truth).max())
