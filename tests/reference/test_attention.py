"""Attention, embeddings and transformers against PyTorch: the same line of a program, run on both."""

import inspect
import math

import numpy as np
import pytest

import tinytorch
from tinytorch.attention import GPT

rng = np.random.default_rng(7)
DATA = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in {
    "q": (2, 4, 5, 8), "k": (2, 4, 7, 8), "v": (2, 4, 7, 6), "k2": (2, 2, 7, 8), "v2": (2, 2, 7, 6),
    "flat": (5, 8), "weight": (10, 4), "x": (5, 3, 8), "y": (7, 3, 8), "one": (1, 1, 8), "kd": (7, 3, 6),
    "vd": (7, 3, 4), "xb": (3, 5, 8), "yb": (3, 7, 8), "solo": (5, 8), "solo_y": (7, 8), "bias": (5, 7),
    "zero_batch": (5, 0, 8),
}.items()}
IDS = {"ids": [[1, 2, 4, 5], [4, 3, 2, 9]], "line": [1, 2, 4, 5, 4, 3, 2, 9, 0], "offsets": [0, 4, 4, 7],
       "ends": [0, 4, 7, 9], "none": [[], []]}


def names(t):
    found = {name: t.tensor(array) for name, array in DATA.items()}
    found |= {name: t.tensor(ids, dtype=t.int64) for name, ids in IDS.items()}
    look = rng_like(3, (5, 7)) > 0.3
    look[:, 0] = True
    found["look"] = t.tensor(look)
    nowhere = look.copy()
    nowhere[2] = False
    found["nowhere"] = t.tensor(nowhere)
    found["hidden"] = t.tensor(np.array([[False] * 7, [False] * 4 + [True] * 3, [False] * 6 + [True]]))
    found["hidden5"] = t.tensor(np.array([[False] * 5, [False] * 3 + [True] * 2, [False] * 4 + [True]]))
    found["heads"] = t.tensor(rng_like(4, (3 * 2, 5, 7)))
    found["causal"] = t.tensor(np.triu(np.full((5, 5), -np.inf, np.float32), 1))
    found |= {"nn": t.nn, "F": t.nn.functional, "MHA": t.nn.MultiheadAttention,
              "Layer": t.nn.TransformerEncoderLayer, "Decoder": t.nn.TransformerDecoderLayer}
    return found


def rng_like(seed, shape): return np.random.default_rng(seed).random(shape).astype(np.float32)


SDPA = """
    F.scaled_dot_product_attention(q, k, v)
    F.scaled_dot_product_attention(q, k, v, look)
    F.scaled_dot_product_attention(q, k, v, nowhere)
    F.scaled_dot_product_attention(q, k, v, bias)
    F.scaled_dot_product_attention(q, k, v, bias[None, None])
    F.scaled_dot_product_attention(q, k, v, look[None, None].expand(2, 4, 5, 7))
    F.scaled_dot_product_attention(q, k, v, look[:1])
    F.scaled_dot_product_attention(q, k, v, is_causal=True)
    F.scaled_dot_product_attention(k, q, q, is_causal=True)
    F.scaled_dot_product_attention(q, k, v, scale=0.3)
    F.scaled_dot_product_attention(q, k, v, scale=1.0, is_causal=True)
    F.scaled_dot_product_attention(30 * q, 30 * k, v)
    F.scaled_dot_product_attention(q, k2, v2, enable_gqa=True)
    F.scaled_dot_product_attention(q, k2, v2, bias, enable_gqa=True)
    F.scaled_dot_product_attention(q, k2, v2, is_causal=True, enable_gqa=True)
    F.scaled_dot_product_attention(q[0], k[0], v[0])
    F.scaled_dot_product_attention(q[0, 0], k[0, 0], v[0, 0])
    F.scaled_dot_product_attention(q[:, :, :1], k[:, :, :1], v[:, :, :1])
    F.scaled_dot_product_attention(q[:0], k[:0], v[:0])
    F.scaled_dot_product_attention(q[:, :, :0], k, v)
    F.scaled_dot_product_attention(q[:1], k, v)
    F.scaled_dot_product_attention(q, k[:, :1], v[:, :1])
    F.scaled_dot_product_attention(q.transpose(1, 2).contiguous().transpose(1, 2), k, v)
    F.scaled_dot_product_attention(q[..., ::2], k[..., ::2], v)
    F.scaled_dot_product_attention(q.double(), k.double(), v.double(), look)
    F.scaled_dot_product_attention(q.double(), k.double(), v.double(), nowhere)
    F.scaled_dot_product_attention(q.double(), k.double(), v.double(), is_causal=True)
    F.scaled_dot_product_attention(q, k, v, bias, is_causal=True)
    F.scaled_dot_product_attention(q, k.double(), v)
    F.scaled_dot_product_attention(q, k[..., :4], v)
    F.scaled_dot_product_attention(q[0, 0, 0], k, v)
    F.scaled_dot_product_attention(q, k, v[:, :, :3])
    F.scaled_dot_product_attention(q, k, v, ids)
    F.scaled_dot_product_attention(q, k, v, dropout_p=0.0)
"""

