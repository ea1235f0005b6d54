"""What several tests share: SmolLM2 in Hugging Face transformers, loaded once."""
import os
import pathlib

import pytest


@pytest.fixture(scope="session")
def hugging_face():
    """SmolLM2 in float32, out of the same GGUF file. Its hooks are the user's to remove."""
    import torch
    from transformers import AutoModelForCausalLM

    model = pathlib.Path(os.environ["SLUICE_MODEL"])
    return AutoModelForCausalLM.from_pretrained(
        model.parent, gguf_file=model.name, dtype=torch.float32, attn_implementation="eager"
    )
