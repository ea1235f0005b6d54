"""Rows whose true features are known: how well each trainer finds them.

The rows are those of SAELens's own synthetic model (sae_lens.synthetic.SyntheticModel), a smaller
relative of SynthSAEBench-16k: Zipfian firing, features in trees, correlated, nearly orthogonal, more
of them than the SAE has latents. Both trainers get the same file in the same order. Both SAEs are
read from SAELens's layout and judged by SAELens's code (sae_lens.synthetic.evals):

    MCC  mean |cosine| of decoder directions and true ones under the best one-to-one matching
         (mean_correlation_coefficient)
    F1   each latent as a detector of the true feature that its direction is nearest to (by |cosine|):
         harmonic mean of precision and recall of firing on held-out rows, mean over the latents
         (ClassificationMetricsCalculator)
"""
import os
import shutil
import statistics

import numpy

import ours
from common import CACHE, run_child, say, use_threads
from given import write_given
from results import keep, load, table

TRUE_FEATURES, WIDTH, LATENTS, L0 = 2048, 192, 512, 12
ROWS, HELD, BATCH = int(os.environ.get("BENCH_TRUTH_ROWS", "1000000")), 20000, 1024
SEEDS = (0, 1, 2)
RATES = (2e-3, 4e-3, 6e-3, 8e-3, 1.2e-2, 1.4e-2, 1.6e-2, 1.8e-2, 2e-2)
FIRST = 8e-3  # to try
TRAINERS = ("Sluice", "SAELens")
# Their penalties are not ours in scale: each is searched for, by L0.
PENALTY = {("l1", "Sluice"): 1.0, ("l1", "SAELens"): 1.0,
           ("jumprelu", "Sluice"): 1.0, ("jumprelu", "SAELens"): 0.3}
PENALTY_RATE, NEAR, TRIALS = 1e-3, 0.05, 7


def model(seed):
    from sae_lens.synthetic import (
        HierarchyConfig, LowRankCorrelationConfig, OrthogonalizationConfig, SyntheticModel,
        SyntheticModelConfig, ZipfianFiringProbabilityConfig,
    )

    return SyntheticModel(SyntheticModelConfig(
        num_features=TRUE_FEATURES, hidden_dim=WIDTH, seed=seed, std_firing_magnitudes=0.25,
        firing_probability=ZipfianFiringProbabilityConfig(
            exponent=0.5, max_prob=0.2, min_prob=0.004),
        hierarchy=HierarchyConfig(total_root_nodes=16, branching_factor=4, max_depth=3,
                                  compensate_probabilities=True),
        correlation=LowRankCorrelationConfig(), orthogonalization=OrthogonalizationConfig(num_steps=50),
    ))


def make_rows(folder, rows, seed):
    """The child process: rows and held as given.py has them, truth (directions), fires (which of them
    in held-out rows)."""
    import pathlib

    import torch

    folder = pathlib.Path(rows)
    use_threads(1000 + seed)
    synthetic, parts, fires, true_l0 = model(seed), [], [], 0
    with torch.no_grad():
        for at in range(0, ROWS + HELD, 4000):
            x, features = synthetic.sample_with_features(4000)
            parts.append(x.numpy())
            true_l0 += (features > 0).sum().item() / (ROWS + HELD)
            if at >= ROWS:
                fires.append(numpy.packbits((features > 0).numpy(), axis=1))
    rows = numpy.concatenate(parts)
    write_given(folder, rows[:ROWS], rows[ROWS:], seed, BATCH)
    synthetic.feature_dict.feature_vectors.detach().numpy().astype("<f4").tofile(folder / "truth")
    numpy.concatenate(fires).tofile(folder / "fires")
    return {"true_l0": true_l0}


def judge(folder, sae):
    import torch
    from sae_lens import SAE
    from sae_lens.synthetic.evals import (
        ClassificationMetricsCalculator, mean_correlation_coefficient,
    )

    use_threads()
    truth = torch.from_numpy(numpy.fromfile(folder / "truth", "<f4").reshape(-1, WIDTH))
    held = torch.from_numpy(numpy.fromfile(folder / "held", "<f4").reshape(-1, WIDTH))
    fires = numpy.fromfile(folder / "fires", "u1").reshape(len(held), -1)
    learned = SAE.load_from_disk(sae)
    calculator, active = ClassificationMetricsCalculator(learned.W_dec, truth), 0
    with torch.no_grad():
        for part in range(0, len(held), 2000):
            latents = learned.encode(held[part:part + 2000])
            true = torch.from_numpy(numpy.unpackbits(fires[part:part + 2000], axis=1))
            calculator.add_batch(latents, true)
            active += (latents > 0).sum().item()
        mcc = mean_correlation_coefficient(learned.W_dec, truth)
    told = calculator.compute()
    return {"f1": told.f1_score, "mcc": mcc, "l0": active / len(held), "precision": told.precision,
            "recall": told.recall}


