# Generated from modules/curriculum.toml by `tito export`. Edit that file, not this one.
"""tinytorch.nn.functional: what the lessons define under PyTorch's name for it."""

from ..creation import one_hot
from ..activations import relu, sigmoid, tanh, softmax, log_softmax, gelu
from ..bends import (
    leaky_relu, prelu, elu, celu, selu, softplus, logsigmoid, silu, mish, softsign, tanhshrink, hardtanh,
    relu6, hardsigmoid, hardswish, threshold, hardshrink, softshrink, glu, softmin, rrelu, gumbel_softmax,
    rrelu_, relu_, leaky_relu_, elu_, celu_, selu_, hardtanh_, threshold_,
)
from ..dense import dropout, layer_norm, mse_loss, linear
from ..root_mean_square import rms_norm
from ..likeness import normalize, cosine_similarity, pairwise_distance, pdist, bilinear
from ..no_weights import dropout1d, dropout2d, dropout3d, alpha_dropout, feature_alpha_dropout
from ..losses import (
    l1_loss, smooth_l1_loss, huber_loss, nll_loss, cross_entropy, binary_cross_entropy,
    binary_cross_entropy_with_logits, soft_margin_loss, multilabel_soft_margin_loss, kl_div, poisson_nll_loss,
    gaussian_nll_loss, margin_ranking_loss, hinge_embedding_loss, multi_margin_loss, multilabel_margin_loss,
    cosine_embedding_loss, triplet_margin_loss, triplet_margin_with_distance_loss, ctc_loss,
    linear_cross_entropy,
)
from ..room import pad
from ..spatial import conv2d, max_pool2d, batch_norm, avg_pool2d
from ..convolution import conv1d, conv3d, conv_tbc, conv_transpose1d, conv_transpose2d, conv_transpose3d
from ..pooling import (
    max_pool1d, max_pool3d, avg_pool1d, adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d,
    adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d, lp_pool1d, lp_pool2d, lp_pool3d,
    max_unpool1d, max_unpool2d, max_unpool3d, avg_pool3d,
)
from ..normalization import group_norm, instance_norm, local_response_norm
from ..resampling import (
    interpolate, upsample, upsample_nearest, upsample_bilinear, pixel_shuffle, pixel_unshuffle,
    channel_shuffle, unfold, fold,
)
from ..sampling import affine_grid, grid_sample, fractional_max_pool2d, fractional_max_pool3d
from ..embeddings import embedding, embedding_bag
from ..multihead import multi_head_attention_forward
from ..attention import scaled_dot_product_attention

__all__ = [
    "one_hot", "relu", "sigmoid", "tanh", "softmax", "log_softmax", "gelu", "leaky_relu", "prelu", "elu",
    "celu", "selu", "softplus", "logsigmoid", "silu", "mish", "softsign", "tanhshrink", "hardtanh", "relu6",
    "hardsigmoid", "hardswish", "threshold", "hardshrink", "softshrink", "glu", "softmin", "rrelu",
    "gumbel_softmax", "rrelu_", "relu_", "leaky_relu_", "elu_", "celu_", "selu_", "hardtanh_", "threshold_",
    "dropout", "layer_norm", "mse_loss", "rms_norm", "normalize", "cosine_similarity", "pairwise_distance",
    "pdist", "bilinear", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout",
    "l1_loss", "smooth_l1_loss", "huber_loss", "nll_loss", "cross_entropy", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "soft_margin_loss", "multilabel_soft_margin_loss", "kl_div",
    "poisson_nll_loss", "gaussian_nll_loss", "margin_ranking_loss", "hinge_embedding_loss",
    "multi_margin_loss", "multilabel_margin_loss", "cosine_embedding_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss", "ctc_loss", "linear_cross_entropy", "linear", "pad", "conv2d",
    "max_pool2d", "batch_norm", "conv1d", "conv3d", "conv_tbc", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "max_pool1d", "max_pool3d", "avg_pool1d", "adaptive_avg_pool1d",
    "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_unpool1d", "max_unpool2d",
    "max_unpool3d", "group_norm", "instance_norm", "local_response_norm", "interpolate", "upsample",
    "upsample_nearest", "upsample_bilinear", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "unfold",
    "fold", "affine_grid", "grid_sample", "fractional_max_pool2d", "fractional_max_pool3d", "avg_pool2d",
    "avg_pool3d", "embedding", "embedding_bag", "multi_head_attention_forward",
    "scaled_dot_product_attention",
]


def __getattr__(name: str):
    from tinytorch._missing import find  # only when a name is not here
    return find(__name__, name)


def __dir__(): return [*__all__]
