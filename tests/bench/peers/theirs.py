"""The peers' trainers on the same rows, each with the settings that were found best for two CPU
cores; where one is not the peer's default, a comment says so. torch.compile is left out: it took
16 s to make SAELens's dense step 7 % faster.

Each is called with a Job, asks it for batches and tells it after each step.
"""
import contextlib
import dataclasses
import io
import statistics
import sys
import tempfile
import time
import types

from common import BATCH, CONTEXT, K, LAYER, say, use_threads
from given import Given
from learned import Dictionary, fve


@dataclasses.dataclass
class Job:
    folder: str
    given: str
    peer: str
    arch: str
    features: int
    steps: int
    rate: float
    every: int = 0  # steps between points of the curve; 0 = none
    fast: bool = False  # may train another way than by default if that is faster
    k: int = K
    batch: int = BATCH
    seed: int = 0
    penalty: float = 0
    start: str = ""  # an export to start from
    save: str = ""  # where to put SAELens's inference model at the end

    def __post_init__(self):
        import pathlib

        use_threads(self.seed)
        self.rows, self.held = Given(pathlib.Path(self.given)), None
        self.width = len(self.rows.mean)
        self.seconds, self.curve, self.begun = [], [], 0

    def batches(self):
        for step in range(self.steps):
            x = self.rows.batch(step, self.batch)
            self.begun = time.perf_counter()
            yield x

    def after(self, read):
        """`read` gives the Dictionary as it is after this step."""
        self.seconds.append(time.perf_counter() - self.begun)
        done = len(self.seconds)
        if done == self.steps or done % 4 == 0:
            say(f"    {self.peer} {self.arch} F {self.features}: step {done} of {self.steps}, "
                f"{self.batch / self.seconds[-1]:,.0f} rows/s")
        if self.every and (done % self.every == 0 or done == self.steps):
            self.held = self.rows.held() if self.held is None else self.held
            score = fve(read(), self.held, self.k, self.arch != "topk")
            self.curve.append([done * self.batch, score])


# ---- SAELens ----