EMBEDDING = """
    F.embedding(ids, weight)
    F.embedding(line, weight)
    F.embedding(line[0], weight)
    F.embedding(none, weight)
    F.embedding(ids.int(), weight)
    F.embedding(ids, weight.double())
    F.embedding(ids, weight, 4)
    F.embedding(ids, weight, -1)
    F.embedding(ids, weight, 10)
    F.embedding(ids, weight, -11)
    w = weight.clone(); F.embedding(ids, w, max_norm=1.0); w
    w = weight.clone(); F.embedding(ids, w, max_norm=1.0)
    w = weight.clone(); F.embedding(ids, w, max_norm=1.5, norm_type=1.0); w
    F.embedding(ids + 9, weight)
    F.embedding(ids - 2, weight)
    F.embedding(ids.float(), weight)
    m = nn.Embedding(10, 3); m.weight
    m = nn.Embedding(10, 3, padding_idx=2); m.weight
    m = nn.Embedding(10, 3, padding_idx=-2); (m.weight, m.padding_idx)
    nn.Embedding(10, 3, max_norm=0.5)(ids)
    m = nn.Embedding.from_pretrained(weight); (m(ids), m.weight.requires_grad)
    m = nn.Embedding.from_pretrained(weight, freeze=False, padding_idx=3); m.weight.requires_grad
    nn.Embedding(10, 3, padding_idx=10)
    nn.Embedding(10, 3, _weight=weight)
    repr(nn.Embedding(10, 3))
    repr(nn.Embedding(10, 3, 1, 2.0, 1.0, True, True))
    F.embedding_bag(ids, weight)
    F.embedding_bag(ids, weight, mode='sum')
    F.embedding_bag(ids, weight, mode='max')
    F.embedding_bag(line, weight, offsets)
    F.embedding_bag(line, weight, offsets, mode='sum')
    F.embedding_bag(line, weight, offsets, mode='max')
    F.embedding_bag(line, weight, ends, include_last_offset=True)
    F.embedding_bag(line, weight, offsets, mode='sum', per_sample_weights=t.arange(9).float())
    F.embedding_bag(ids, weight, mode='sum', per_sample_weights=ids.float())
    F.embedding_bag(line, weight, offsets, padding_idx=4)
    F.embedding_bag(line, weight, offsets, mode='sum', padding_idx=2)
    F.embedding_bag(line, weight, offsets, mode='max', padding_idx=-1)
    F.embedding_bag(line.double(), weight, offsets)
    F.embedding_bag(line, weight.double(), offsets)
    F.embedding_bag(ids, weight, offsets)
    F.embedding_bag(line, weight)
    F.embedding_bag(line, weight, offsets + 1)
    F.embedding_bag(line, weight, ids)
    F.embedding_bag(line, weight, offsets, mode='min')
    F.embedding_bag(line, weight, offsets, per_sample_weights=line.float())
    F.embedding_bag(line, weight, offsets, mode='sum', per_sample_weights=weight[0])
    F.embedding_bag(line + 5, weight, offsets)
    m = nn.EmbeddingBag(10, 3, mode='sum', padding_idx=1); m(ids)
    m = nn.EmbeddingBag(10, 3, max_norm=1.0); m(line, offsets)
    nn.EmbeddingBag.from_pretrained(weight, mode='max')(ids)
    repr(nn.EmbeddingBag(10, 3, 2.0, 1.0, True, 'sum', True, padding_idx=3))
    repr(nn.EmbeddingBag(10, 3))
"""

