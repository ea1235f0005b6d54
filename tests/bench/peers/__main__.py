"""Sluice and its peers on the same model, tokens, rows and machine: `make bench-peers`.

    scripts/interop.sh peers [PART]...     prints a table each; all parts, where none is named

Parts, with minutes on two quiet cores: LIST

Each part adds what it measured to build/peers.json. Everything computes in float32, and nothing is
logged to a server. Environment: BENCH_PEER_THREADS (default 2), BENCH_PEER_CONTEXTS (default 1040: of
512 tokens, the rows that trainers get), BENCH_PEER_ROWS (default 100000: of the end-to-end parts),
BENCH_TRUTH_ROWS (default 1000000: of true features), and what inspected.py says.
"""
import json
import pathlib
import sys
import tempfile
import time

from common import say

MINUTES = {
    "speed-topk": 3, "speed-batchtopk": 3, "speed-matryoshka": 4, "speed-l1": 2,
    "sizes-small": 4, "sizes-large": 8, "whole-4608": 4, "whole-18432": 6, "whole-eight": 4,
    "truth-topk": 6, "truth-batchtopk": 6, "truth-matryoshka": 6, "truth-jumprelu": 6, "truth-l1": 6,
    "inspect": 12,
    "curves-topk": 25, "curves-batchtopk": 20, "curves-matryoshka": 30,
}


def parts():
    import curves
    import inspected
    import sizes
    import speed
    import truth
    import whole

    found = {**speed.PARTS, **sizes.PARTS, **whole.PARTS, **truth.PARTS, **inspected.PARTS,
             **curves.PARTS}
    return {name: found[name] for name in MINUTES}


def child(name, job):
    import inspected
    import theirs
    import truth
    import whole

    children = {"peer": theirs.train, "saelens-whole": whole.saelens, "truth": truth.make_rows,
                "dashboard": inspected.dashboard}
    print("\n" + json.dumps(children[name](**job)))


def run(names):
    known = parts()
    for name in names or known:
        begun = time.time()
        say(f"== {name}: about {MINUTES[name]} minutes")
        with tempfile.TemporaryDirectory() as folder:
            known[name](name, pathlib.Path(folder))
        say(f"== {name}: {(time.time() - begun) / 60:.1f} minutes")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["child", name, job]:
            child(name, json.loads(job))
        case names if set(names) <= set(MINUTES):
            run(names)
        case _:
            listed = ", ".join(f"{name} {minutes}" for name, minutes in MINUTES.items())
            raise SystemExit(__doc__.replace("LIST", listed))
