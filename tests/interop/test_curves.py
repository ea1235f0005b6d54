"""The curves of a real run, whose trainer was killed, in TensorBoard's own reader: the numbers of
metrics.jsonl and summary.json, each step once, and histograms of the weights that were trained."""
import json
import os
import pathlib
import signal
import struct
import subprocess
import time

import numpy as np
import pytest
from safetensors.numpy import load_file
from tensorboard.backend.event_processing import event_accumulator, event_multiplexer

SLUICE = str(pathlib.Path(os.environ.get("BUILD", "build")).resolve() / "sluice")
WIDTH, FEATURES = 64, {"one": 1024, "two": 64}
TAGS = {"loss": "train/loss", "batch_mse": "train/mse", "batch_fve": "train/fve", "batch_l0": "train/l0",
        "gradient_norm": "train/gradient_norm", "learning_rate": "train/learning_rate",
        "lambda": "train/lambda", "dead": "train/dead_features", "skipped_steps": "train/skipped_steps",
        "step_seconds": "speed/step_seconds", "draw_seconds": "speed/draw_seconds",
        "rows_per_second": "speed/rows_per_second", "waiting_ratio": "speed/waiting_ratio"}
HELD_OUT = {"fve": "held_out/fve", "mse": "held_out/mse", "l0": "held_out/l0"}
PIPELINE = """
stream: { name: curves, run_dir: RUN, dtype: f32 }
capture: { engine: synthetic, synthetic: { features: 64, width: 64, rows: ROWS, sequence_rows: 64 } }
sink: { size: 32MiB }
trainer:
  batch_rows: 256
  threads: 1
  checkpoint_seconds: 1
  eval_rows: 2500
  eval_seconds: 0.2
  curves_seconds: 0.1
  saes: [ { name: one, arch: topk, features: 1024, k: 8, lr: 1e-3 },
          { name: two, arch: l1, features: 64, lr: 1e-3 } ]
"""


def lines_of(main):
    try:
        text = (main / "metrics.jsonl").read_text()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def is_past_a_checkpoint(main, up):
    """Wait until lines tell of steps that no checkpoint covers: they will be made again. False: the run
    ended before."""
    while up.poll() is None:
        covered = [int(path.stem.split("-")[1]) for path in main.glob("checkpoint-*.sluice")]
        if covered and sum(line["step"] > max(covered) for line in lines_of(main)) >= 8:
            return True
        time.sleep(0.02)
    return False


def reader_of(main, sae):
    sizes = {event_accumulator.SCALARS: 0, event_accumulator.HISTOGRAMS: 0}
    return event_accumulator.EventAccumulator(str(main / "tensorboard" / sae), size_guidance=sizes)


class Run:
    """One that was killed, and readers that had read what it had told before."""

    def __init__(self, folder):
        self.main, self.folder = folder / "run" / "main", folder
        # of more rows where this machine is too fast
        assert any(self.is_killed(rows) for rows in (120_000, 480_000, 1_920_000, 7_680_000))
        self.lines = {sae: [x for x in lines_of(self.main) if x["sae"] == sae] for sae in FEATURES}
        self.summary = json.loads((self.main / "summary.json").read_text())
        for reader in self.readers.values():
            reader.Reload()


    def is_killed(self, rows):
        config, log = self.folder / "run.yaml", self.folder / "log"
        config.write_text(PIPELINE.replace("RUN", str(self.folder / "run")).replace("ROWS", str(rows)))
        with open(log, "w") as out:
            up = subprocess.Popen([SLUICE, "up", "--fresh", str(config)], stdout=out, stderr=out)
        try:
            was_killed = is_past_a_checkpoint(self.main, up)
            if was_killed:
                self.readers = {sae: reader_of(self.main, sae).Reload() for sae in FEATURES}
                os.kill(int((self.main / "trainer.lock").read_text()), signal.SIGKILL)
            assert up.wait(timeout=120) == 0, log.read_text()
        finally:
            up.kill()
        return was_killed


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("curves"))


def same(points, wanted):
    """As float32, which event files hold; keys of `wanted` are steps. Lines have nine digits."""
    assert [point.step for point in points] == list(wanted)
    np.testing.assert_allclose([point.value for point in points], np.float32(list(wanted.values())),
                               rtol=3e-7)