def run(work, rows, trainer, arch, rate, seed, penalty=0):
    steps = ROWS // BATCH
    if trainer == "Sluice":
        options = {"arch": arch, "features": LATENTS, "rate": rate, "seed": seed}
        options |= {"lambda": penalty} if penalty else {"k": L0}
        _, _, out = ours.train(work, rows, steps, 0, options, batch=BATCH)
        sae = out / "0" / str(steps)
    else:
        sae = work / "theirs"
        run_child(work, "peer", given=str(rows), peer=trainer, arch=arch, rate=rate, seed=seed,
                  features=LATENTS, steps=steps, k=L0, batch=BATCH, penalty=penalty, save=str(sae))
    result = judge(rows, sae)
    say(f"  {trainer} {arch} seed {seed} rate {rate:g}"
        + (f" penalty {penalty:.3g}" if penalty else "")
        + f": F1 {result['f1']:.3f}, MCC {result['mcc']:.3f}, L0 {result['l0']:.1f}")
    return result


def best_rate(work, rows, trainer, arch):
    """By F1 + MCC on the first seed; neighbours in the list as long as that gets better."""
    found, at = {}, RATES.index(FIRST)
    while True:
        near = RATES[max(0, at - 1):at + 2]
        for rate in near:
            if rate not in found:
                found[rate] = run(work, rows, trainer, arch, rate, SEEDS[0])
        top = max(near, key=lambda rate: found[rate]["f1"] + found[rate]["mcc"])
        if top == RATES[at]:
            return {"rate": top}, found[top]
        at = RATES.index(top)


def best_penalty(work, rows, trainer, arch):
    """The one with which L0 is near: log L0 is taken as linear in its logarithm."""
    tried, penalty = [], PENALTY[arch, trainer]
    for _ in range(TRIALS):
        result = run(work, rows, trainer, arch, PENALTY_RATE, SEEDS[0], penalty)
        tried.append((penalty, result))
        if abs(result["l0"] / L0 - 1) < NEAR:
            break
        slope = -0.7
        if len(tried) > 1:
            (p1, r1), (p2, r2) = tried[-2:]
            slope = min(-0.2, numpy.log(max(r2["l0"], 0.1) / max(r1["l0"], 0.1)) / numpy.log(p2 / p1))
        penalty *= float(numpy.exp(numpy.clip(
            numpy.log(L0 / max(result["l0"], 0.1)) / slope, -2.5, 2.5)))
    penalty, result = min(tried, key=lambda pair: abs(pair[1]["l0"] / L0 - 1))
    return {"rate": PENALTY_RATE, "penalty": penalty}, result


def rows_of(work, seed):
    """Kept in the cache: 0.8 GB a seed."""
    folder = CACHE / f"bench/truth-{ROWS}-{seed}"
    if not folder.exists():
        new = folder.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        say(f"truth: making {ROWS + HELD:,} rows, seed {seed}")
        told = run_child(work, "truth", rows=str(new), seed=seed)
        say(f"truth: {told['true_l0']:.1f} of {TRUE_FEATURES} features are active in a row")
        new.rename(folder)
    return folder


def show(name):
    found = load()[name]
    rows = []
    for key, results in found["results"].items():
        f1, mcc, l0 = ([result[what] for result in results["seeds"]] for what in ("f1", "mcc", "l0"))
        spread = [f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"
                  for values in (f1, mcc)]
        told = f"rate {results['rate']:g}"
        told += f", penalty {results['penalty']:.3g}" if "penalty" in results else ""
        rows.append([*key.split(" "), told, f"{statistics.mean(l0):.1f}", *spread])
    table(f"{name}: {ROWS:,} rows of {TRUE_FEATURES} true features, D {WIDTH}, F {LATENTS}, "
          f"B {BATCH}, {len(SEEDS)} seeds: mean (least to most)",
          ["architecture", "trainer", "with", "L0", "F1", "MCC"], rows)


def architecture(arch):
    def part(name, work):
        found = {}
        for trainer in TRAINERS:
            search = best_penalty if ("l1" in arch or "jump" in arch) else best_rate
            options, first = search(work, rows_of(work, SEEDS[0]), trainer, arch)
            seeds = [first] + [run(work, rows_of(work, seed), trainer, arch, seed=seed, **options)
                               for seed in SEEDS[1:]]
            found[f"{arch} {trainer}"] = {**options, "seeds": seeds}
        keep(name, {"results": found})
        show(name)
    return part


PARTS = {f"truth-{arch}": architecture(arch)
         for arch in ("topk", "batchtopk", "matryoshka", "jumprelu", "l1")}