MULTIHEAD = """
    m = MHA(8, 2); (m(x, x, x), m.in_proj_weight, m.out_proj.weight)
    m = MHA(8, 2); m(x, y, y)
    m = MHA(8, 2); m(x, y, y + 1)
    m = MHA(8, 2, bias=False); m(x, y, y + 1)
    m = MHA(8, 2, bias=False); m(x, y, y)
    m = MHA(8, 2); m(x, y, y, need_weights=False)[0]
    m = MHA(8, 2); m(x, y, y, average_attn_weights=False)
    m = MHA(8, 2, kdim=6, vdim=4); m(x, kd, vd)
    m = MHA(8, 2, kdim=6, vdim=4, bias=False); m(x, kd, vd)
    m = MHA(8, 2, kdim=6, vdim=4); [p for p in m.parameters()]
    m = MHA(8, 2, add_bias_kv=True); (m(x, y, y), m.bias_k, m.bias_v)
    m = MHA(8, 2, add_zero_attn=True); m(x, y, y)
    m = MHA(8, 2, add_bias_kv=True, add_zero_attn=True); m(x, y, y, hidden, attn_mask=~look)
    m = MHA(8, 2); m(x, y, y, key_padding_mask=hidden)
    m = MHA(8, 2); m(x, y, y, key_padding_mask=hidden, need_weights=False)[0]
    m = MHA(8, 2); m(x, y, y, attn_mask=~look)
    m = MHA(8, 2); m(x, y, y, attn_mask=bias)
    m = MHA(8, 2); m(x, y, y, attn_mask=heads)
    m = MHA(8, 2); m(x, y, y, attn_mask=heads, need_weights=False)[0]
    m = MHA(8, 2); m(x, y, y, hidden, attn_mask=heads > 0.8)
    m = MHA(8, 2); m(x, y, y, hidden, False, ~look)[0]
    m = MHA(8, 2); m(x, y, y, attn_mask=~nowhere)
    m = MHA(8, 2); m(x, y, y, attn_mask=~nowhere, need_weights=False)[0]
    m = MHA(8, 2); m(x, x, x, attn_mask=causal, is_causal=True)
    m = MHA(8, 2); m(x, x, x, need_weights=False, attn_mask=causal, is_causal=True)[0]
    m = MHA(8, 2, batch_first=True); m(xb, yb, yb)
    m = MHA(8, 2, batch_first=True); m(xb, xb, xb, hidden5)
    m = MHA(8, 2); m(solo, solo_y, solo_y)
    m = MHA(8, 2, batch_first=True); m(solo, solo, solo, average_attn_weights=False)
    m = MHA(8, 2); m(solo, solo_y, solo_y, hidden[1])
    m = MHA(8, 2); m(solo, solo_y, solo_y, attn_mask=heads[:2])
    m = nn.MultiheadAttention(8, 8); m(x[:1], y[:1], y[:1])
    m = MHA(8, 2); m(zero_batch, zero_batch, zero_batch)
    m = MHA(8, 2, dtype=t.float64); m(x.double(), y.double(), y.double())
    m = MHA(8, 2, dropout=0.5); m = m.eval(); m(x * 0, x * 0, x * 0)[1]
    list(MHA(8, 2, add_bias_kv=True).state_dict())
    list(MHA(8, 2, kdim=3).state_dict())
    repr(MHA(8, 2))
    nn.MultiheadAttention(8, 3)
    nn.MultiheadAttention(0, 1)
    m = MHA(8, 2); m(x, y, x)
    m = MHA(8, 2); m(x, y, y, attn_mask=causal)
    m = MHA(8, 2); m(x, y, y, key_padding_mask=hidden5)
    m = MHA(8, 2); m(x[..., :6], y, y)
    m = MHA(8, 2); m(x, x, x, is_causal=True, need_weights=False)
    m = MHA(8, 2); m(x, solo, solo)
"""

