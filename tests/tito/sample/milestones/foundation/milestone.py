"""Pebbles: the learner's own package counts a heap of them."""

import json
import os
import sys
from pathlib import Path

import tinytorch

place = dict(zip(sys.argv[1::2], sys.argv[2::2])).get("--data", "beach")
print(f"1957 pebbles lie on the {place}.")
counted = 0
for heap in (1000, 900, 57): counted = tinytorch.add(counted, heap)
print(f"You counted {counted}.")
test = {
    "name": "every pebble is counted", "status": "passed" if counted == 1957 else "failed",
    "message": "1957 pebbles lie there", "expected": "1957", "got": str(counted),
}
Path(os.environ["TITO_REPORT"]).write_text(json.dumps({"tests": [test], "numbers": {"pebbles": counted}}))
