"""A repository lends networks whose weights are bytes, as it lends those of floats."""

import json

import numpy as np
import pytest

import tinytorch as tt
from tinytorch.ao import quantization
from tinytorch.models import MLP
from tinytorch.repository import Answerer, Repository, keep, opened_version

CONFIG = {"model": "MLP", "arguments": [6, 5, 3],
          "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 6]}],
          "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}]}
x = np.random.default_rng(16).normal(size=(4, 6)).astype(np.float32)


def static(model):
    model.qconfig = quantization.get_default_qconfig()
    watched = quantization.prepare(model)
    watched(tt.tensor(x))
    return quantization.convert(watched)


@pytest.mark.parametrize("pressed", [static, quantization.quantize_dynamic, lambda model: model])
def test_it_answers_as_the_network_that_was_kept(pressed, tmp_path):
    tt.manual_seed(16)
    model = pressed(MLP(6, 5, 3).eval())
    keep(model, tmp_path / "m/1", CONFIG)
    repository = Repository(tmp_path)
    repository.load("m")
    with repository.lent("m") as lent: [y] = lent.submit([x], float("inf"), {}).result(10)
    with tt.no_grad(): np.testing.assert_array_equal(y, model(tt.tensor(x)).numpy())
    kinds = {name: told["dtype"] for name, told in header(tmp_path / "m/1/model.safetensors").items()}
    assert (kinds["layers.0.weight"] == "I8") is (pressed(MLP(6, 5, 3)).layers[0].weight.dtype == tt.int8)
    repository.close()


def header(path) -> dict:
    data = path.read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def test_a_version_may_be_opened_in_another_way(tmp_path):
    class Doubled(Answerer):
        def function(self, x): return tuple([2 * y for y in super().function(x)])

    def opened(name, version, folder):
        usual = opened_version(name, version, folder)
        usual.close()
        return Doubled(name, version, CONFIG, usual.module)
    model = MLP(6, 5, 3)
    keep(model, tmp_path / "m/1", CONFIG)
    repository = Repository(tmp_path, opened=opened)
    repository.load("m")
    with repository.lent("m") as lent: [y] = lent.submit([x], float("inf"), {}).result(10)
    with tt.no_grad(): np.testing.assert_allclose(y, 2 * model(tt.tensor(x)).numpy(), rtol=1e-6)
    repository.close()
