"""Cost against size: rows per second of topk's step for F from 1,024 to 131,072, beside the encoder's
product alone: one call of BLAS, in turns with our steps."""
import statistics

from common import BATCH, K, RATE, run_child, say
from given import real_rows
from ours import LONG_PLAN, train
from results import keep, load, machine, table
import plot

SIZES = tuple(1 << power for power in range(10, 18))
# Rows per second of the peers at these widths fall as 1 / F; above, they need more memory than a
# small machine has.
LARGEST = {"SAELens": 65536, "dictionary_learning": 65536, "sparsify": 131072}
SECONDS = 12  # for the steps of one size, about
PRODUCT = "the encoder's product alone"


def steps_for(features, rows_s_at_4608):
    step = BATCH / (rows_s_at_4608 * 4608 / max(features, 4608))
    return int(min(16, max(6, SECONDS / step)))


def ours(work, given, features):
    say(f"sizes: Sluice, F {features}")
    sae = {"arch": "topk", "features": features, "rate": RATE, "k": K, "plan": LONG_PLAN}
    steps, _, _ = train(work, given, steps_for(features, 25000), 0, sae, product=True, exports=False)
    return {"Sluice": BATCH / statistics.median(step["seconds"] for step in steps[2:]),
            PRODUCT: BATCH / statistics.median(step["product"] for step in steps[2:])}


def theirs(work, given, peer, features):
    say(f"sizes: {peer}, F {features}")
    told = run_child(work, "peer", given=str(given), peer=peer, arch="topk", features=features,
                     steps=steps_for(features, 6000), rate=RATE, fast=True)
    return BATCH / told["step"]


def measure(name, work, features):
    """One size; kept at once, since the whole takes long."""
    given = real_rows()
    found = ours(work, given, features)
    for peer, largest in LARGEST.items():
        if features <= largest:
            found[peer] = theirs(work, given, peer, features)
    earlier = load().get(name, {}).get("by_features", {})
    keep(name, {"by_features": {**earlier, str(features): {"rows_s": found, **machine()}}})


def show(name):
    by_features = {size: told["rows_s"] for size, told in load()[name]["by_features"].items()}
    sizes = sorted(by_features, key=int)
    names = ["Sluice", PRODUCT, *LARGEST]
    table("Cost against size: rows/s of topk's step, by F",
          ["F", *names, "Sluice over SAELens", "product over Sluice"],
          [[f"{int(size):,}", *(f"{found[n]:,.0f}" if n in found else "-" for n in names),
            f"{found['Sluice'] / found['SAELens']:.1f}" if "SAELens" in found else "-",
            f"{found[PRODUCT] / found['Sluice']:.2f}"]
           for size, found in ((size, by_features[size]) for size in sizes)])
    plot.lines("docs/cost-by-size.svg", "features (F)", "rows/s",
               {n: [[int(size), by_features[size][n]] for size in sizes if n in by_features[size]]
                for n in names}, log=True)


def small(name, work):
    for features in SIZES[:5]:
        measure("sizes", work, features)
    show("sizes")


def large(name, work):
    for features in SIZES[5:]:
        measure("sizes", work, features)
    show("sizes")


PARTS = {"sizes-small": small, "sizes-large": large}
