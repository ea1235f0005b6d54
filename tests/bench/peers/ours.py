"""Sluice's trainer on a file of rows: tests/bench/bench_learn.c."""
import json
import shutil

from common import BATCH, BUILD, THREADS, run_measured
from learned import fve, read_export

# Where steps are timed: a plan so long that its tenth, after which a silent feature is dead, is out of
# reach, as the peers' own windows are (SAELens: 1,000 steps); else AuxK would have work in ours alone.
LONG_PLAN = 20000


def train(work, given, steps, every, *saes, batch=BATCH, product=False, exports=True):
    """Each SAE a dict of bench_learn's options. Its lines, MiB, and the folder of its exports."""
    out = work / "exports"
    shutil.rmtree(out, ignore_errors=True)
    for i in range(len(saes)):
        (out / str(i)).mkdir(parents=True)
    told = [",".join(f"{key}={value}" for key, value in sae.items()) for sae in saes]
    command = [BUILD / "tests/bench/bench_learn", given, str(batch), str(THREADS), str(steps),
               str(every), out if exports else "-", *(["product=1"] if product else []), *told]
    lines, _, mib = run_measured(work, *command)
    return [json.loads(line) for line in lines], mib, out


def curve(out, held, k, whole, batch=BATCH):
    """[rows seen, held-out FVE] of each export of one SAE."""
    steps = sorted(int(path.name) for path in out.iterdir())
    return [[step * batch, fve(read_export(out / str(step)), held, k, whole)] for step in steps]
