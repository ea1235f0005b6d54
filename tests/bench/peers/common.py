"""What all parts share: sizes, progress, processes and the memory they take."""
import json
import os
import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = ROOT / os.environ.get("BUILD", "build")
MODEL = pathlib.Path(os.environ["SLUICE_MODEL"])
CORPUS = pathlib.Path(os.environ["SLUICE_CORPUS"])
CACHE = MODEL.parents[1]
AMX = " amx_tile" in pathlib.Path("/proc/cpuinfo").read_text()
THREADS = int(os.environ.get("BENCH_PEER_THREADS", "2"))
LAYER, WIDTH, CONTEXT = 15, 576, 512
BATCH, K, RATE = 4096, 32, 1e-3


def say(text):
    print(text, file=sys.stderr, flush=True)


def peak_mib(report):
    """Anonymous and shared memory of all processes of a bench_memory."""
    return float(re.search(r"^all .*=(.*)", report.read_text(), re.M)[1])


def run_measured(folder, *command):
    """Lines that a command prints, its seconds and its MiB."""
    report = folder / "memory"
    begun = time.time()
    out = subprocess.run(
        [BUILD / "tests/bench/bench_memory", report, *command],
        check=True, text=True, stdout=subprocess.PIPE,
    ).stdout
    return out.splitlines(), time.time() - begun, peak_mib(report)


def run_child(folder, name, **job):
    """Run one of child()'s functions in __main__.py in a process of its own: what it returned, with its
    seconds and MiB."""
    main = pathlib.Path(__file__).parent
    lines, seconds, mib = run_measured(
        folder, sys.executable, main, "child", name, json.dumps({**job, "folder": str(folder)}))
    return {"seconds": seconds, "mib": mib, **json.loads(lines[-1])}


def use_threads(seed=0):
    import torch

    torch.set_num_threads(THREADS)
    torch.manual_seed(seed)
