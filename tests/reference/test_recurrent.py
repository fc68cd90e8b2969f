"""RNN, LSTM, GRU, their cells and packed sequences against PyTorch: the same line, run on both."""

import numpy as np
import pytest

rng = np.random.default_rng(8)
DATA = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in {
    "x": (6, 3, 4), "xb": (3, 6, 4), "solo": (6, 4), "h": (1, 3, 5), "c": (1, 3, 5), "h4": (4, 3, 5),
    "c4": (4, 3, 5), "h1": (1, 5), "row": (3, 4), "state": (3, 5), "memory": (3, 5), "word": (4,),
    "hp": (1, 3, 2), "long": (300, 2, 4), "one": (1, 1, 4), "empty": (6, 0, 4),
}.items()}


def names(t):
    found = {name: t.tensor(array) for name, array in DATA.items()}
    found |= {"nn": t.nn, "rnn": __import__(f"{t.__name__}.nn.utils.rnn", fromlist=["rnn"])}
    found["texts"] = [t.tensor(DATA["x"][:n, i]) for i, n in enumerate((6, 2, 4))]
    found["sorted_texts"] = [found["texts"][i] for i in (0, 2, 1)]
    return found


KINDS = ("RNN", "LSTM", "GRU")
EACH = """
    m = nn.{kind}(4, 5); m(x)
    m = nn.{kind}(4, 5); list(m.parameters())
    m = nn.{kind}(4, 5, num_layers=2, bidirectional=True); list(m.parameters())
    m = nn.{kind}(4, 5); m(solo)
    m = nn.{kind}(4, 5); m(one)
    m = nn.{kind}(4, 5); m(long)
    m = nn.{kind}(4, 5); m(empty)
    m = nn.{kind}(4, 5); m(x[:0])
    m = nn.{kind}(1, 1); m(x[:, :, :1])
    m = nn.{kind}(4, 5, bias=False); m(x)
    m = nn.{kind}(4, 5, batch_first=True); m(xb)
    m = nn.{kind}(4, 5, batch_first=True); m(solo)
    m = nn.{kind}(4, 5, num_layers=3); m(x)
    m = nn.{kind}(4, 5, bidirectional=True); m(x)
    m = nn.{kind}(4, 5, num_layers=2, bidirectional=True, batch_first=True); m(xb)
    m = nn.{kind}(4, 5, num_layers=2, dropout=0.5).eval(); m(x)
    m = nn.{kind}(4, 5, dtype=t.float64); m(x.double())
    m = nn.{kind}(4, 5, num_layers=2, bidirectional=True, dtype=t.float64); m(x.double())
    m = nn.{kind}(4, 5); m(x.transpose(0, 1)[:, :3])
    m = nn.{kind}(4, 5); m(x[..., :].flip(0))
    m = nn.{kind}(4, 5); m(3 * x)
    m = nn.{kind}(4, 5); m(rnn.pack_sequence(texts, enforce_sorted=False))
    m = nn.{kind}(4, 5); m(rnn.pack_sequence(sorted_texts))
    m = nn.{kind}(4, 5, 2, bidirectional=True); m(rnn.pack_sequence(texts, enforce_sorted=False))
    m = nn.{kind}(4, 5, 2, bidirectional=True); rnn.pad_packed_sequence(m(rnn.pack_sequence(texts, False))[0])
    list(nn.{kind}(4, 5, num_layers=2, bidirectional=True).state_dict())
    [len(part) for part in nn.{kind}(4, 5, num_layers=2).all_weights]
    repr(nn.{kind}(4, 5))
    repr(nn.{kind}(4, 5, num_layers=2, bias=False, batch_first=True, dropout=0.5, bidirectional=True))
    nn.{kind}(4, 5).flatten_parameters()
    nn.{kind}(4, 0)
    nn.{kind}(4, 5, num_layers=0)
    nn.{kind}(4, 5, dropout=1.5)
    nn.{kind}(4, 2.5)
    m = nn.{kind}(4, 5); m(x[..., :3])
    m = nn.{kind}(4, 5); m(x.double())
    m = nn.{kind}(4, 5); m(x[None])
    m = nn.{kind}(4, 5); m(word)
"""
SOME = """
    m = nn.RNN(4, 5); m(x, h)
    m = nn.RNN(4, 5, 2, bidirectional=True); m(x, h4)
    m = nn.RNN(4, 5); m(solo, h1)
    m = nn.RNN(4, 5, nonlinearity='relu'); m(x)
    m = nn.RNN(4, 5, 2, 'relu', True, True); m(xb)
    m = nn.RNN(4, 5); m(x, h[:, :2])
    m = nn.RNN(4, 5); m(rnn.pack_sequence(texts, False), h)
    nn.RNN(4, 5, nonlinearity='gelu')
    m = nn.GRU(4, 5); m(x, h)
    m = nn.GRU(4, 5, 2, bidirectional=True); m(x, h4)
    m = nn.GRU(4, 5); m(solo, h1)
    m = nn.GRU(4, 5); m(x, h4)
    m = nn.GRU(4, 5); m(rnn.pack_sequence(texts, False), h)
    m = nn.LSTM(4, 5); m(x, (h, c))
    m = nn.LSTM(4, 5, 2, bidirectional=True); m(x, (h4, c4))
    m = nn.LSTM(4, 5); m(solo, (h1, h1))
    m = nn.LSTM(4, 5); m(x, (h, c[:, :2]))
    m = nn.LSTM(4, 5); m(rnn.pack_sequence(texts, False), (h, c))
    m = nn.LSTM(4, 5, proj_size=2); m(x)
    m = nn.LSTM(4, 5, proj_size=2); m(x, (hp, c))
    m = nn.LSTM(4, 5, 2, proj_size=2, bidirectional=True, bias=False); m(x)
    m = nn.LSTM(4, 5, 2, proj_size=2, bidirectional=True); (list(m.state_dict()), list(m.parameters()))
    m = nn.LSTM(4, 5, proj_size=2); m(rnn.pack_sequence(texts, False))
    m = nn.LSTM(4, 5); m(rnn.pack_sequence(texts[1:2]))
    repr(nn.LSTM(4, 5, proj_size=3))
    nn.LSTM(4, 5, proj_size=5)
    nn.LSTM(4, 5, proj_size=-1)
    m = nn.RNNCell(4, 5); m(row, state)
    m = nn.RNNCell(4, 5, nonlinearity='relu'); m(row)
    m = nn.RNNCell(4, 5, bias=False); m(word)
    m = nn.GRUCell(4, 5); m(row, state)
    m = nn.GRUCell(4, 5, False); m(row)
    m = nn.GRUCell(4, 5); m(word, state[0])
    m = nn.LSTMCell(4, 5); m(row, (state, memory))
    m = nn.LSTMCell(4, 5); m(row)
    m = nn.LSTMCell(4, 5, bias=False); m(word, (state[0], memory[0]))
    m = nn.LSTMCell(4, 5, dtype=t.float64); m(row.double())
    m = nn.LSTMCell(4, 5); m(row, (state[:2], memory))
    m = nn.GRUCell(4, 5); m(row[:, :3])
    m = nn.GRUCell(4, 5); m(row, state[:, :3])
    m = nn.GRUCell(4, 5); m(x)
    m = nn.LSTMCell(4, 5); list(m.parameters())
    repr(nn.RNNCell(4, 5, False, 'relu'))
    repr(nn.GRUCell(4, 5))
    m = nn.GRUCell(4, 5); t.gru_cell(row, state, m.weight_ih, m.weight_hh, m.bias_ih, m.bias_hh)
    m = nn.LSTMCell(4, 5); t.lstm_cell(row, (state, memory), m.weight_ih, m.weight_hh)
    m = nn.RNNCell(4, 5); t.rnn_tanh_cell(row, state, m.weight_ih, m.weight_hh, m.bias_ih, m.bias_hh)
    m = nn.RNNCell(4, 5); t.rnn_relu_cell(row, state, m.weight_ih, m.weight_hh, m.bias_ih, m.bias_hh)
"""
PACKED = """
    tuple(rnn.pack_padded_sequence(x, [6, 4, 2]))[:2]
    tuple(rnn.pack_padded_sequence(x, t.tensor([2, 6, 4]), enforce_sorted=False))
    tuple(rnn.pack_padded_sequence(xb, [3, 3, 1], batch_first=True))[:2]
    tuple(rnn.pack_padded_sequence(xb, [1, 3, 2], True, False))
    rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, [6, 4, 2]))
    rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, [2, 6, 4], enforce_sorted=False), True, -1.0)
    rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, [5, 4, 2]), total_length=9)
    rnn.pad_packed_sequence(rnn.pack_padded_sequence(x, [5, 4, 2]), total_length=4)
    rnn.pad_sequence(texts)
    rnn.pad_sequence(texts, True, 7.0)
    rnn.pad_sequence(texts, padding_side='left')
    rnn.pad_sequence(texts, padding_side='middle')
    rnn.pad_sequence([t.tensor([1, 2]), t.tensor([3])], batch_first=True)
    rnn.pad_sequence([])
    tuple(rnn.pack_sequence(texts, False))
    tuple(rnn.pack_sequence(sorted_texts))[:2]
    rnn.pack_sequence(texts)
    rnn.unpad_sequence(x, t.tensor([2, 6, 1]))
    rnn.unpad_sequence(xb, t.tensor([2, 6, 1]), batch_first=True)
    rnn.unpack_sequence(rnn.pack_sequence(texts, False))
    rnn.pack_padded_sequence(x, [6, 4])
    rnn.pack_padded_sequence(x, [6, 4, 0])
    rnn.pack_padded_sequence(x, [4, 6, 2])
    rnn.invert_permutation(t.tensor([2, 0, 1]))
    rnn.invert_permutation(None)
    rnn.pack_sequence(texts, False).double().data
    tuple(rnn.PackedSequence(x, t.tensor([3, 2])))[:2]
"""


