"""The Open Inference Protocol without a network: what is understood, and what is refused and why."""

import json

import numpy as np
import pytest

from tinytorch import nn, tensor
from tinytorch.capstone import Refused, Text
from tinytorch.models import GPT, MLP
from tinytorch.packages import save_package
from tinytorch.packages import words as in_words
from tinytorch.repository import Answerer, Author, Repository, Scribe, keep, opened_package
from tinytorch.wire import DATATYPES, Port, request_of, response_of, to_bytes

X, OUT = Port("x", "FP32", (-1, 2)), [Port("y", "FP32", (-1, 3)), Port("z", "INT64", (-1,))]
rng = np.random.default_rng(16)


def one(**changed):
    """An input as JSON; with None, a key is left out."""
    told = {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4.5]} | changed
    return {key: value for key, value in told.items() if value is not None}


def body(*inputs, **more): return json.dumps({"inputs": list(inputs or [one()]), **more}).encode()
def read(data, length=None, ports=(X,)): return request_of(data, length, list(ports), OUT)


def binary(array, port=X, **more):
    data = to_bytes(array)
    head = body(one(name=port.name, datatype=port.datatype, shape=list(array.shape), data=None,
                    parameters={"binary_data_size": len(data)}), **more)
    return head + data, str(len(head))


@pytest.mark.parametrize("data", [[1, 2, 3, 4.5], [[1, 2], [3, 4.5]]], ids=str)
def test_json_flat_or_nested(data):
    asked = read(body(one(data=data), id="42"))
    assert asked.inputs[0].dtype == np.float32 and asked.inputs[0].tolist() == [[1, 2], [3, 4.5]]
    assert asked.id == "42" and asked.outputs == [("y", False), ("z", False)]


@pytest.mark.parametrize("name", DATATYPES)
def test_bytes_of_every_type(name):
    port = Port("x", name, (-1, 2))
    array = np.array([[b"", b"\xff\x00abc"]], object) if name == "BYTES" else (
        rng.integers(0, 2, (3, 2)).astype(DATATYPES[name]))
    found = read(*binary(array, port), [port]).inputs[0]
    assert found.tolist() == array.tolist() and found.dtype == np.dtype(DATATYPES[name])


@pytest.mark.parametrize("name", DATATYPES)
def test_json_of_every_type(name):
    data = ["a", "ü"] if name == "BYTES" else [True, False] if name == "BOOL" else [1, 0]
    told = one(datatype=name, shape=[1, 2], data=data)
    found = read(body(told), ports=[Port("x", name, (-1, 2))]).inputs[0]
    assert found.tolist() == [[b"a", "ü".encode()] if name == "BYTES" else data]


WRONG = {
    "not JSON": b"{", "no object": b"[]", "no bytes of a text": b"\xff\xfe", "nothing": b"",
    "brackets": b'{"inputs": ' + b"[" * 100_000, "nan": body(one(data=[1, 2, 3, float("nan")])),
    "infinite": b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1e999, 1]}]}',
    "a key twice": b'{"inputs": [], "inputs": []}', "no inputs": b"{}", "inputs no list": b'{"inputs": {}}',
    "an input no object": body("x"), "no input": json.dumps({"inputs": []}).encode(),
    "name": body(one(name="w")), "no name": body(one(name=None)), "name a number": body(one(name=7)),
    "twice": body(one(), one()), "datatype": body(one(datatype="FP64")), "rank": body(one(shape=[4])),
    "no datatype": body(one(datatype=None)), "no rows": body(one(shape=[0, 2], data=[])),
    "width": body(one(shape=[1, 4])), "negative": body(one(shape=[-2, 2])),
    "true": body(one(shape=[True, 2])), "fraction": body(one(shape=[2.0, 2])),
    "shape no list": body(one(shape="22")), "huge": body(one(shape=[10**18, 2])),
    "too few": body(one(data=[1, 2, 3])), "too many": body(one(data=[1, 2, 3, 4, 5])),
    "ragged": body(one(data=[[1, 2, 3], [4]])), "nested too deep": body(one(data=[[[1, 2], [3, 4]]])),
    "strings": body(one(data=["1", "2", "3", "4"])), "bools": body(one(data=[True, 2, 3, 4])),
    "null": body(one(data=[None, 2, 3, 4])), "too large": body(one(data=[1e39, 2, 3, 4])),
    "far too large": body(one(data=[10**400, 2, 3, 4])), "no data": body(one(data=None)),
    "data no list": body(one(data=5)), "id": body(id=5), "parameters": body(parameters=[]),
    "timeout": body(parameters={"timeout": "soon"}), "output": body(outputs=[{"name": "nope"}]),
    "output twice": body(outputs=[{"name": "y"}, {"name": "y"}]), "output no object": body(outputs=["y"]),
    "binary": body(outputs=[{"name": "y", "parameters": {"binary_data": 1}}]),
    "classes": body(outputs=[{"name": "y", "parameters": {"classification": 3}}]),
    "bytes without a header": body(one(data=None, parameters={"binary_data_size": 16})),
    "both": body(one(parameters={"binary_data_size": 0})),
    "size": body(one(data=None, parameters={"binary_data_size": "16"})),
    "shared memory": body(one(data=None, parameters={"shared_memory_region": "r"})),
}


