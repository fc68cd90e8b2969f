"""Pictures through grids, random pools, fused norms and an adaptive softmax, line by line against PyTorch."""
# ruff: noqa: E501      a line of the tables is a program

import numpy as np
import pytest

RANDOM = np.random.default_rng(1)
ARRAYS = {
    "p2": RANDOM.standard_normal((2, 3, 6, 5)), "g2": RANDOM.uniform(-1.6, 1.6, (2, 4, 3, 2)),
    "p3": RANDOM.standard_normal((2, 3, 4, 6, 5)), "g3": RANDOM.uniform(-1.6, 1.6, (2, 2, 3, 2, 3)),
    "th2": RANDOM.standard_normal((2, 2, 3)), "th3": RANDOM.standard_normal((2, 3, 4)),
    "u2": RANDOM.random((2, 3, 2)), "u3": RANDOM.random((2, 3, 3)),
    "w3": RANDOM.standard_normal((3, 3, 4)), "b4": RANDOM.standard_normal(4),
    "xa": RANDOM.standard_normal((6, 8)), "ya": np.array([0, 3, 4, 9, 19, 10]),
}


def names(t):
    return {**{name: t.tensor(array) for name, array in ARRAYS.items()},
            "F": t.nn.functional, "nn": t.nn, "U": t.nn.utils}


EVERY_WAY = [f"F.grid_sample({pictures}, '{mode}', '{outside}', {aligned})"
             for pictures in ("p2, g2", "p3, g3") for mode in ("bilinear", "nearest", "bicubic")
             for outside in ("zeros", "border", "reflection") for aligned in (True, False)]

GRIDS = """
F.grid_sample(p2, g2)
F.grid_sample(p2.float(), g2.float(), align_corners=False)
F.grid_sample(p2[:0], g2[:0], align_corners=False)
F.grid_sample(p2, g2[:, :0], align_corners=False)
F.grid_sample(p2[..., :1, :1], g2, 'bilinear', 'reflection', True)
F.grid_sample(p2[..., :1, :1], g2, 'bilinear', 'reflection', False)
F.grid_sample(p2[..., :1, :1], g2, 'bicubic', 'border', False)
F.grid_sample(p2, g3, align_corners=False)
F.grid_sample(p2, g2[:1], align_corners=False)
F.grid_sample(p2, g2.float(), align_corners=False)
F.grid_sample(p2[..., :0], g2, align_corners=False)
F.affine_grid(th2, (2, 3, 4, 5))
F.affine_grid(th2, (2, 3, 4, 5), True)
F.affine_grid(th2, t.Size((2, 3, 1, 5)), False)
F.affine_grid(th2.float(), [2, 3, 4, 1], align_corners=True)
F.affine_grid(th3, (2, 3, 2, 4, 5), False)
F.affine_grid(th3, (2, 3, 2, 4, 5), True)
F.affine_grid(th2, (2, 3, 2, 4, 5), False)
F.affine_grid(th2, (2, 3, 4), False)
F.affine_grid(th2, (2, 3, 0, 5), False)
F.affine_grid(th2.long(), (2, 3, 4, 5), False)
F.grid_sample(p2, g2, 'cubic', align_corners=False)
F.grid_sample(p2, g2, 'nearest', 'none', False)
F.grid_sample(p3, g3, 'bicubic', align_corners=False)
""".strip().splitlines()

POOLS = """
F.fractional_max_pool2d(p2, 2, (3, 4), _random_samples=u2)
F.fractional_max_pool2d(p2, (2, 3), output_ratio=(0.5, 0.6), _random_samples=u2)
F.fractional_max_pool2d(p2, 2, 3, return_indices=True, _random_samples=u2)
F.fractional_max_pool2d(p2[0], 2, 3, return_indices=True, _random_samples=u2[:1])
F.fractional_max_pool2d(p2, 2, 1, _random_samples=u2)
F.fractional_max_pool2d(p2, 2, 5, _random_samples=u2)
F.fractional_max_pool2d(p2, 2, 6, _random_samples=u2)
F.fractional_max_pool2d(p2[:0], 2, 3, _random_samples=u2[:0])
F.fractional_max_pool2d(p2, 2)
t.manual_seed(3); F.fractional_max_pool2d(p2.float(), 2, 3, return_indices=True)
F.fractional_max_pool3d(p3, 2, (2, 3, 3), return_indices=True, _random_samples=u3)
F.fractional_max_pool3d(p3, (1, 2, 2), output_ratio=(0.9, 0.6, 0.6), _random_samples=u3)
F.fractional_max_pool3d(p3[0], 2, 2, _random_samples=u3[:1])
t.manual_seed(3); nn.FractionalMaxPool3d(2, output_ratio=0.5)(p3)
t.manual_seed(3); nn.FractionalMaxPool2d(2, 3, return_indices=True)(p2)
nn.FractionalMaxPool2d(2, 3, _random_samples=u2)(p2)
nn.FractionalMaxPool2d(2)
nn.FractionalMaxPool2d(2, 3, 0.5)
nn.FractionalMaxPool2d(2, output_ratio=1.5)
nn.FractionalMaxPool2d(2, 3)
F.conv_tbc(t.ones(5, 2, 3).double().cumsum(0), w3, b4)
F.conv_tbc(t.ones(5, 2, 3).double().cumsum(0), w3, b4, 2)
F.conv_tbc(t.ones(5, 2).double(), w3, b4)
F.conv_tbc(t.ones(5, 2, 4).double(), w3, b4)
F.upsample(p2, scale_factor=2)
F.upsample(p2, (3, 3), mode='bilinear', align_corners=True)
F.upsample_nearest(p2, 7)
F.upsample_bilinear(p2, scale_factor=2)
""".strip().splitlines()

