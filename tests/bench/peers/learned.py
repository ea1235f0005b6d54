"""What an SAE has learned: its held-out FVE at an L0 that all share.

FVE = 1 - E||x - x'||^2 / E||x - E[x]||^2, E[x] per dimension over all held-out rows: one formula and
one piece of code for everybody.
"""
import json
import typing

import torch


class Dictionary(typing.NamedTuple):
    """Of any SAE: f of (x - b_dec if centred) W_enc + b_enc, then f W_dec + b_dec."""

    w_enc: torch.Tensor  # (D, F)
    b_enc: torch.Tensor
    w_dec: torch.Tensor  # (F, D)
    b_dec: torch.Tensor
    centred: bool


def read_export(folder):
    """Of SAELens's layout."""
    from safetensors.torch import load_file

    w = load_file(folder / "sae_weights.safetensors")
    centred = json.loads((folder / "cfg.json").read_text())["apply_b_dec_to_input"]
    return Dictionary(w["W_enc"], w["b_enc"], w["W_dec"], w["b_dec"], centred)


def keep_largest(y, k, whole):
    """The K largest of each row; or of the set as a whole, K a row on average."""
    y = y.relu_()
    if whole:
        flat = y.flatten()
        least = flat.kthvalue(flat.numel() - int(k * len(y)) + 1).values
        return y * (y >= least)
    top = y.topk(k, dim=1)
    return torch.zeros_like(y).scatter_(1, top.indices, top.values)


@torch.no_grad()
def fve(d, x, k, whole):
    """`whole`: for SAEs that were trained with K B places a batch, and a threshold afterwards. It is
    set so that L0 is K on these rows, whatever the SAE's own average of it has come to."""
    pre = (x - d.b_dec if d.centred else x) @ d.w_enc + d.b_enc
    error = keep_largest(pre, k, whole) @ d.w_dec + d.b_dec - x
    return 1 - (error.pow(2).sum() / (x - x.mean(0)).pow(2).sum()).item()