LAYER = "8, 2, 16, dropout=0.0"
TRANSFORMERS = f"""
    m = Layer({LAYER}); m(x)
    m = Layer({LAYER}, norm_first=True); m(x)
    m = Layer({LAYER}, activation='gelu', bias=False); m(x)
    m = Layer({LAYER}, activation=F.silu, layer_norm_eps=0.1); m(x)
    m = Layer({LAYER}, batch_first=True); m(xb, src_key_padding_mask=hidden5)
    m = Layer({LAYER}); m(x, causal, is_causal=True)
    m = Layer({LAYER}); m(solo)
    m = Layer({LAYER}, dtype=t.float64); m(x.double())
    m = Decoder({LAYER}); m(x, y)
    m = Decoder({LAYER}, norm_first=True); m(x, y, causal, tgt_is_causal=True)
    m = Decoder({LAYER}); m(x, y, causal, ~look, hidden5, hidden)
    m = Decoder({LAYER}, batch_first=True, activation='gelu'); m(xb, yb)
    m = nn.TransformerEncoder(Layer({LAYER}), 2); m(x, causal)
    m = nn.TransformerEncoder(Layer({LAYER}, batch_first=True), 2, nn.LayerNorm(8)); m(xb, None, hidden5)
    m = nn.TransformerDecoder(Decoder({LAYER}), 2, nn.LayerNorm(8)); m(x, y, causal)
    m = nn.Transformer(8, 2, 2, 2, 16, 0.0); m(y, x, tgt_mask=m.generate_square_subsequent_mask(5))
    m = nn.Transformer(8, 2, 1, 1, 16, 0.0, norm_first=True, batch_first=True); m(yb, xb)
    m = nn.Transformer(8, 2, 1, 1, 16, 0.0, bias=False); m(y, x, None, None, None, hidden, None, hidden)
    m = nn.Transformer(8, 2, 1, 1, 16, 0.0); m(y, x, t.zeros(7, 7), causal, tgt_is_causal=True)
    list(nn.Transformer(8, 2, 1, 1, 16).parameters())
    nn.Transformer.generate_square_subsequent_mask(4)
    nn.Transformer.generate_square_subsequent_mask(3, dtype=t.float64)
    list(nn.Transformer(8, 2, 1, 1, 16).state_dict())
    repr(nn.Transformer(8, 2, 2, 1, 16))
    m = nn.Transformer(8, 2, 1, 1, 16); m(y, x[:, :2])
    m = nn.Transformer(8, 2, 1, 1, 16); m(y[..., :4], x)
    nn.TransformerEncoderLayer(8, 2, activation='tanh')
"""


def lines(table): return [line.strip() for line in table.strip().split("\n")]


@pytest.mark.parametrize("line", lines(SDPA) + lines(EMBEDDING) + lines(MULTIHEAD) + lines(TRANSFORMERS))
def test_a_line_does_what_it_does_in_pytorch(agree_as_layers, line):
    agree_as_layers("t.manual_seed(0); " + line, names)


