"""Every layer and every loss at the edges: no picture, one picture, one pixel, memory with gaps, each dtype."""
# ruff: noqa: E501      a line of the tables is a program

import numpy as np
import pytest

# A layer, and the shapes of its inputs: N pictures, P pixels along a line; "i" is a line of whole numbers.
LAYERS = """
nn.Linear(6, 4) | N 6
nn.Linear(6, 4, bias=False) | N P 6
nn.Bilinear(3, 4, 5) | N 3, N 4
nn.Identity() | N 6
nn.Flatten() | N 3 P
nn.Unflatten(1, (2, 3)) | N 6
nn.LayerNorm(6) | N 6
nn.LayerNorm((3, 5)) | N 3 5
nn.RMSNorm(6) | N P 6
nn.Dropout(0.5) | N 6
nn.Dropout1d(0.5) | N 3 P
nn.Dropout2d(0.5) | N 3 P P
nn.Dropout3d(0.5) | N 3 P P P
nn.AlphaDropout(0.5).eval() | N 6
nn.FeatureAlphaDropout(0.5) | N 3 P P
nn.CosineSimilarity() | N 6, N 6
nn.PairwiseDistance() | N 6, N 6
nn.ReLU() | N 6
nn.LeakyReLU() | N 6
nn.PReLU() | N 3 P
nn.PReLU(3) | N 3 P
nn.RReLU().eval() | N 6
nn.ELU() | N 6
nn.CELU(0.7) | N 6
nn.SELU() | N 6
nn.GELU() | N 6
nn.GELU('tanh') | N 6
nn.SiLU() | N 6
nn.Mish() | N 6
nn.Sigmoid() | N 6
nn.LogSigmoid() | N 6
nn.Tanh() | N 6
nn.Softplus() | N 6
nn.Softsign() | N 6
nn.Tanhshrink() | N 6
nn.Hardtanh() | N 6
nn.ReLU6() | N 6
nn.Hardsigmoid() | N 6
nn.Hardswish() | N 6
nn.Hardshrink() | N 6
nn.Softshrink() | N 6
nn.Threshold(0.1, 2.0) | N 6
nn.GLU() | N 6
nn.Softmax(-1) | N P
nn.LogSoftmax(1) | N 3 P
nn.Softmin(0) | N 6
nn.Softmax2d() | N 3 P P
nn.Conv1d(3, 4, 1) | N 3 P
nn.Conv1d(3, 4, 3, padding=1, stride=2) | N 3 P
nn.Conv2d(3, 4, 1) | N 3 P P
nn.Conv2d(3, 4, 3, padding=1) | N 3 P P
nn.Conv2d(3, 6, (3, 1), stride=(2, 3), padding=(2, 0), dilation=(2, 1), groups=3) | N 3 P P
nn.Conv2d(4, 4, 3, padding='same', groups=4) | N 4 P P
nn.Conv3d(2, 3, 3, padding=1) | N 2 P P P
nn.ConvTranspose1d(3, 4, 3, 2) | N 3 P
nn.ConvTranspose2d(3, 4, 2, 2) | N 3 P P
nn.ConvTranspose2d(4, 4, 3, 2, 1, 1, groups=2) | N 4 P P
nn.ConvTranspose3d(2, 3, 2) | N 2 P P P
nn.MaxPool1d(3, 2, 1) | N 3 P
nn.MaxPool2d(2) | N 3 P P
nn.MaxPool2d(3, 2, 1, ceil_mode=True) | N 3 P P
nn.MaxPool2d(3, 1, 1, return_indices=True) | N 3 P P
nn.MaxPool3d(1) | N 2 P P P
nn.AvgPool1d(3, 2, 1) | N 3 P
nn.AvgPool2d(2) | N 3 P P
nn.AvgPool2d(3, 2, 1, count_include_pad=False) | N 3 P P
nn.AvgPool3d(1) | N 2 P P P
nn.LPPool1d(2, 1) | N 3 P
nn.LPPool2d(2, 1) | N 3 P P
nn.LPPool3d(3, 1) | N 3 P P P
nn.AdaptiveAvgPool1d(3) | N 3 P
nn.AdaptiveAvgPool2d((2, None)) | N 3 P P
nn.AdaptiveAvgPool3d(1) | N 2 P P P
nn.AdaptiveMaxPool1d(3) | N 3 P
nn.AdaptiveMaxPool2d(2, return_indices=True) | N 3 P P
nn.AdaptiveMaxPool3d(2) | N 2 P P P
nn.FractionalMaxPool2d(1, 1) | N 3 P P
nn.BatchNorm1d(6) | N 6
nn.BatchNorm1d(6).eval() | N 6
nn.BatchNorm2d(3) | N 3 P P
nn.BatchNorm2d(3).eval() | N 3 P P
nn.BatchNorm3d(3, track_running_stats=False) | N 3 P P P
nn.GroupNorm(2, 6) | N 6
nn.GroupNorm(1, 3) | N 3 P P
nn.InstanceNorm1d(3) | N 3 P
nn.InstanceNorm2d(3, affine=True) | N 3 P P
nn.InstanceNorm3d(3, track_running_stats=True).eval() | N 3 P P P
nn.LocalResponseNorm(3) | N 4 P P
nn.Upsample(scale_factor=2) | N 3 P P
nn.Upsample((3, 5), mode='bilinear') | N 3 P P
nn.Upsample(4, mode='linear', align_corners=True) | N 3 P
nn.Upsample((3, 2), mode='bicubic') | N 3 P P
nn.UpsamplingBilinear2d(scale_factor=3) | N 3 P P
nn.PixelShuffle(2) | N 4 P P
nn.PixelUnshuffle(1) | N 4 P P
nn.ChannelShuffle(2) | N 4 P P
nn.Unfold(2, padding=1) | N 3 P P
nn.Fold((3, 3), 2) | N 8 4
nn.ZeroPad2d((1, 0, 2, 1)) | N 3 P P
nn.ConstantPad1d(2, 3.5) | N 3 P
nn.ReplicationPad2d(1) | N 3 P P
nn.ReflectionPad2d(1) | N 3 P P
nn.CircularPad1d(1) | N 3 P
nn.Embedding(9, 4) | iN
nn.Embedding(9, 4, padding_idx=2) | iN P
nn.EmbeddingBag(9, 4) | iN P
nn.EmbeddingBag(9, 4, mode='max') | iN P
nn.RNN(3, 4, batch_first=True) | N P 3
nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True) | N P 3
nn.LSTM(3, 4, proj_size=2) | P N 3
nn.GRU(3, 4, batch_first=True) | N P 3
nn.RNNCell(3, 4) | N 3
nn.LSTMCell(3, 4) | N 3
nn.GRUCell(3, 4) | N 3
nn.MultiheadAttention(4, 2, batch_first=True) | N P 4, N P 4, N P 4
nn.MultiheadAttention(4, 2, kdim=3, vdim=5, bias=False).eval() | P N 4, P N 3, P N 5
nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True) | N P 4
nn.TransformerDecoderLayer(4, 2, 8, 0.0) | P N 4, P N 4
nn.Transformer(4, 2, 1, 1, 8, 0.0, batch_first=True) | N P 4, N P 4
nn.LazyLinear(4) | N 6
nn.LazyConv2d(4, 3, padding=1) | N 3 P P
nn.L1Loss() | N 6, N 6
nn.MSELoss(reduction='none') | N 6, N 6
nn.MSELoss() | N 6, N 6
nn.SmoothL1Loss() | N 6, N 6
nn.HuberLoss() | N 6, N 6
nn.SoftMarginLoss() | N 6, N 6
nn.CrossEntropyLoss() | N 9, iN
nn.CrossEntropyLoss(label_smoothing=0.1, reduction='sum') | N 9 P, iN P
nn.NLLLoss(reduction='none') | N 9, iN
nn.NLLLoss() | N 9 P P, iN P P
nn.KLDivLoss(reduction='batchmean') | N 6, N 6
nn.BCEWithLogitsLoss() | N 6, N 6
nn.PoissonNLLLoss() | N 6, N 6
nn.MarginRankingLoss() | N, N, N
nn.HingeEmbeddingLoss() | N 6, N 6
nn.MultiMarginLoss() | N 9, iN
nn.TripletMarginLoss() | N 6, N 6, N 6
nn.CosineEmbeddingLoss() | N 6, N 6, N
nn.AdaptiveLogSoftmaxWithLoss(6, 9, [3, 6]) | N 6, iN
nn.LinearCrossEntropyLoss(6, 9) | N 6, iN
nn.MultiLabelMarginLoss() | N 9, iN 9
nn.MultiLabelSoftMarginLoss() | N 6, N 6
nn.TripletMarginWithDistanceLoss() | N 6, N 6, N 6
lambda x, y: nn.BCELoss()(x.sigmoid(), y.sigmoid()) | N 6, N 6
lambda x, y, v: nn.GaussianNLLLoss()(x, y, v.exp()) | N 6, N 6, N 6
lambda x: nn.CTCLoss()(x.log_softmax(-1), t.ones((x.shape[1], 1)).long(), x.shape[:1] * x.shape[1], (1,) * x.shape[1]) | P N 9
lambda x: nn.MaxUnpool1d(2)(*F.max_pool1d(x, 2, return_indices=True)) | N 3 P
lambda x: nn.MaxUnpool2d(3, 2)(*F.max_pool2d(x, 3, 2, return_indices=True)) | N 3 P P
lambda x: nn.MaxUnpool3d(1)(*F.max_pool3d(x, 1, return_indices=True)) | N 2 P P P
nn.FractionalMaxPool3d(1, 1) | N 2 P P P
nn.UpsamplingNearest2d(scale_factor=2) | N 3 P P
nn.ZeroPad1d(2) | N 3 P
nn.ZeroPad3d(1) | N 2 P P P
nn.ConstantPad2d((1, -1, 0, 2), 0.5) | N 3 P P
nn.ConstantPad3d(1, 0.5) | N 2 P P P
nn.ReflectionPad1d(1) | N 3 P
nn.ReflectionPad3d(1) | N 2 P P P
nn.ReplicationPad1d((2, 0)) | N 3 P
nn.ReplicationPad3d(1) | N 2 P P P
nn.CircularPad2d(1) | N 3 P P
nn.CircularPad3d(1) | N 2 P P P
nn.LazyConv1d(4, 3, 2) | N 3 P
nn.LazyConv3d(2, 1) | N 2 P P P
nn.LazyConvTranspose1d(4, 3, 2) | N 3 P
nn.LazyConvTranspose2d(4, 2) | N 3 P P
nn.LazyConvTranspose3d(2, 1) | N 2 P P P
nn.LazyBatchNorm1d() | N 6
nn.LazyBatchNorm2d() | N 3 P P
nn.LazyBatchNorm3d() | N 2 P P P
nn.LazyInstanceNorm1d() | N 3 P
nn.LazyInstanceNorm2d() | N 3 P P
nn.LazyInstanceNorm3d() | N 2 P P P
nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(2)) | N 3 P P
nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True), 2) | N P 4
nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8, 0.0), 2) | P N 4, P N 4
F.grid_sample | N 3 P P, N P P 2
lambda x: F.affine_grid(x, (len(x), 3, 4, 5)) | N 2 3
F.conv_tbc | P N 3, 2 3 4, 4
F.normalize | N 6
F.one_hot | iN P
F.logsigmoid | N 6
F.scaled_dot_product_attention | N 2 P 4, N 2 P 4, N 2 P 4
F.multilabel_soft_margin_loss | N 6, N 6
F.pdist | N 6
F.cosine_similarity | N 6, N 6
""".strip().splitlines()

