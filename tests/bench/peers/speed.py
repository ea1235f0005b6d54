"""Rows per second of a trainer's step alone, and what its process takes of memory."""
import statistics

from common import AMX, BATCH, K, RATE, run_child, say
from given import real_rows
from ours import LONG_PLAN, train
from results import against, keep, table

WARM_STEPS, OUR_STEPS = 4, 16
PEERS = ("SAELens", "dictionary_learning", "sparsify")
STEPS = {4608: 10, 18432: 6}  # a peer's
MEMORY = 0.3  # of SAELens's, at most
OVER_SAELENS, OVER_BEST = (10, 4) if AMX else (6, 3)
AIMS = {"topk": (OVER_SAELENS, OVER_BEST), "batchtopk": (OVER_SAELENS, None),
        "matryoshka": (OVER_SAELENS, None), "l1": (4, None)}
# l1: with the first of these lambdas L0 must lie within the bounds after so many steps.
L1 = {"lambdas": (3.5, 4.5, 2.5), "rate": 2e-3, "steps": 110, "l0": (20, 100)}


def ours_once(work, given, arch, features):
    sae = {"arch": arch, "features": features, "rate": RATE, "k": K, "plan": LONG_PLAN}
    steps, mib, _ = train(work, given, OUR_STEPS, 0, sae, exports=False)
    return [step["seconds"] for step in steps[WARM_STEPS:]], mib


def compare(part, work, given, arch, features, peers):
    """Sluice before and after the peers, so that a machine that changes meanwhile shows."""
    say(f"{part}: Sluice, F {features}")
    first, mib = ours_once(work, given, arch, features)
    result = {}
    for peer in peers:
        say(f"{part}: {peer}, F {features}")
        told = run_child(work, "peer", given=str(given), peer=peer, arch=arch, features=features,
                         steps=STEPS[features], rate=RATE, fast=True)
        result[peer] = {"rows_s": BATCH / told["step"], "mib": told["mib"]}
    second, _ = ours_once(work, given, arch, features)
    medians = [BATCH / statistics.median(seconds) for seconds in (first, second)]
    result["Sluice"] = {"rows_s": BATCH / statistics.median(first + second), "mib": mib,
                        "before_and_after": medians}
    return result


def show(part, arch, results):
    """Results by what is told of them: the number of features, mostly."""
    over_saelens, over_best = AIMS[arch]
    rows = []
    for case, result in results.items():
        ours, theirs = result["Sluice"], result["SAELens"]
        best = max(r["rows_s"] for name, r in result.items() if name != "Sluice")
        rows.append([case, "Sluice", f"{ours['rows_s']:,.0f}", "", f"{ours['mib']:,.0f}", ""])
        for name, r in result.items():
            if name == "Sluice":
                continue
            ratio, memory = ours["rows_s"] / r["rows_s"], f"{ours['mib'] / r['mib']:.2f}"
            told = f"{ratio:.2f}"
            if name == "SAELens":
                told = against(ratio, over_saelens)
                memory = against(ours["mib"] / theirs["mib"], MEMORY, least=False)
            elif r["rows_s"] == best and over_best:
                told = "best: " + against(ratio, over_best)
            rows.append([case, name, f"{r['rows_s']:,.0f}", told, f"{r['mib']:,.0f}", memory])
    table(f"{part}: a step of {arch}, B {BATCH}, K {K}",
          ["F", "trainer", "rows/s", "Sluice over it", "peak MiB", "Sluice's over it"], rows)


def architecture(arch, peers):
    def part(name, work):
        given, results = real_rows(), {}
        for features in STEPS:
            results[str(features)] = compare(name, work, given, arch, features, peers)
        keep(name, {"by_features": results})
        show(name, arch, results)
    return part


def l1(name, work):
    """Both from one state with L0 below the bound: Sluice trains until then, the peer takes that
    state up."""
    given, features = real_rows(), 4608
    least, most = L1["l0"]
    for penalty in L1["lambdas"]:
        say(f"{name}: Sluice, lambda {penalty:g}, {L1['steps']} steps, then {OUR_STEPS} that count")
        sae = {"arch": "l1", "features": features, "rate": L1["rate"], "lambda": penalty}
        steps, mib, out = train(work, given, L1["steps"] + OUR_STEPS, L1["steps"], sae)
        timed = steps[L1["steps"]:]
        l0 = [step["l0"][0] for step in timed]
        if least <= min(l0) and max(l0) <= most:
            break
        say(f"{name}: L0 {min(l0):.0f} to {max(l0):.0f}")
    else:
        raise SystemExit(f"{name}: no lambda leads to an L0 between {least} and {most}")
    say(f"{name}: SAELens, from the same state")
    told = run_child(work, "peer", given=str(given), peer="SAELens", arch="l1", features=features,
                     steps=STEPS[features], rate=L1["rate"], penalty=penalty,
                     start=str(out / "0" / str(L1["steps"])))
    result = {"Sluice": {"rows_s": BATCH / statistics.median(s["seconds"] for s in timed),
                         "mib": mib, "l0": statistics.mean(l0)},
              "SAELens": {"rows_s": BATCH / told["step"], "mib": told["mib"], "l0": told["l0"]}}
    case = f"{features}, L0 {statistics.mean(l0):.0f}"
    keep(name, {"by_features": {case: result}})
    show(name, "l1", {case: result})


PARTS = {
    "speed-topk": architecture("topk", PEERS),
    "speed-batchtopk": architecture("batchtopk", PEERS[:1]),
    "speed-matryoshka": architecture("matryoshka", PEERS[:1]),
    "speed-l1": l1,
}