@pytest.mark.parametrize("sae", FEATURES)
def test_scalars_are_those_of_the_lines(run, sae):
    steps = [line["step"] for line in run.lines[sae]]
    assert steps == sorted(set(steps)) and len(steps) > 10
    for reader in run.readers[sae], reader_of(run.main, sae).Reload():  # that read along; that comes late
        assert len(list((run.main / "tensorboard" / sae).iterdir())) == 2
        for key, tag in TAGS.items():
            wanted = {line["step"]: line[key] for line in run.lines[sae] if line[key] is not None}
            if wanted:
                same(reader.Scalars(tag), wanted)
            assert bool(wanted) == (tag in reader.Tags()["scalars"]), tag
        for key, tag in HELD_OUT.items():
            same(reader.Scalars(tag), {line["held_out_step"]: line[key] for line in run.lines[sae]
                                       if line["held_out_step"] is not None})
        walls = [point.wall_time for point in reader.Scalars("train/loss")]
        assert abs(walls[-1] - run.lines[sae][-1]["time"]) <= 1


@pytest.mark.parametrize("sae", FEATURES)
def test_the_end_is_the_summary(run, sae):
    summary = next(item for item in run.summary["saes"] if item["name"] == sae)
    for key, tag in (*HELD_OUT.items(), ("dead", "train/dead_features"), ("loss", "train/loss")):
        last = run.readers[sae].Scalars(tag)[-1]
        assert last.step == run.summary["steps"]
        np.testing.assert_allclose(last.value, summary[key], rtol=3e-7)


def last_histogram(run, sae, tag):
    events = run.readers[sae].Histograms(tag)
    assert events[-1].step == run.summary["steps"]
    steps = [event.step for event in events]
    assert steps == sorted(set(steps)) and len(steps) > 3
    for event in events:
        value = event.histogram_value
        assert value.num == sum(value.bucket) == FEATURES[sae]
        assert value.min <= value.max <= value.bucket_limit[-1]
    return events[-1].histogram_value


def trained_directions(run, sae):
    """(features, width), out of the last checkpoint (sae/checkpoint.h): W_enc and W_dec come first."""
    data = max(run.main.glob("checkpoint-*.sluice")).read_bytes()
    name = f"sae.{list(FEATURES).index(sae)}.weights".encode()
    at = data.index(name.ljust(40, b"\0"))
    length, = struct.unpack_from("<Q", data, at + 40)
    weights = np.frombuffer(data, "<f4", length // 4, at + 64)
    return weights[FEATURES[sae] * WIDTH:][:FEATURES[sae] * WIDTH].reshape(-1, WIDTH).astype(np.float64)


@pytest.mark.parametrize("sae", FEATURES)
def test_norms_are_those_of_the_weights(run, sae):
    """Exports have the same directions, all of one norm (docs/EXPORTS.md)."""
    value = last_histogram(run, sae, "features/decoder_norm")
    weights = trained_directions(run, sae)
    norms = np.linalg.norm(weights, axis=1)
    exported = load_file(run.main / "export" / sae / "saelens" / "sae_weights.safetensors")["W_dec"]
    np.testing.assert_allclose(exported, weights / norms[:, None], atol=1e-5)
    np.testing.assert_allclose([value.min, value.max, value.sum, value.sum_squares],
                               [norms.min(), norms.max(), norms.sum(), (norms ** 2).sum()], rtol=1e-5)
    if sae == "one":  # topk keeps them at 1
        assert (value.min, value.max, value.sum) == (1, 1, FEATURES[sae])
        return
    near = np.abs(np.subtract.outer(norms, value.bucket_limit)).min(axis=1) < 1e-5  # of a limit
    counted = np.histogram(norms, [0, *value.bucket_limit[:-1], 2 * norms.max()])[0]
    assert np.abs(counted - value.bucket).sum() <= 2 * near.sum() < FEATURES[sae] / 2


@pytest.mark.parametrize("sae", FEATURES)
def test_density_adds_up_to_l0(run, sae):
    """The first histogram is of the first step alone: what its buckets enclose is that batch's L0."""
    last_histogram(run, sae, "features/log10_density")
    first = run.readers[sae].Histograms("features/log10_density")[0]
    value, line = first.histogram_value, run.lines[sae][0]
    assert first.step == line["step"] == 1 and value.min >= -10 and value.max <= 0
    uppers = 10 ** np.array(value.bucket_limit)
    lowers = np.array([0, *uppers[:-1]])
    assert value.bucket @ lowers <= line["batch_l0"] <= value.bucket @ uppers


def test_each_autoencoder_is_a_run_of_its_own(run):
    multiplexer = event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(run.main / "tensorboard"))
    multiplexer.Reload()
    assert set(multiplexer.Runs()) == set(FEATURES)
