"""What features are about: `sluice inspect` beside SAEDashboard, on the same model, SAE and tokens.

SAEDashboard gets Hugging Face's model as an object, cut behind the hook (its own loading asks a hub), in
the place of a TransformerLens one. Only its run() is timed: no import, no loading, no writing. It caches
the model's rows on disk, so the model runs once and not once for each batch of features. Of Sluice the
whole process is timed.

Seconds are the wall's and the processors'; idle threads sleep, else they would count as work. The latter
say more where other work runs beside.

BENCH_PEER_FEATURES: SAEDashboard's are the first so many (default: all); what all would take is then
extrapolated, with the model's share counted once. BENCH_PEER_INSPECTED: contexts (default 128).
BENCH_PEER_SAE: a folder of SAELens's layout to look at in place of a new SAE.
"""
import json
import os
import pathlib
import resource
import subprocess
import time

from common import BATCH, BUILD, CONTEXT, CORPUS, LAYER, MODEL, THREADS, run_child, run_measured, use_threads
from given import read_ids, write_rows
from results import against, keep, table
from whole import configuration

FEATURES, HOOK = 4608, f"blocks.{LAYER}.hook_resid_post"
SHOWN = int(os.environ.get("BENCH_PEER_FEATURES", FEATURES))
CONTEXTS = int(os.environ.get("BENCH_PEER_INSPECTED", "128"))
TRAINED_ROWS = 10 * BATCH
END_OF_TEXT = 2  # the only special token in these texts
EDGE = (6, CONTEXT - 5)  # SAEDashboard looks for its strongest tokens within: a window must fit
AIM = 10


def sae_folder(folder):
    """A little training is enough: speed asks for K features a row, and contexts for the same ones."""
    if "BENCH_PEER_SAE" in os.environ:
        return pathlib.Path(os.environ["BENCH_PEER_SAE"])
    config = folder / "peers.yaml"
    config.write_text(configuration(FEATURES, 1, TRAINED_ROWS))
    subprocess.run([BUILD / "sluice", "up", config], check=True, stdout=subprocess.DEVNULL,
                   env={**os.environ, "XDG_STATE_HOME": str(folder)})
    return folder / "sluice/peers/main/export/s0/saelens"


def clocks(processor):
    """Seconds of the wall, and of processors."""
    return {"seconds": time.time(), "processor": processor()}


def since(begun, processor):
    return {name: value - begun[name] for name, value in clocks(processor).items()}


# ---- ours ----

def of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def inspect(folder, sae):
    tokens, begun = CONTEXTS * CONTEXT, clocks(of_children)
    _, _, mib = run_measured(
        folder, BUILD / "sluice", "inspect", sae, folder / "index", "--model", MODEL, "--corpus", CORPUS,
        "--context", str(CONTEXT), "--tokens", str(tokens), "--threads", str(THREADS))
    return {**since(begun, of_children), "mib": mib}


def our_strongest(folder, feature):
    """[(sequence, position, value)], one of each context, as SAEDashboard could have found it."""
    out = subprocess.run([BUILD / "sluice", "features", "show", folder / "index", str(feature), "--json"],
                         check=True, text=True, stdout=subprocess.PIPE).stdout
    found = [(c["sequence"], c["position"], c["values"][c["at"]]) for c in json.loads(out)["top"]]
    return [place for place in found if EDGE[0] <= place[1] < EDGE[1]]


# ---- theirs: the child process ----

class HookedModel:
    """What SAEDashboard asks of a TransformerLens model."""

    def __init__(self, model):
        import torch
        from transformer_lens.hook_points import HookPoint

        self.model, self.hook_dict = model.model, {HOOK: HookPoint()}
        self.took = {"seconds": 0, "processor": 0}
        self.W_U = model.lm_head.weight.detach().T
        self.model.layers = torch.nn.ModuleList(self.model.layers[:LAYER + 1])

    def run_with_hooks(self, tokens, stop_at_layer, fwd_hooks):
        hooks = [self.model.layers[stop_at_layer - 1].register_forward_hook(
            lambda module, given, out, fn=fn, name=name: fn(out, hook=self.hook_dict[name]))
            for name, fn in fwd_hooks]
        begun = clocks(time.process_time)
        self.model(tokens, use_cache=False)
        for name, took in since(begun, time.process_time).items():
            self.took[name] += took
        for hook in hooks:
            hook.remove()


def hooked_model():
    import torch
    from transformers import AutoModelForCausalLM

    return HookedModel(AutoModelForCausalLM.from_pretrained(
        MODEL.parent, gguf_file=MODEL.name, dtype=torch.float32).eval())