def test_a_dropped_look_is_not_made_up_for():
    q, k, v = [tinytorch.tensor(DATA[n]) for n in ("q", "k", "v")]
    F = tinytorch.nn.functional
    tinytorch.manual_seed(3)
    found = F.scaled_dot_product_attention(q, k, v, dropout_p=0.4)
    tinytorch.manual_seed(3)
    keep = F.dropout(tinytorch.ones(2, 4, 5, 7), 0.4)
    weights = F.softmax(q @ k.mT / math.sqrt(8), -1) * keep
    np.testing.assert_allclose(found.array, (weights @ v).array, atol=1e-5)
    assert 0.2 < (keep.array == 0).mean() < 0.6


NAMES = ["Embedding", "EmbeddingBag", "MultiheadAttention", "TransformerEncoderLayer",
         "TransformerDecoderLayer", "TransformerEncoder", "TransformerDecoder", "Transformer",
         "RNNCell", "LSTMCell", "GRUCell"]
FUNCTIONS = ["embedding", "embedding_bag", "multi_head_attention_forward"]


def shape_of_call(function):
    """The names, the order and the defaults of the parameters."""
    return [(p.name, p.kind, getattr(p.default, "__name__", p.default))
            for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("name", NAMES)
def test_modules_are_made_with_pytorchs_arguments(name):
    torch = pytest.importorskip("torch")
    ours, theirs = [shape_of_call(getattr(t.nn, name).__init__) for t in (tinytorch, torch)]
    assert ours == theirs
    ours, theirs = [shape_of_call(getattr(t.nn, name).forward) for t in (tinytorch, torch)]
    assert [p[0] for p in ours] == [p[0] for p in theirs]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_pytorchs_arguments(name):
    torch = pytest.importorskip("torch")
    ours, theirs = [shape_of_call(getattr(t.nn.functional, name)) for t in (tinytorch, torch)]
    assert ours == theirs


# ------------------------------------------------------------------------------------------ GPT, ViT, rotary

def test_gpt_is_what_pytorch_makes_of_the_same_state():
    torch = pytest.importorskip("torch")
    F = torch.nn.functional
    model = GPT(65, 32, 3, 4, 32).eval()
    state = {name: torch.tensor(p.array) for name, p in model.state_dict().items()}
    source = torch.Generator().manual_seed(1)
    state = {n: p + 0.1 * torch.randn(p.shape, generator=source) for n, p in state.items()}
    state["lm_head.weight"] = state["transformer.wte.weight"]
    model.load_state_dict({name: tinytorch.tensor(p.numpy()) for name, p in state.items()})
    idx = rng.integers(0, 65, (3, 20))

    def part(name): return state[name + ".weight"], state.get(name + ".bias")
    x = state["transformer.wte.weight"][torch.tensor(idx)] + state["transformer.wpe.weight"][:20]
    for i in range(3):
        h = f"transformer.h.{i}."
        y = F.linear(F.layer_norm(x, (32,), *part(h + "ln_1")), *part(h + "attn.c_attn"))
        q, k, v = [z.reshape(3, 20, 4, 8).transpose(1, 2) for z in y.split(32, 2)]
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(3, 20, 32)
        x = x + F.linear(y, *part(h + "attn.c_proj"))
        y = F.linear(F.layer_norm(x, (32,), *part(h + "ln_2")), *part(h + "mlp.c_fc"))
        x = x + F.linear(F.gelu(y, approximate="tanh"), *part(h + "mlp.c_proj"))
    want = F.linear(F.layer_norm(x, (32,), *part("transformer.ln_f")), state["lm_head.weight"]).numpy()
    found = model(tinytorch.tensor(idx)).array
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-5 * abs(want).max())