def lines(table, **words): return [line.strip().format(**words) for line in table.strip().split("\n")]


@pytest.mark.parametrize("line", [line for kind in KINDS for line in lines(EACH, kind=kind)] + lines(SOME))
def test_a_network_reads_as_in_pytorch(agree_as_layers, line):
    agree_as_layers(f"t.manual_seed(1); {line}", names)


@pytest.mark.parametrize("line", lines(PACKED))
def test_sequences_are_packed_as_in_pytorch(agree, line): agree(line, names)


def test_a_sequence_cannot_be_longer_than_its_box():
    import tinytorch
    with pytest.raises(RuntimeError, match="7 does not fit into 6"):        # PyTorch makes up a step
        tinytorch.nn.utils.rnn.pack_padded_sequence(tinytorch.tensor(DATA["x"]), [7, 4, 2])


def test_dropout_between_layers_warns_when_there_is_only_one():
    from tinytorch import nn
    with pytest.warns(UserWarning, match="between layers"): nn.GRU(4, 5, dropout=0.5)


def test_the_states_of_all_steps_are_kept_for_the_gradient():
    import tinytorch
    from tinytorch.recurrent import lstm_layer
    x, h, c = [tinytorch.tensor(DATA[name]) for name in ("row", "state", "memory")]
    w, u = [tinytorch.tensor(rng.standard_normal(s).astype(np.float32)) for s in ((20, 4), (20, 5))]
    out, _, last = lstm_layer(x, h, c, w, u, sizes=[3])
    cells, gates = out.kept
    assert np.array_equal(cells[-1].T, last.array)
    write, keep, say, new = gates[0]
    assert np.allclose(cells[0], keep * c.array.T + write * new, atol=1e-6)
    assert np.allclose(out.array.T, say * np.tanh(cells[0]), atol=1e-6)
