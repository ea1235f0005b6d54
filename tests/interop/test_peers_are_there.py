"""The peers that the other tests compare with are the pinned ones, and work on this machine."""
import importlib.metadata

import torch

PINNED = {"torch": "2.13.0", "sae-lens": "6.54.12", "eai-sparsify": "1.3.3",
          "circuit-tracer": "0.5.0", "sae-bench": "0.6.0", "sae-dashboard": "0.8.0",
          "neuronpedia": "1.2.1", "eai-delphi": "0.1.3", "tensorboard": "2.21.0"}


def test_versions():
    assert {name: importlib.metadata.version(name).split("+")[0] for name in PINNED} == PINNED


def test_torch_multiplies():
    ones = torch.ones(64, 64)
    assert torch.equal(ones @ ones, 64 * ones)


def test_peers_load():
    import sae_lens
    import sparsify
    import transformers

    assert hasattr(sae_lens, "SAE") and hasattr(sparsify, "SparseCoder")
    assert hasattr(transformers, "AutoModelForCausalLM")