@pytest.mark.parametrize("data", WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_refused_with_a_sentence(data):
    with pytest.raises(Refused) as refused: read(data)
    assert 400 <= refused.value.status <= 501 and 5 < len(str(refused.value)) < 300


WHOLE = rng.standard_normal((2, 2)).astype(np.float32)


@pytest.mark.parametrize("change", [
    lambda data, length: (data[:-1], length), lambda data, length: (data + b"x", length),
    lambda data, length: (data, str(int(length) + 1)), lambda data, length: (data, str(10**9)),
    lambda data, length: (data, "-1"), lambda data, length: (data, "12x"), lambda data, length: (data, "٣"),
    lambda data, length: (data, ""), lambda data, length: (data, "9" * 5000),
    lambda data, length: (data, None), lambda data, length: (data.replace(b"16", b"-4"), length),
    lambda data, length: (data.replace(b"16", b"12"), length),
])
def test_bytes_that_are_cut_or_lie(change):
    with pytest.raises(Refused): read(*change(*binary(WHOLE)))


def test_what_was_understood_before_is_not_answered_before():
    other = WHOLE + 1
    for x in (WHOLE, other, WHOLE):
        assert np.array_equal(read(*binary(x)).inputs[0], x), "the same JSON, and other numbers behind it"
    data, length = binary(WHOLE)
    with pytest.raises(Refused): read(data[:-4], length)
    with pytest.raises(Refused): read(data, length, [Port("x", "FP32", (-1, 3))])
    with pytest.raises(Refused): read(data, length, [Port("x", "INT32", (-1, 2))])
    assert np.array_equal(read(data, length).inputs[0], WHOLE), "what was refused in between is forgotten"


@pytest.mark.parametrize("data", [b"\x05\0\0\0abc", b"\x01\0\0\0ab", b"\x01\0\0", b"\xff\xff\xff\xffa", b""])
def test_strings_that_lie_about_their_length(data):
    port = Port("x", "BYTES", (-1,))
    head = body(one(datatype="BYTES", shape=[1], data=None, parameters={"binary_data_size": len(data)}))
    with pytest.raises(Refused): read(head + data, str(len(head)), [port])


@pytest.mark.parametrize(("datatype", "data"), [
    ("UINT8", [256, 0]), ("UINT8", [-1, 0]), ("INT8", [128, 0]), ("INT32", [1.0, 2]), ("INT64", [2**63, 0]),
    ("UINT64", [-1, 2**64 - 1]), ("BOOL", [1, 0]), ("FP16", [70000, 0]), ("BYTES", [1, 2]),
])
def test_numbers_that_do_not_fit_are_not_bent(datatype, data):
    told = one(datatype=datatype, shape=[1, 2], data=data)
    with pytest.raises(Refused): read(body(told), ports=[Port("x", datatype, (-1, 2))])


def test_answers_in_json_and_in_bytes():
    y, z = np.float32([[1, 2, 3]]), np.array([7])
    wish = [{"name": "z"}, {"name": "y", "parameters": {"binary_data": True}}]
    asked = read(body(one(), id="a", outputs=wish))
    said, length = response_of(asked, "m", "2", OUT, [y, z])
    assert json.loads(said[:length]) == {
        "model_name": "m", "model_version": "2", "id": "a", "outputs": [
            {"name": "z", "datatype": "INT64", "shape": [1], "data": [7]},
            {"name": "y", "datatype": "FP32", "shape": [1, 3], "parameters": {"binary_data_size": 12}}]}
    assert np.frombuffer(said[length:], "<f4").tolist() == [1, 2, 3]
    said, length = response_of(read(body()), "m", "2", OUT, [y, z])
    assert length is None and json.loads(said)["outputs"][0]["data"] == [1, 2, 3]
    with pytest.raises(Refused, match="not finite"): response_of(read(body()), "m", "2", OUT, [y * np.inf, z])


# ------------------------------------------------------------------------------------- the repository

PORTS = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}],
         "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}]}
CONFIG = {"model": "MLP", "arguments": [2, 3], **PORTS}


def mlp(value):
    model = MLP(2, 3)
    for p in model.parameters(): p.data.fill_(value)
    return model


def ask(repository, name="m", version=None):
    with repository.lent(name, version) as model:
        return model.submit([np.ones((1, 2), np.float32)], float("inf"), {}).result(20)[0][0, 0].item()