EDGES = {
    "no picture": "N=0, P=4",
    "one picture": "N=1, P=5",
    "one pixel": "N=2, P=1",
    "one picture of one pixel": "N=1, P=1",
    "memory with gaps": "N=3, P=5, gaps=True",
    "turned memory": "N=3, P=4, turned=True",
    "float64": "N=3, P=6, kind='float64'",
    "float64 with gaps": "N=2, P=5, kind='float64', gaps=True",
}


def names(t):
    def made(shape: str, N: int, P: int, kind: str = "float32", gaps: bool = False, turned: bool = False):
        """A tensor of a shape that is written like the table's."""
        whole, shape = shape.startswith("i"), shape.removeprefix("i").split()
        lengths = [{"N": N, "P": P}.get(n) if n in "NP" else int(n) for n in shape]
        room = [*lengths[:-1], lengths[-1] * 2] if gaps else lengths
        rng = np.random.default_rng(len(room))
        x = rng.integers(0, 9, room) if whole else rng.standard_normal(room).astype(kind)
        x = t.tensor(x)
        if gaps: x = x[..., ::2]
        return x.transpose(0, -1).contiguous().transpose(0, -1) if turned else x

    def at(layer, shapes: str, kind: str = "float32", **edge):
        t.manual_seed(0)
        layer = layer()
        if kind == "float64" and hasattr(layer, "double"): layer = layer.double()
        if kind == "float64" and hasattr(layer, "parameters"):      # normal draws may differ in the last place
            for p in layer.parameters():
                if "Uninit" not in type(p).__name__: p.data.copy_(p.data.round(decimals=5))
        return layer(*[made(shape, kind=kind, **edge) for shape in shapes.split(", ")])
    return {"at": at, "nn": t.nn, "F": t.nn.functional}


