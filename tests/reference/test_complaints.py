"""What does not fit is refused in a sentence with both sides of the mismatch, and refused by PyTorch, too."""

import warnings

import pytest

import tinytorch as tt
from tinytorch import nn

F = nn.functional


def ones(*shape): return tt.ones(*shape)
def labels(*shape): return tt.zeros(*shape, dtype=tt.int64)


# what is called, and the words in which both sides stand
SHAPES = {
    "nn.Linear(6, 4)(ones(2, 5))": ["(4, 6)", "(2, 5)"],
    "nn.Bilinear(3, 4, 5)(ones(2, 3), ones(2, 5))": ["4", "5"],
    "nn.LayerNorm(6)(ones(2, 5))": ["6", "(2, 5)"],
    "nn.RMSNorm(6)(ones(2, 5))": ["6", "(2, 5)"],
    "nn.Unflatten(1, (2, 3))(ones(2, 5))": ["(2, 3)", "5"],
    "nn.Conv1d(3, 4, 3)(ones(2, 5, 9))": ["5 channels", "for 3"],
    "nn.Conv2d(3, 4, 3)(ones(2, 5, 9, 9))": ["5 channels", "for 3"],
    "nn.Conv3d(4, 4, 3, groups=2)(ones(2, 6, 9, 9, 9))": ["6 channels", "for 4"],
    "nn.Conv2d(3, 4, 3)(ones(2, 3, 2, 2))": ["(2, 3, 2, 2)", "(4, 3, 3, 3)"],
    "nn.Conv2d(3, 4, 3)(ones(2, 3, 9))": ["2 channels", "for 3"],
    "nn.Conv2d(3, 4, 3)(ones(9, 9))": ["(9, 9)", "4"],
    "nn.ConvTranspose1d(3, 4, 3)(ones(2, 5, 9))": ["5 channels", "for 3"],
    "nn.ConvTranspose2d(3, 4, 3)(ones(2, 5, 9, 9))": ["5 channels", "for 3"],
    "F.conv2d(ones(2, 3, 9, 9), ones(4, 3, 3, 3), ones(5))": ["(5,)", "4 filters"],
    "nn.MaxPool2d(3)(ones(2, 3, 2, 2))": ["(2, 3, 2, 2)", "3"],
    "nn.AvgPool1d(3)(ones(2, 3, 2))": ["(2, 3, 2)", "3"],
    "nn.MaxPool2d(2)(ones(5))": ["(5,)", "4"],
    "nn.AdaptiveAvgPool2d(2)(ones(5))": ["(5,)", "4"],
    "nn.MaxUnpool2d(2)(ones(1, 1, 2, 2), labels(1, 1, 2, 3))": ["(1, 1, 2, 3)", "(1, 1, 2, 2)"],
    "nn.BatchNorm2d(3)(ones(2, 4, 5, 5))": ["(2, 4, 5, 5)", "(3,)"],
    "nn.BatchNorm2d(3)(ones(2, 3, 5))": ["4D", "3D"],
    "nn.GroupNorm(2, 6)(ones(2, 4, 5))": ["(2, 4, 5)", "(6,)"],
    "nn.InstanceNorm2d(3, affine=True)(ones(2, 4, 5, 5))": ["3 channels", "4"],
    "nn.PixelShuffle(2)(ones(1, 3, 4, 4))": ["4", "(1, 3, 4, 4)"],
    "nn.ChannelShuffle(2)(ones(1, 3, 4, 4))": ["2", "(1, 3, 4, 4)"],
    "nn.Fold((4, 4), 2)(ones(1, 8, 5))": ["9", "5"],
    "nn.ReflectionPad2d(4)(ones(1, 3, 4, 4))": ["4", "length 4"],
    "nn.Embedding(9, 4)(tt.tensor([9]))": ["9", "9"],
    "nn.RNN(3, 4)(ones(5, 2, 2))": ["3", "2"],
    "nn.LSTM(3, 4)(ones(5, 2, 3), (ones(1, 2, 5), ones(1, 2, 4)))": ["(1, 2, 4)", "(1, 2, 5)"],
    "nn.GRUCell(3, 4)(ones(2, 3), ones(2, 5))": ["(2, 5)", "4"],
    "nn.MultiheadAttention(4, 2)(ones(3, 2, 4), ones(3, 2, 5), ones(3, 2, 4))": ["5", "4"],
    "F.scaled_dot_product_attention(ones(1, 3, 4), ones(1, 3, 5), ones(1, 3, 5))": ["(1, 3, 4)", "(1, 3, 5)"],
    "F.scaled_dot_product_attention(ones(1, 3, 4), ones(1, 3, 4), ones(1, 2, 4))": ["(1, 3, 4)", "(1, 2, 4)"],
    "F.cross_entropy(ones(3, 5), labels(2))": ["(3, 5)", "(2,)"],
    "F.cross_entropy(ones(3, 5), labels(3), ones(4))": ["5", "4"],
    "F.cross_entropy(ones(3, 5), labels(3) + 7)": ["7", "5"],
    "F.binary_cross_entropy(ones(3), ones(2))": ["(3,)", "(2,)"],
    "F.binary_cross_entropy_with_logits(ones(3), ones(2))": ["(3,)", "(2,)"],
    "F.mse_loss(ones(3), ones(2))": ["(3,)", "(2,)"],
    "F.nll_loss(ones(3, 5), labels(2))": ["(3, 5)", "(2,)"],
    "F.kl_div(ones(3), ones(2))": ["(3,)", "(2,)"],
    "F.ctc_loss(ones(9, 3, 5), labels(3, 4), (9, 9), (4, 4, 4))": ["3", "2"],
    "F.multi_margin_loss(ones(3, 5), labels(2))": ["(3, 5)", "(2,)"],
    "F.cosine_embedding_loss(ones(3, 5), ones(3, 5), ones(2))": ["(2,)", "(3, 5)"],
    "F.margin_ranking_loss(ones(3), ones(3), ones(2, 3))": ["(3,)", "(2, 3)"],
    "F.triplet_margin_loss(ones(3, 5), ones(3, 5), ones(5))": ["(3, 5)", "(5,)"],
    "F.grid_sample(ones(2, 3, 4, 4), ones(1, 2, 2, 2))": ["(2, 3, 4, 4)", "(1, 2, 2, 2)"],
    "F.affine_grid(ones(2, 2, 2), (2, 3, 4, 4))": ["(2, 2, 2)", "(N, 2, 3)"],
    "F.fractional_max_pool2d(ones(1, 1, 4, 4), 2, 4)": ["4", "(1, 1, 4, 4)"],
    "nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4])(ones(3, 8), labels(2))": ["(3, 8)", "(2,)"],
    "F.interpolate(ones(1, 3, 4, 4), (2, 2, 2))": ["(2, 2, 2)", "(4, 4)"],
    "F.one_hot(tt.tensor([4]), 3)": ["4", "3"],
    "F.glu(ones(2, 3))": ["3"],
    "F.prelu(ones(2, 3), ones(2))": ["2", "3"],
}
SETTINGS = {
    "nn.Conv2d(3, 4, 3, groups=2)": ["3", "2"],
    "nn.Conv2d(3, 4, 3, padding_mode='odd')": ["zeros", "odd"],
    "nn.Conv2d(3, 4, 3, stride=2, padding='same')": ["1", "2"],
    "nn.GroupNorm(4, 6)": ["4", "6"],
    "nn.MultiheadAttention(5, 2)": ["5", "2"],
    "nn.LSTM(3, 4, proj_size=4)": ["4"],
    "nn.Dropout(1.5)": ["1.5"],
    "nn.Embedding(9, 4, padding_idx=9)": ["9"],
    "nn.Upsample(2, mode='cubic')(ones(1, 1, 2, 2))": ["bicubic", "cubic"],
    "F.cross_entropy(ones(3, 5), labels(3), label_smoothing=2.0)": ["2.0"],
    "F.mse_loss(ones(3), ones(3), reduction='most')": ["mean", "most"],
    "nn.AdaptiveLogSoftmaxWithLoss(8, 20, [25])": ["19", "25"],
    "nn.ConvTranspose2d(3, 4, 3, 2, 0, 2)(ones(1, 3, 4, 4))": ["2", "2"],
    "nn.Fold((4, 4), 2)(ones(1, 7, 9))": ["7", "4"],
}


REFUSED = (RuntimeError, ValueError, IndexError, TypeError, AssertionError)      # what both libraries raise


@pytest.mark.parametrize("line", [*SHAPES, *SETTINGS])
def test_both_sides_stand_in_the_sentence(line):
    wanted = {**SHAPES, **SETTINGS}[line]
    scope = {"nn": nn, "F": F, "tt": tt, "ones": ones, "labels": labels}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "answers of shape")
        with pytest.raises(REFUSED) as caught: eval(line, scope)
    said = str(caught.value)
    missing = [words for words in wanted if words not in said]
    assert not missing, f"{missing} not in: {said}"
    torch = pytest.importorskip("torch")
    theirs = {"nn": torch.nn, "F": torch.nn.functional, "tt": torch, "ones": torch.ones,
              "labels": lambda *shape: torch.zeros(*shape, dtype=torch.int64)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(REFUSED): eval(line, theirs)
