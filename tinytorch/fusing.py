# Generated from modules/06_spatial/appendix_fusing.py by `tito export`. Edit that file, not this one.
"""Batch norm merged into the layer in front of it."""

from __future__ import annotations

from copy import deepcopy

from .creation import ones_like, zeros_like
from .elementwise import rsqrt
from .layers import Module, Parameter

__all__ = [
    "fuse_conv_bn_weights", "fuse_linear_bn_weights", "fused", "fuse_conv_bn_eval", "fuse_linear_bn_eval",
]


def fuse_conv_bn_weights(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, transpose: bool = False):
    """The weights and the bias of a convolution that does what a batch norm did behind it."""
    conv_b = zeros_like(bn_rm) if conv_b is None else conv_b
    scale = (ones_like(bn_rm) if bn_w is None else bn_w) * rsqrt(bn_rv + bn_eps)
    shift = zeros_like(bn_rm) if bn_b is None else bn_b
    by_output = [-1 if d == int(transpose) else 1 for d in range(conv_w.ndim)]
    fused = conv_w * scale.reshape(by_output), (conv_b - bn_rm) * scale + shift
    return tuple([Parameter(x.detach().to(old.dtype), old.requires_grad)
                  for x, old in zip(fused, (conv_w, conv_b))])


def fuse_linear_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b):
    """The weights and the bias of a linear layer that does what a batch norm did behind it."""
    return fuse_conv_bn_weights(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b)


def fused(layer: Module, bn: Module, *transpose) -> Module:
    """A copy of a layer that does what both did."""
    if layer.training or bn.training:
        raise AssertionError("a batch norm that still learns is no scale and shift: call eval() first")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("this batch norm keeps no running mean and variance to merge")
    made = deepcopy(layer)
    made.weight, made.bias = fuse_conv_bn_weights(layer.weight, layer.bias, bn.running_mean, bn.running_var,
                                                  bn.eps, bn.weight, bn.bias, *transpose)
    return made


def fuse_conv_bn_eval(conv: Module, bn: Module, transpose: bool = False) -> Module:
    """One convolution in place of a convolution and a batch norm, which no longer learn."""
    return fused(conv, bn, transpose)


def fuse_linear_bn_eval(linear: Module, bn: Module) -> Module:
    """One linear layer in place of a linear layer and a batch norm, which no longer learn."""
    if bn.num_features not in (1, linear.out_features):
        raise AssertionError(f"a norm of {bn.num_features} features does not go behind a layer with "
                             f"{linear.out_features} outputs")
    return fused(linear, bn)