# where PyTorch's own answer is no answer, or ours is another, as docs/differences.md says
NOT_ASKED = {
    ("nn.InstanceNorm2d(3, affine=True)", "no picture"),    # IndexError: it looks for a first picture
    ("nn.LazyInstanceNorm1d()", "no picture"),
    ("nn.LazyInstanceNorm2d()", "no picture"),
    ("nn.LazyInstanceNorm3d()", "no picture"),
    ("nn.MultiMarginLoss()", "no picture"),                 # whatever lay in its memory; a mean of nothing is nan
    ("nn.MultiLabelMarginLoss()", "no picture"),
    ("nn.FractionalMaxPool3d(1, 1)", "one pixel"),          # in three directions its window may not just fit
    ("nn.FractionalMaxPool3d(1, 1)", "one picture of one pixel"),
    ("F.conv_tbc", "one pixel"),                            # nothing comes out where nothing fits
    ("F.conv_tbc", "one picture of one pixel"),
    ("F.conv_tbc", "turned memory"),                        # it wants no such memory
}
CASES = [(line, edge) for line in LAYERS for edge in EDGES if (line.split(" | ")[0], edge) not in NOT_ASKED]


@pytest.mark.parametrize(("line", "edge"), CASES)
@pytest.mark.filterwarnings("ignore:reduction:UserWarning")
def test_at_an_edge_it_does_what_pytorch_does(agree_as_layers, line, edge):
    layer, shapes = line.split(" | ")
    agree_as_layers(f"at(lambda: {layer}, {shapes!r}, {EDGES[edge]})", names)
