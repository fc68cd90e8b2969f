"""The gate of Serving opens for the reference, and stays shut for packages with one idea broken."""

from pathlib import Path

import pytest

from tests.milestones.judging import one_test

pytest.importorskip("uvicorn", reason="pip install 'tinytorch-tito[serve]'")

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "milestones/serving/milestone.py"

ONLY = one_test("release")      # so that a package is judged in seconds

PRESSED = "a reader of digits lives on a third of its bytes, and reads as well"
SEALED = "what is served was sealed, and nothing else is"
STARTS = "the server starts, and says what it serves"
DIRECT = "an answer is that of the model, in JSON and in bytes"
CROWD = "a crowd asks at once, everybody gets their own answer, and nobody waits long"
NONSENSE = "nonsense is refused in a sentence, and the next question is answered"
LATE = "who comes too late, or when it is full, is told so at once"
MEMORY = "it writes with a memory what it writes without"
DRAWN = "words are drawn as often as temperature, top k and top p say"
STREAMS = "many texts come word by word, and each depends on its own seed alone"
CHANGE = "versions come and go while a crowd asks, and nobody is lost"
WATCHED = "what happened is counted, and a world that changed is noticed"
END = "told to end, it answers first whoever has asked"

# The test that must fail, words of its message, the module that is broken, and what is appended to it.
HERE = {        # in the process of the milestone
    "eight bits in name only": (PRESSED, "one byte", "qconfigs", """
def convert(module, mapping=None, inplace=False): return module
"""),
    "seals that nobody looks at": (SEALED, "noticed", "packages", """
def verified(folder, key): return json.loads((Path(folder) / "manifest.json").read_text())
def signed_bytes(folder, name, manifest): return (Path(folder) / name).read_bytes()
"""),
    "places that are off by one behind the first words": (MEMORY, "in pieces", "capstone", """
def places(start, old, T):
    return Tensor(np.maximum(np.arange(old, old + T) - start[:, None] - (old > 0), 0))
"""),
    "keys that are written over the last one": (MEMORY, "in pieces", "capstone", """
appended = remember
def remember(cache, layer, k, v):
    cache.length -= cache.length > 0
    try: return appended(cache, layer, k, v)
    finally: cache.length += cache.length > 0
"""),
    "a look at the future": (MEMORY, "in pieces", "capstone", """
def allowed(start, old, T): return Tensor(np.zeros((len(start), 1, T, old + T), np.float32))
"""),
    "a look at the padding": (MEMORY, "different lengths", "capstone", """
hidden = allowed
def allowed(start, old, T): return hidden(0 * start, old, T)
"""),
    "padding that counts as places": (MEMORY, "different lengths", "capstone", """
counted = places
def places(start, old, T): return counted(0 * start, old, T)
"""),
    "memories that get mixed up when somebody leaves": (MEMORY, "different lengths", "capstone", """
chosen = kept
def kept(cache, rows): return chosen(cache, range(len(rows)))
"""),
    "one word too few in the nucleus": (DRAWN, "top p", "capstone", """
def top_p(scores, p):
    best, order = sort(softmax(scores, -1), descending=True)
    stays = np.empty(len(scores), bool)
    stays[order.array] = (cumsum(best, 0) < p).array
    return where(Tensor(stays), scores, -math.inf)
"""),
    "temperature upside down": (DRAWN, "low temperature", "capstone", """
begun = Text.__post_init__
def turned(self):
    begun(self)
    self.temperature = 1 / self.temperature if self.temperature else 0
Text.__post_init__ = turned
"""),
    "always the likeliest word": (DRAWN, "as often", "capstone", """
def drawn(shares, u): return int(shares.argmax())
"""),
}

