"""Results: one JSON file that each part adds to, tables for people, and what was aimed at."""
import datetime
import fcntl
import json
import os
import subprocess

from common import BUILD, ROOT, THREADS

FILE = BUILD / "peers.json"


def machine():
    model = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if "model name" in line)
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], text=True,
                            capture_output=True).stdout.strip()
    return {"machine": model, "cores": os.cpu_count(), "threads": THREADS, "commit": commit,
            "date": datetime.date.today().isoformat()}


def load():
    return json.loads(FILE.read_text()) if FILE.exists() else {}


def keep(part, result):
    """Replaces what is there of this part; parts may run beside each other."""
    with open(FILE.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        every = {**load(), part: {**result, **machine()}}
        new = FILE.with_suffix(".new")
        new.write_text(json.dumps(every, indent=1) + "\n")
        new.rename(FILE)


def table(title, head, rows):
    print(f"\n{title}\n")
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def against(value, target, least=True, digits=2):
    """A figure beside its aim, and whether it is met."""
    met = value >= target if least else value <= target
    return f"{value:.{digits}f} ({'>=' if least else '<='} {target:g}: {'yes' if met else 'no'})"