def saelens_config(job):
    from sae_lens import (
        BatchTopKTrainingSAEConfig, JumpReLUTrainingSAEConfig,
        MatryoshkaBatchTopKTrainingSAEConfig, StandardTrainingSAEConfig, TopKTrainingSAEConfig,
    )

    common = {"d_in": job.width, "d_sae": job.features, "device": "cpu", "dtype": "float32"}
    match job.arch:
        case "topk" if job.fast:
            # Sparse activations make a step half as long; they run on a CPU without rescaling alone.
            return TopKTrainingSAEConfig(
                k=job.k, use_sparse_activations=True, rescale_acts_by_decoder_norm=False, **common)
        case "topk":
            return TopKTrainingSAEConfig(k=job.k, **common)
        case "batchtopk":
            return BatchTopKTrainingSAEConfig(k=job.k, **common)
        case "matryoshka":
            # Its own default is no level at all: the same as ours.
            widths = [job.features >> level for level in (4, 3, 2, 1, 0)]
            return MatryoshkaBatchTopKTrainingSAEConfig(k=job.k, matryoshka_widths=widths, **common)
        case "l1":
            return StandardTrainingSAEConfig(
                l1_coefficient=job.penalty, l1_warm_up_steps=job.steps // 20,
                apply_b_dec_to_input=False, **common)
        case "jumprelu":
            return JumpReLUTrainingSAEConfig(
                l0_coefficient=job.penalty, l0_warm_up_steps=job.steps // 20, **common)
    raise ValueError(job.arch)


def saelens_start(sae, job):
    import torch

    with torch.no_grad():
        if job.start:
            from safetensors.torch import load_file

            sae.load_state_dict(load_file(job.start + "/sae_weights.safetensors"))
        elif job.arch != "l1":
            # By default it starts at 0, far from where these rows are: better for it, and as the
            # others do.
            sae.b_dec.copy_(torch.from_numpy(job.rows.mean))


def saelens_read(sae):
    def read():
        rescales = getattr(sae.cfg, "rescale_acts_by_decoder_norm", False)
        norm = sae.W_dec.norm(dim=1) if rescales else sae.W_dec.new_ones(len(sae.W_dec))
        return Dictionary(sae.W_enc * norm, sae.b_enc * norm, sae.W_dec / norm[:, None], sae.b_dec,
                          sae.cfg.apply_b_dec_to_input)
    return read


def saelens(job):
    from sae_lens import LoggingConfig, SAETrainer
    from sae_lens.config import SAETrainerConfig
    from sae_lens.registry import get_sae_training_class

    config = saelens_config(job)
    sae = get_sae_training_class(config.architecture())[0](config)
    saelens_start(sae, job)
    trainer = SAETrainer(
        SAETrainerConfig(
            total_training_samples=job.steps * job.batch, train_batch_size_samples=job.batch,
            lr=job.rate, lr_end=job.rate, lr_decay_steps=job.steps // 5,  # by default there is none
            logger=LoggingConfig(log_to_wandb=False)),
        sae, iter(()))
    for x in job.batches():
        output = trainer.step(x)
        trainer.n_training_steps += 1
        job.after(saelens_read(sae))
    if job.save:
        sae.save_inference_model(job.save)
    return {"l0": output.feature_acts.bool().float().sum(-1).to_dense().mean().item()}


# ---- dictionary_learning ----


def dictionary_learning(job):
    # nnsight, with twenty packages of its own, is what it takes rows out of models with: not here.
    sys.modules.setdefault("nnsight", types.SimpleNamespace(LanguageModel=None))
    from dictionary_learning.trainers.top_k import TopKTrainer

    # Its 1,000 steps of warm-up are more than there are; it has no decay by default.
    trainer = TopKTrainer(
        steps=job.steps, activation_dim=job.width, dict_size=job.features, k=job.k, layer=LAYER,
        lm_name="smollm2", lr=job.rate, device="cpu", seed=job.seed, warmup_steps=job.steps // 20,
        decay_start=job.steps - max(1, job.steps // 5),
    )
    for step, x in enumerate(job.batches()):
        trainer.update(step, x)
        job.after(lambda: Dictionary(
            trainer.ae.encoder.weight.T, trainer.ae.encoder.bias, trainer.ae.decoder.weight.T,
            trainer.ae.b_dec, True))
    return {}


# ---- sparsify ----


def sparsify(job):
    """Its trainer asks a model for rows: this one hands over the next batch, whatever the tokens.
    The optimizer is its default, signum without a schedule."""
    import torch
    from datasets import Dataset
    from sparsify import SparseCoderConfig, TrainConfig, Trainer

    batches = job.batches()

    class Rows(torch.nn.Module):
        device = torch.device("cpu")
        dummy_inputs = {"input_ids": torch.zeros(1, 1, dtype=torch.long)}
        base_model = property(lambda self: self)

        def __init__(self):
            super().__init__()
            self.hook, self.stepped = torch.nn.Identity(), False
            self.weight = torch.nn.Parameter(torch.zeros(1))  # it counts a model's parameters

        def forward(self, input_ids):
            if input_ids.numel() != job.batch:
                return self.hook(torch.zeros(*input_ids.shape, job.width))
            if self.stepped:
                job.after(read)
            self.stepped = True
            return self.hook(next(batches).reshape(*input_ids.shape, job.width))

    def read():
        optimizer, sae = trainer.optimizers[0], trainer.saes["hook"]
        optimizer.eval()  # the average of weights that it saves
        d = Dictionary(sae.encoder.weight.T.clone(), sae.encoder.bias.clone(), sae.W_dec.clone(),
                       sae.b_dec.clone(), True)
        optimizer.train()
        return d

    tokens = torch.zeros(job.steps * job.batch // CONTEXT, CONTEXT, dtype=torch.long)
    dataset = Dataset.from_dict({"input_ids": tokens.numpy()}).with_format("torch")
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(
            SparseCoderConfig(num_latents=job.features, k=job.k), batch_size=job.batch // CONTEXT,
            hookpoints=["hook"], log_to_wandb=False, save_dir=folder, lr=job.rate,
        )
        trainer = Trainer(config, dataset, Rows())
        trainer.fit()
    job.after(read)
    return {}


PEERS = {"SAELens": saelens, "dictionary_learning": dictionary_learning, "sparsify": sparsify}


def train(**options):
    """The child process of one peer."""
    job = Job(**options)
    with contextlib.redirect_stdout(io.StringIO()):
        told = PEERS[job.peer](job)
    return {"step": statistics.median(job.seconds[2:] or job.seconds), "curve": job.curve, **told}