def test_gpt_has_the_names_and_the_size_of_gpt2():
    state = GPT(n_layer=2, vocab_size=100, block_size=16).state_dict()
    block = ["ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight",
             "attn.c_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias",
             "mlp.c_proj.weight", "mlp.c_proj.bias"]
    names = ["wte.weight", "wpe.weight", *[f"h.{i}.{name}" for i in (0, 1) for name in block],
             "ln_f.weight", "ln_f.bias"]
    assert sorted(state) == sorted([*["transformer." + name for name in names], "lm_head.weight"])
    count = sum(p.array.size for p in GPT(n_layer=2, vocab_size=100, block_size=16).parameters())
    layer = 12 * 768**2 + 13 * 768
    assert count == (100 + 16 + 2) * 768 + 2 * layer, "the last matrix is the first table: counted once"


def test_gpt2s_own_files_are_turned():
    model = GPT(11, 8, 2, 2, 8)
    ours = model.state_dict()
    theirs = {name.removeprefix("transformer."): p for name, p in ours.items() if name != "lm_head.weight"}
    theirs = {n: p.T if n.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")) else p
              for n, p in theirs.items()} | {"h.0.attn.bias": tinytorch.ones(1, 1, 8, 8)}
    other = GPT(11, 8, 2, 2, 8)
    other.load_state_dict(tinytorch.models.gpt2_state(theirs))
    assert all([np.array_equal(p.array, ours[n].array) for n, p in other.state_dict().items()])


def test_vit_has_the_names_and_the_shapes_of_torchvisions():
    model = tinytorch.models.ViT(16, 4, 2, 2, 8, 16, num_classes=5)
    shapes = {name: tuple(p.shape) for name, p in model.state_dict().items()}
    layer = "encoder.layers.encoder_layer_1."
    assert shapes["class_token"] == (1, 1, 8) and shapes["conv_proj.weight"] == (8, 3, 4, 4)
    assert shapes["encoder.pos_embedding"] == (1, 17, 8) and shapes["heads.head.weight"] == (5, 8)
    assert shapes[layer + "self_attention.in_proj_weight"] == (24, 8)
    assert shapes[layer + "mlp.0.weight"] == (16, 8) and shapes[layer + "mlp.3.weight"] == (8, 16)
    assert {n.removeprefix(layer) for n in shapes if n.startswith(layer)} == {
        "ln_1.weight", "ln_1.bias", "self_attention.in_proj_weight", "self_attention.in_proj_bias",
        "self_attention.out_proj.weight", "self_attention.out_proj.bias", "ln_2.weight", "ln_2.bias",
        "mlp.0.weight", "mlp.0.bias", "mlp.3.weight", "mlp.3.bias"}


def test_patches_are_a_convolution_with_large_steps():
    torch = pytest.importorskip("torch")
    patches = tinytorch.models.ViT(16, 4, 1, 2, 8, 16).conv_proj
    x = rng.standard_normal((2, 3, 16, 16)).astype(np.float32)
    want = torch.conv2d(torch.tensor(x), torch.tensor(patches.weight.array), stride=4).flatten(2).mT.numpy()
    np.testing.assert_allclose(patches(tinytorch.tensor(x)).array, want, atol=1e-5)


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_turns_points_in_the_complex_plane(interleaved):
    from tinytorch.rotary import rotary_angles, rotate
    x = rng.standard_normal((2, 6, 10))
    pairs = np.stack([x[..., 0::2], x[..., 1::2]]) if interleaved else np.stack([x[..., :5], x[..., 5:]])
    turns = np.arange(6)[:, None] * 10000.0 ** (-np.arange(5) / 5)
    want = (pairs[0] + 1j * pairs[1]) * np.exp(1j * turns)
    found = rotate(tinytorch.tensor(x), rotary_angles(6, 10), interleaved=interleaved).array
    first, second = (found[..., 0::2], found[..., 1::2]) if interleaved else (found[..., :5], found[..., 5:])
    np.testing.assert_allclose(first, want.real, atol=1e-6)
    np.testing.assert_allclose(second, want.imag, atol=1e-6)
