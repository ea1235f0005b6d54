"""Held-out FVE against rows seen: the same rows in the same order, the same batches, K and F; each
trainer with the best rate of one list.

The search goes to a neighbour in the list as long as that is better, from the rate where a trainer
is expected to be best: rates further away are not tried.
"""
from common import BATCH, K, run_child, say
from given import Given, real_rows
from ours import curve, train
from results import keep, load, machine, table
import plot

RATES = (5e-4, 1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2)
FEATURES = 4608
POINTS = 10
BELOW = 0.002  # Sluice may be below the best peer by this
TRAINERS = {
    "topk": ("Sluice", "sparsify", "SAELens", "dictionary_learning"),
    "batchtopk": ("Sluice", "SAELens"),
    "matryoshka": ("Sluice", "SAELens"),
}
FIRST = 4e-3  # to try


def one(work, given, trainer, arch, rate, steps):
    every = max(1, steps // POINTS)
    if trainer == "Sluice":
        sae = {"arch": arch, "features": FEATURES, "k": K, "rate": rate}
        _, _, out = train(work, given.folder, steps, every, sae)
        return curve(out / "0", given.held(), K, arch != "topk")
    return run_child(work, "peer", given=str(given.folder), peer=trainer, arch=arch, rate=rate,
                     features=FEATURES, steps=steps, every=every)["curve"]


def known(found, trainer, rate):
    """Whether an earlier run tells this curve: ours of this commit, a peer's of this machine."""
    same, now = "commit" if trainer == "Sluice" else "machine", machine()
    told = found.get(str(rate), {}).get(same) == now[same]
    return told and not (trainer == "Sluice" and now["commit"].endswith("-dirty"))


def best(work, given, name, trainer, arch, steps):
    """Curves by rate, and the best rate."""
    found = load().get(name, {}).get(f"{trainer} {steps}", {})
    at = RATES.index(FIRST)
    while True:
        near = RATES[max(0, at - 1):at + 2]
        for rate in near:
            if known(found, trainer, rate):
                continue
            say(f"{name}: {trainer}, rate {rate:g}, {steps} steps")
            curve = one(work, given, trainer, arch, rate, steps)
            found[str(rate)] = {"curve": curve, **machine()}
            say(f"{name}: {trainer}, rate {rate:g}: FVE {curve[-1][1]:.4f}")
            keep(name, {**load().get(name, {}), f"{trainer} {steps}": found})
        top = max(near, key=lambda rate: found[str(rate)]["curve"][-1][1])
        if top == RATES[at]:
            return found[str(top)]["curve"], top
        at = RATES.index(top)


def architecture(arch):
    def part(name, work):
        given = Given(real_rows())
        steps = len(given.order) // BATCH if arch == "topk" else len(given.order) // BATCH // 2
        found = {trainer: best(work, given, name, trainer, arch, steps)
                 for trainer in TRAINERS[arch]}
        last = {trainer: curve[-1][1] for trainer, (curve, _) in found.items()}
        peer = max(score for trainer, score in last.items() if trainer != "Sluice")
        rows = [[trainer, f"{rate:g}", f"{last[trainer]:.4f}",
                 f"{last[trainer] - peer:+.4f}" if trainer == "Sluice" else ""]
                for trainer, (_, rate) in found.items()]
        table(f"{name}: held-out FVE after {steps * BATCH:,} rows, F {FEATURES}, L0 {K}, B {BATCH} "
              f"(aim: not below the best peer by more than {BELOW})",
              ["trainer", "best rate", "FVE", "over the best peer"], rows)
        plot.lines(
            f"docs/fve-{arch}.svg", f"{arch}, F {FEATURES}, L0 {K}: rows seen", "held-out FVE",
            {f"{trainer}, rate {rate:g}": curve for trainer, (curve, rate) in found.items()})
    return part


PARTS = {f"curves-{arch}": architecture(arch) for arch in TRAINERS}