FUSED = """
t.manual_seed(0); a, bn = nn.Conv2d(3, 4, 2).double().eval(), nn.BatchNorm2d(4).double().eval(); bn.running_mean.copy_(b4.detach()); [*U.fuse_conv_bn_eval(a, bn).parameters()]
t.manual_seed(0); a, bn = nn.ConvTranspose2d(3, 4, 2, bias=False).double().eval(), nn.BatchNorm2d(4).double().eval(); bn.running_mean.copy_(b4.detach()); [*U.fuse_conv_bn_eval(a, bn, True).parameters()]
t.manual_seed(0); a, bn = nn.Linear(3, 4).double().eval(), nn.BatchNorm1d(4).double().eval(); bn.running_var.copy_(b4.detach().abs()); [*U.fuse_linear_bn_eval(a, bn).parameters()]
U.fuse_linear_bn_eval(nn.Linear(3, 4), nn.BatchNorm1d(4))
U.fuse_linear_bn_eval(nn.Linear(3, 4).eval(), nn.BatchNorm1d(3).eval())
U.fuse_conv_bn_eval(nn.Conv2d(3, 4, 2).eval(), nn.BatchNorm2d(4, track_running_stats=False).eval())
""".strip().splitlines()

RARE = """
t.manual_seed(0); nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10]).double()(xa, ya)[:2]
t.manual_seed(0); nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], 2.0, True).double()(xa, ya).loss
t.manual_seed(0); nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10]).double()(xa[0], ya[0])[:2]
t.manual_seed(0); nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10]).double().log_prob(xa)
t.manual_seed(0); nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10]).double().predict(xa)
t.manual_seed(0); nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10]).double()(xa, ya + 5)
t.manual_seed(0); nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10]).double()(xa, ya[:2])
t.manual_seed(0); nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10]).double()(xa, ya.reshape(-1, 1))
nn.AdaptiveLogSoftmaxWithLoss(8, 20, [])
nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 4])
nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 20])
nn.AdaptiveLogSoftmaxWithLoss(8, 20, [0, 4])
nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10])
list(nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10]).state_dict())
""".strip().splitlines()

GRADIENTS = [f"p2.requires_grad_(); g2.requires_grad_(); F.grid_sample(p2, g2, '{mode}', '{outside}', False).square().sum().backward(); [p2.grad, g2.grad]"
             for mode in ("bilinear", "bicubic") for outside in ("zeros", "border", "reflection")]
GRADIENTS += """
th2.requires_grad_(); F.affine_grid(th2, (2, 3, 4, 5), True).square().sum().backward(); th2.grad
p2.requires_grad_(); F.fractional_max_pool2d(p2, 2, 3, _random_samples=u2).square().sum().backward(); p2.grad
w3.requires_grad_(); F.conv_tbc(t.ones(5, 2, 3).double(), w3, b4, 1).square().sum().backward(); w3.grad
xa.requires_grad_(); t.manual_seed(0); nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], 2.0).double()(xa, ya).loss.backward(); xa.grad
""".strip().splitlines()


@pytest.mark.parametrize("line", [*EVERY_WAY, *GRIDS, *POOLS, *FUSED, *RARE, *GRADIENTS])
def test_a_line_means_the_same_in_both_libraries(agree_as_layers, line): agree_as_layers(line, names)


def test_a_fused_layer_does_what_both_did():
    import tinytorch as tt
    tt.manual_seed(0)
    conv, norm = tt.nn.Conv2d(3, 4, 2), tt.nn.BatchNorm2d(4)
    x = tt.randn(5, 3, 6, 6)
    norm(conv(x))                                           # it has seen something
    conv.eval(), norm.eval()
    one = tt.nn.utils.fuse_conv_bn_eval(conv, norm)
    np.testing.assert_allclose(one(x).detach().array, norm(conv(x)).detach().array, rtol=0, atol=1e-5)
    assert one.weight is not conv.weight, "the layers that were there stay as they are"


def test_an_adaptive_softmax_is_a_distribution():
    import tinytorch as tt
    layer = tt.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10]).double()
    chances = layer.log_prob(tt.tensor(ARRAYS["xa"])).exp().detach().array
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-12)