def test_versions_are_loaded_replaced_and_removed(tmp_path):
    keep(mlp(1.0), tmp_path / "m/1", CONFIG)
    keep(mlp(2.0), tmp_path / "m/10", CONFIG)
    keep(mlp(1.5), tmp_path / "m/9", CONFIG)
    repository = Repository(tmp_path)
    repository.load_all()
    assert repository.versions == {"m": ["1", "9", "10"]}
    assert ask(repository) == 6 and ask(repository, version="1") == 3
    keep(mlp(4.0), tmp_path / "m/10", CONFIG)
    repository.load("m")
    assert ask(repository) == 12, "a file that was replaced is loaded anew"
    for path in (tmp_path / "m/10").iterdir(): path.unlink()
    (tmp_path / "m/10").rmdir()
    repository.load("m")
    assert ask(repository) == 4.5 and repository.versions == {"m": ["1", "9"]}
    repository.unload("m")
    with pytest.raises(Refused) as refused: ask(repository)
    assert refused.value.status == 404


def test_a_signed_version_is_lent_and_a_changed_one_is_not(tmp_path):
    def sign(version, value):
        save_package(tmp_path / "m" / version, mlp(value), name="m", key=b"a key", **PORTS,
                     preprocessing=[["divide", 2]], architecture=in_words("tinytorch.models.MLP", 2, 3))
    repository = Repository(tmp_path, opened=opened_package(b"a key"))
    sign("1", 1.0)
    repository.load("m")
    assert ask(repository) == 2, "what comes in is prepared as in training: 1 / 2 + 1 / 2, and 1"
    sign("2", 2.0)
    weights = tmp_path / "m/2/weights.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(Refused, match=r"Tampered.*weights\.safetensors was changed"): repository.load("m")
    assert ask(repository) == 2 and repository.versions == {"m": ["1"]}, "the version before stays"
    weights.write_bytes(good)
    repository.load("m")
    assert ask(repository) == 4
    stranger = Repository(tmp_path, opened=opened_package(b"another key"))
    with pytest.raises(Refused, match="not signed with this key"): stranger.load("m")
    assert not stranger.versions
    with pytest.raises(Refused, match="opened with its key"): Repository(tmp_path).load("m")
    keep(mlp(1.0), tmp_path / "plain/1", CONFIG)
    with pytest.raises(Refused, match="nobody signed it"): repository.load("plain")


def test_a_signed_writer_writes(tmp_path):
    gpt = GPT(3, 8, 1, 2, 8)
    save_package(tmp_path / "w/1", gpt, name="w", key=b"a key", letters="abc",
                 architecture=in_words("tinytorch.models.GPT", 3, 8, 1, 2, 8))
    repository = Repository(tmp_path, opened=opened_package(b"a key"))
    repository.load("w")
    prompt = np.array([b"ab"], object)
    with repository.lent("w") as author:
        [said] = author.submit([prompt], float("inf"), {"max_tokens": 4, "seed": 1}).result(20)
    assert said[0].startswith(b"ab") and len(said[0]) == 6
    repository.close()


@pytest.mark.parametrize("harm", [
    lambda folder: (folder / "model.safetensors").write_bytes(b"half"),
    lambda folder: (folder / "model.safetensors").unlink(),
    lambda folder: (folder / "config.json").write_text("{"),
    lambda folder: (folder / "config.json").write_text(json.dumps(CONFIG | {"model": "os.system"})),
    lambda folder: (folder / "config.json").write_text(json.dumps(CONFIG | {"arguments": [2, 4]})),
    lambda folder: (folder / "config.json").write_text(json.dumps(CONFIG | {"outputs": PORTS["inputs"]})),
    lambda folder: (folder / "config.json").write_text(json.dumps({"model": "MLP", "arguments": [2, 3]})),
])
def test_what_cannot_be_loaded_leaves_what_is_lent(harm, tmp_path):
    keep(mlp(1.0), tmp_path / "m/1", CONFIG)
    repository = Repository(tmp_path)
    repository.load("m")
    harm(tmp_path / "m/1")
    with pytest.raises(Refused, match="version 1"): repository.load("m")
    assert ask(repository) == 3 and repository.reasons["m"]
    keep(mlp(2.0), tmp_path / "m/1", CONFIG)
    repository.load("m")
    assert ask(repository) == 6 and not repository.reasons["m"]
    repository.close()


@pytest.mark.parametrize("name", ["..", "../m", "", ".", "m/1", "/etc", "nope"])
def test_there_is_no_way_out_of_the_folder(name, tmp_path):
    keep(mlp(1.0), tmp_path / "all/m/1", CONFIG)
    with pytest.raises(Refused) as refused: Repository(tmp_path / "all").load(name)
    assert refused.value.status == 404