THERE = {       # in the process of the server
    "no server": (STARTS, "did not start", "service", """
def main(arguments=None): raise SystemExit("not today")
"""),
    "shapes without the batch": (STARTS, "goes in", "wire", """
Port.told = property(lambda self: {"name": self.name, "datatype": self.datatype, "shape": self.shape[1:]})
"""),
    "bytes the other way round": (DIRECT, "in bytes", "wire", """
def to_bytes(array): return array.astype(array.dtype.newbyteorder(">")).tobytes()
"""),
    "answers without the id of their question": (DIRECT, "the id", "wire", """
nameless = response_of
def response_of(request, *about):
    request.id = ""
    return nameless(request, *about)
"""),
    "weights that are served in half the bytes again": (DIRECT, "the scores", "repository", """
def load_quantized(module, state, inplace=False, exact=load_quantized):
    for name, x in state.items():
        if name.endswith("weight") and "fc" in name: state[name] = Tensor(x.array // 16 * 16)
    return exact(module, state, inplace)
"""),
    "answers that go to somebody else": (CROWD, "own answer", "capstone", """
def answer(asks, function):
    stacked = [np.concatenate(parts) for parts in zip(*[ask.inputs for ask in asks])]
    pieces = [np.split(out, np.cumsum([ask.rows for ask in asks])[:-1]) for out in function(*stacked)]
    for ask, *own in zip(reversed(asks), *pieces): ask.answer.set_result(tuple(own))
"""),
    "everybody travels alone": (CROWD, "together", "capstone", """
several = take
def take(line, max_batch, now): return several(line, 1, now)
"""),
    "a batch leaves when it is full": (CROWD, "waits for company", "capstone", """
def patience(line, max_batch, max_delay, now):
    return 0.0 if sum([ask.rows for ask in line]) >= max_batch else max(0.0, line[0].came + 1.5 - now)
"""),
    "a nap now and then": (CROWD, "one of a hundred", "capstone", """
asked, awake = [], answer
def answer(asks, function):
    asked.append(len(asks))
    if len(asked) % 25 == 0: time.sleep(5)
    awake(asks, function)
"""),
    "words that are read as numbers": (NONSENSE, "words for numbers", "wire", """
FIT["f"] = {int, float, str}
"""),
    "bytes left over that nobody minds": (NONSENSE, "belong to nothing", "wire", """
strict = halves
def halves(body, header_length):
    head, rest = strict(body, header_length)
    told = json.loads(head) if rest else {}
    return head, rest[: sum([one["parameters"]["binary_data_size"] for one in told.get("inputs", [])])]
"""),
    "a traceback for the stranger": (NONSENSE, "inside", "service", """
def excuse(error): return details(error)
"""),
    "timeouts that nobody looks at": (LATE, "time is over", "service", """
Server.seconds = lambda self, parameters: self.most_seconds
"""),
    "a line without an end": (LATE, "turned away", "repository", """
bounded = Scribe.__init__
def endless(self, model, at_once=16, bound=64, clock=time.monotonic):
    bounded(self, model, at_once, 10**9, clock)
Scribe.__init__ = endless
"""),
    "seeds that are forgotten": (STREAMS, "the seed", "capstone", """
seeded = Text.__post_init__
def forgetful(self):
    seeded(self)
    self.generator.seed()
Text.__post_init__ = forgetful
"""),
    "a stream that comes in one piece": (STREAMS, "long before its last", "service", """
async def events(first, rest):
    parts = [first, *[part async for part in rest]]
    for part in parts: yield event(part)
"""),
    "the old version goes before the new one comes": (CHANGE, "every request is answered", "repository", """
beside = Repository.load
def instead(self, name):
    if name in self.versions: self.unload(name)
    beside(self, name)
Repository.load = instead
"""),
    "the oldest version is lent": (CHANGE, "by the new one", "repository", """
newest = Repository.key
def oldest(self, name, version): return newest(self, name, version or (self.versions.get(name) or [None])[0])
Repository.key = oldest
"""),
    "an answer names a version that did not give it": (CHANGE, "that it names", "service", """
named = response_of
def response_of(request, name, version, *about): return named(request, name, "1", *about)
"""),
    "only what went well is counted": (WATCHED, "counted", "service", """
honest = Watched.note
def proud(self, which, told, seconds):
    if told["status"] < 400: honest(self, which, told, seconds)
Watched.note = proud
"""),
    "requests without a trace": (WATCHED, "in the log", "service", """
def log(**told): return None
"""),
    "a watch that sleeps": (WATCHED, "another world", "drift", """
awake = DriftWatch.check
DriftWatch.check = lambda self, now: awake(self, now)._replace(features=[])
"""),
    "an end without farewell": (END, "to its end", "service", """
patient = Loop.__init__
def hasty(self, server, **settings): patient(self, server, **{**settings, "timeout_graceful_shutdown": 0})
Loop.__init__ = hasty
"""),
}


@pytest.fixture
def spoilt(package, shut):
    """Breaks a module, and asserts that this test of the program fails, with these words."""
    def spoilt(name, word, module, sabotage):
        file = package / f"{module}.py"
        text, main, rest = file.read_text("utf-8").partition('\nif __name__ == "__main__"')
        file.write_text(f"{text}\n{sabotage}\n{main}{rest}", "utf-8")
        return shut(PROGRAM, "", name, word, "-c", ONLY, PROGRAM, name)
    return spoilt


QUICK = ("seals that nobody looks at", "places that are off by one behind the first words",
         "a look at the padding", "one word too few in the nucleus")


@pytest.mark.parametrize("what", [pytest.param(what, marks=[] if what in QUICK else pytest.mark.slow)
                                  for what in HERE | THERE])
def test_a_broken_idea_keeps_the_gate_shut_and_is_named(what, spoilt): spoilt(*(HERE | THERE)[what])


@pytest.mark.slow
def test_the_reference_opens_the_gate(play):
    code, text, report = play(PROGRAM)
    assert [t for t in report["tests"] if t["status"] != "passed"] == []
    assert code == 0 and "of the digits of unknown hands, over HTTP" in text
    n = report["numbers"]
    assert n["served"] >= 0.97 and n["smaller"] > 0.7 and n["together"] > 1.5
    assert n["turned_away"] > 0 and n["answered_at_the_end"] > 0


def test_the_reference_passes_what_is_tested_here(play):
    code, _, report = play(PROGRAM, "-c", ONLY, PROGRAM, DRAWN)
    assert code == 0 and [t["name"] for t in report["tests"]] == [DRAWN]


def test_every_test_of_the_gate_is_broken_by_somebody():
    program = PROGRAM.read_text("utf-8")
    names = [line.split('"')[1] for line in program.splitlines() if line.startswith("@gates.test(")]
    assert {name for name, *_ in (HERE | THERE).values()} == set(names)