def strongest_of(data):
    """[(context, position, value)], the strongest first, one of each context."""
    found = {}
    for s in data.sequence_data.seq_group_data[0].seq_data:
        at = s.qualifying_token_index
        found.setdefault(s.original_index, (s.original_index, at, max(s.feat_acts)))
    return list(found.values())


def dashboard(folder, sae, features):
    """The child process."""
    import torch
    from sae_dashboard.sae_vis_data import SaeVisConfig
    from sae_dashboard.sae_vis_runner import SaeVisRunner
    from sae_lens import SAE

    use_threads()
    folder, tokens = pathlib.Path(folder), torch.from_numpy(
        read_ids(pathlib.Path(folder))["token"].astype("int64"))
    encoder, model = SAE.load_from_disk(sae), hooked_model()
    # Its runner folds the norms of directions, which SAELens refuses a TopK of this setting. These are 1.
    encoder.cfg.rescale_acts_by_decoder_norm = True
    config = SaeVisConfig(
        hook_point=HOOK, features=range(features), minibatch_size_tokens=8, verbose=False,
        ignore_tokens={END_OF_TEXT}, ignore_positions=[0], cache_dir=folder / "cache")
    begun = clocks(time.process_time)
    data = SaeVisRunner(config).run(encoder, model, tokens)
    run = since(begun, time.process_time)
    found = {f: strongest_of(d) for f, d in data.feature_data_dict.items()}
    (folder / "strongest.json").write_text(json.dumps(found))
    return {"run": run, "model": model.took, "features": features}


# ---- both ----

def same_contexts(folder, sequences):
    """Of features that fire: the share whose strongest token is the same one, and the share of contexts
    that both list among as many of the strongest."""
    theirs = json.loads((folder / "strongest.json").read_text())
    first, shared, among, compared = 0, 0, 0, 0
    for feature, places in theirs.items():
        ours = our_strongest(folder, int(feature))
        places = [(int(sequences[c]), p) for c, p, value in places if value > 0]
        n = min(len(ours), len(places))
        if n == 0:
            continue
        compared += 1
        ours = [place[:2] for place in ours]
        first += ours[0] == places[0]
        shared, among = shared + len(set(ours[:n]) & set(places[:n])), among + n
    return {"features": compared, "first": first / compared, "shared": shared / among}


def all_features(theirs, clock):
    """What its run would take with all of them."""
    model, run = theirs["model"][clock], theirs["run"][clock]
    return model + (run - model) * FEATURES / theirs["features"]


def show(ours, theirs, same):
    tokens, whole = CONTEXTS * CONTEXT, {clock: all_features(theirs, clock) for clock in theirs["run"]}
    told = "" if theirs["features"] == FEATURES else f", extrapolated from {theirs['features']:,}"
    table(f"inspect: {tokens:,} tokens of layer {LAYER}, topk F {FEATURES} K 32, {THREADS} threads",
          ["", "seconds", "processor seconds", "tokens/s", "features/s", "peak MiB"],
          [[who, f"{took['seconds']:,.1f}", f"{took['processor']:,.1f}", f"{tokens / took['seconds']:,.1f}",
            f"{FEATURES / took['seconds']:,.1f}", f"{mib:,.0f}"]
           for who, took, mib in (("Sluice", ours, ours["mib"]),
                                  (f"SAEDashboard{told}", whole, theirs["mib"]))])
    print("SAEDashboard: {seconds:.1f} s and {processor:.1f} processor seconds were the model's".format(
        **theirs["model"]))
    print("Sluice over SAEDashboard: " + against(whole["seconds"] / ours["seconds"], AIM) +
          f"; {whole['processor'] / ours['processor']:.2f} by processor seconds")
    print(f"Of {same['features']:,} features that fire the strongest token is the same for "
          f"{same['first']:.1%}; of their strongest contexts {same['shared']:.1%} are", flush=True)


def inspected(name, folder):
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # of both children
    sae = sae_folder(folder)
    write_rows(folder, CONTEXTS)
    (folder / "rows").unlink()
    theirs = run_child(folder, "dashboard", sae=str(sae), features=SHOWN)
    ours = inspect(folder, sae)
    same = same_contexts(folder, read_ids(folder)["sequence"][:, 0])
    keep(name, {"tokens": CONTEXTS * CONTEXT, "Sluice": ours, "SAEDashboard": theirs, "same": same})
    show(ours, theirs, same)


PARTS = {"inspect": inspected}