def test_the_folder_of_one_model(tmp_path):
    keep(mlp(1.0), tmp_path / "m/1", CONFIG)
    repository = Repository(tmp_path / "m")
    repository.load_all()
    assert repository.versions == {"m": ["1"]}
    repository.close()


@pytest.mark.parametrize("told", [
    {}, {"name": "x"}, {"name": 1, "datatype": "FP32", "shape": [-1]},
    {"name": "x", "datatype": "F", "shape": [-1]},
    {"name": "x", "datatype": "FP32", "shape": [3]}, {"name": "x", "datatype": "FP32", "shape": [-1, 0]},
    {"name": "x", "datatype": "FP32", "shape": []}, {"name": "x", "datatype": "FP32", "shape": [-1, "3"]}, 5,
])
def test_ports_that_are_none(told):
    with pytest.raises(ValueError): Port.of(told)


def test_a_module_with_several_ports():
    class Both(nn.Module):
        def forward(self, a, b): return a + b, a.sum(-1)
    ports = {"inputs": [{"name": n, "datatype": "FP32", "shape": [-1, 2]} for n in "ab"],
             "outputs": [PORTS["inputs"][0], {"name": "s", "datatype": "FP32", "shape": [-1]}]}
    model = Answerer("both", "1", ports, Both())
    a, b = np.float32([[1, 2]]), np.float32([[3, 4]])
    found = model.submit([a, b], float("inf"), {}).result(20)
    assert found[0].tolist() == [[4, 6]] and found[1].tolist() == [3]
    model.close()


# ------------------------------------------------------------------------------------------ the scribe

def babbler(): return GPT(5, 16, 1, 2, 8).eval()


def heard(scribe, text, **more):
    import queue
    words = queue.SimpleQueue()
    scribe.submit(text, words.put, **more)
    return words


def all_of(words):
    return list(iter(lambda: words.get(timeout=20), None))


def test_a_scribe_writes_for_many_and_tells_everybody_the_end():
    scribe = Scribe(babbler(), at_once=3)
    texts = [Text([n % 5], 1 + n % 7, seed=n) for n in range(20)]
    streams = [heard(scribe, text) for text in texts]
    for text, words in zip(texts, streams): assert [text.ids[0], *all_of(words)] == text.ids
    assert [len(t.ids) for t in texts] == [2 + n % 7 for n in range(20)]
    scribe.close()


def test_who_has_left_a_scribe_makes_room():
    scribe = Scribe(babbler(), at_once=1)
    long = Text([1], 12)
    words = heard(scribe, long)
    words.get(timeout=20)
    long.done = True
    assert len(all_of(heard(scribe, Text([2], 3)))) == 3
    scribe.close()


def test_a_scribe_refuses_and_is_late():
    scribe = Scribe(babbler(), bound=0)
    with pytest.raises(Refused) as refused: heard(scribe, Text([1]))
    assert refused.value.status == 429
    scribe.bound = 9
    with pytest.raises(Refused, match="1 to 16 words"): heard(scribe, Text([]))
    assert heard(scribe, Text([1]), deadline=0.0).get(timeout=20).status == 504
    scribe.close()
    with pytest.raises(Refused) as refused: heard(scribe, Text([1]))
    assert refused.value.status == 503


def test_a_scribe_whose_model_raises_tells_everybody_and_goes_on():
    class Raising(nn.Module):
        def forward(self, x): raise ValueError("no idea")
    model = babbler()
    scribe = Scribe(model)
    head, model.lm_head = model.lm_head, Raising()
    found = heard(scribe, Text([1])).get(timeout=20)
    assert isinstance(found, ValueError)
    model.lm_head = head
    assert len(all_of(heard(scribe, Text([1], 3)))) == 3
    scribe.close()


def test_an_author_reads_letters_and_checks_what_is_asked():
    author = Author("a", "1", {"letters": "abcde"}, babbler())
    said = author.submit([np.array([b"abc", b"e"], object)], float("inf"), {"max_tokens": 2}).result(20)[0]
    assert [len(s) for s in said] == [5, 3] and said[0].startswith(b"abc")
    for wrong in ({"max_tokens": 0}, {"top_p": 2}, {"temperature": "hot"}, {"seed": 1.5}, {"top_k": True}):
        with pytest.raises(Refused, match="is a number from"): author.text("a", wrong)
    with pytest.raises(Refused, match="alphabet"): author.text("xyz", {})
    with pytest.raises(ValueError, match="letters do not fit"): Author("a", "1", {"letters": "ab"}, babbler())
    assert len(author.text("abcde" * 10, {}).ids) == 16, "what is too long keeps its end"
    assert tensor(author.text("a", {"seed": 3}).ids).tolist() == [0]
    author.close()
