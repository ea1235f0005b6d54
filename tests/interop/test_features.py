"""`sluice features export`: the real sae-dashboard, neuronpedia, delphi and circuit-tracer read each
layout, and it says what `sluice features show` says.

Nothing is sent and no hub is asked: Neuronpedia's client gives its request to a stand-in, and delphi's
tokenizer is a folder. circuit-tracer's page runs in a browser; here are its own classes and server,
and what its scripts do to bytes is done in Python."""
import functools
import gzip
import importlib.machinery
import itertools
import json
import math
import subprocess
import sys
import types
import urllib.request

import pytest
import torch

from test_eval import SLUICE
from test_rows import CORPUS, LAYER, MODEL, WIDTH

FEATURES, DEAD, TOKENS, ROWS, DOCUMENTS, LETTERS = 200, 7, 128, 1024, 40, 400
LABELS = {3: "says \"hello\"", 150: "café"}
GAP = "[...]"
BROKEN = "\N{fox face}\N{snowman} \u65e5\u672c\u8a9e \N{old italic letter a}"  # tokens are parts of characters


def sluice(*arguments):
    run = subprocess.run([SLUICE, *map(str, arguments)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("features")


@pytest.fixture(scope="module")
def sae(folder):
    """Features fire where a row lies along their direction, which few do; one never fires."""
    from sae_lens.saes.sae import SAEMetadata
    from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig

    torch.manual_seed(1)
    metadata = SAEMetadata(model_name="smollm2", hook_name=f"blocks.{LAYER}.hook_resid_post",
                           prepend_bos=False, context_size=TOKENS)
    module = StandardSAE(StandardSAEConfig(d_in=WIDTH, d_sae=FEATURES, dtype="float32", device="cpu",
                                           apply_b_dec_to_input=False, metadata=metadata))
    directions = torch.nn.functional.normalize(torch.randn(FEATURES, WIDTH), dim=1)
    with torch.no_grad():
        module.W_enc.copy_(directions.T)
        module.W_dec.copy_(directions)
        module.b_dec.zero_()
        module.b_enc.fill_(-9)
        module.b_enc[DEAD] = -1e9
    module.save_model(folder / "sae")
    return folder / "sae"


@pytest.fixture(scope="module")
def index(folder, sae):
    with open(CORPUS, encoding="utf-8") as lines, open(folder / "c.jsonl", "w", encoding="utf-8") as out:
        for line in itertools.islice(lines, DOCUMENTS):
            out.write(json.dumps({"text": json.loads(line)["text"][:LETTERS] + BROKEN}) + "\n")
    sluice("inspect", sae, folder / "index", "--model", MODEL, "--corpus", folder / "c.jsonl", "--context",
           TOKENS, "--tokens", ROWS, "--keep-records")
    for feature, label in LABELS.items():
        sluice("features", "label", folder / "index", feature, label)
    return folder / "index"


@pytest.fixture(scope="module")
def show(index):
    return functools.lru_cache(None)(
        lambda feature: json.loads(sluice("features", "show", index, feature, "--json")))


@pytest.fixture(scope="module")
def tokenizer():
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODEL.parent, gguf_file=MODEL.name)


@pytest.fixture(scope="module")
def text(tokenizer):
    """A context's tokens as Hugging Face's tokenizer decodes each."""
    @functools.lru_cache(None)
    def decoded(token):
        return tokenizer.decode([token], clean_up_tokenization_spaces=False)

    return lambda c: [GAP if t is None or v is None else decoded(t) for t, v in zip(c["tokens"], c["values"])]


def values(context):
    return [0 if v is None or t is None else v for t, v in zip(context["tokens"], context["values"])]


def promoted(sheet, key, text, most):
    """Texts and logits of what a feature makes likelier, or less likely."""
    listed = (sheet[key] or [])[:most]
    return text({"tokens": [o["token"] for o in listed], "values": [0] * len(listed)}), [
        o["logit"] for o in listed]


def contexts(sheet):
    """(context, the interval that it is a sample of, or None), as all layouts order them."""
    yield from ((c, None) for c in sheet["top"])
    for interval in reversed(sheet["intervals"]):
        yield from ((c, interval) for c in interval["samples"])


def export(index, layout, *more):
    out = index.parent / layout
    return out, sluice("features", "export", index, out, "--to", layout, *more).splitlines()


def firing(show):
    return [f for f in range(FEATURES) if show(f)["rows"]]


def test_the_index_is_worth_it(show, text):
    """Gaps, broken characters, values and silence are all among what the others compare."""
    sheets = [show(f) for f in range(FEATURES)]
    tokens = {t for s in sheets for c, _ in contexts(s) for t in text(c)}
    assert GAP in tokens and any("\N{replacement character}" in t for t in tokens)
    assert show(DEAD)["rows"] == 0 and len(firing(show)) > 100
    assert all(len(s["promotes"]) > 5 and len(s["suppresses"]) > 5 for s in sheets)
    assert any(interval["samples"] for s in sheets for interval in s["intervals"])


def test_sae_dashboard(index, show, text):
    from sae_dashboard.neuronpedia.neuronpedia_dashboard import NeuronpediaDashboardBatch

    out, _ = export(index, "sae-dashboard", "--model-name", "smollm2-135m", "--name", "ours")
    files = sorted(out.glob("batch-*.json"), key=lambda p: int(p.stem.split("-")[1]))
    raw = [json.loads(p.read_text()) for p in files]
    batches = [NeuronpediaDashboardBatch(**b) for b in raw]
    assert [b.to_dict() for b in batches] == raw and len(batches) == 2
    assert all((b.model_id, b.layer, b.sae_set) == ("smollm2-135m", LAYER, "ours") for b in batches)
    features = [f for b in batches for f in b.features]
    assert [f.feature_index for f in features] == firing(show)
    kept = json.loads((index / "index.json").read_text())["kept_rows"]
    for f in features:
        sheet = show(f.feature_index)
        assert f.frac_nonzero == sheet["density"]
        assert f.freq_hist_data_bar_heights == sheet["histogram"]
        width = sheet["largest"] / len(sheet["histogram"])
        assert f.freq_hist_data_bar_values == pytest.approx([width * (i + 0.5) for i in range(40)], rel=1e-5)
        assert (f.pos_str, f.pos_values) == promoted(sheet, "promotes", text, 10)
        assert (f.neg_str, f.neg_values) == promoted(sheet, "suppresses", text, 10)
        wanted = list(contexts(sheet))
        assert len(f.activations) == len(wanted)
        for activation, (context, interval) in zip(f.activations, wanted):
            assert activation.tokens == text(context) and activation.values == values(context)
            assert activation.qualifying_token_index == context["at"]
            bins = (interval["from"], interval["to"], interval["rows"] / kept) if interval else (
                -1, sheet["largest"], -1)
            assert (activation.bin_min, activation.bin_max, activation.bin_contains) == pytest.approx(bins)
    skipped = json.loads((out / "skipped_indexes.json").read_text())["skipped_indexes"]
    assert DEAD in skipped and len(skipped) + len(features) == FEATURES


def client_features(show, text, source):
    """What a user of the package would make by hand."""
    from neuronpedia.np_activation import Activation
    from neuronpedia.np_explanation import Explanation
    from neuronpedia.np_feature import Feature, Logit

    for f in firing(show):
        sheet, of = show(f), dict(modelId="smollm2-135m", source=source, index=f)
        yield Feature(**of, density=sheet["density"],
                      top_logits=[Logit(*l) for l in zip(*promoted(sheet, "promotes", text, 20))],
                      bottom_logits=[Logit(*l) for l in zip(*promoted(sheet, "suppresses", text, 20))],
                      explanations=[Explanation(**of, text=LABELS[f])] if f in LABELS else [],
                      activations=[Activation(**of, tokens=text(c), values=values(c),
                                              **({} if i is None else dict(
                                                  quantileMax=i["to"], quantileMin=i["from"],
                                                  quantileFraction=i["rows"] / sheet["rows"])))
                                   for c, i in contexts(sheet)])


class Reply:
    status_code, ok, text = 200, True, "{}"

    def json(self):
        return {}

    def raise_for_status(self):
        pass


def near(a, b):
    """Equal, but for the last digits of numbers."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(near(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(near, a, b))
    return math.isclose(a, b, rel_tol=1e-5) if isinstance(a, float) or isinstance(b, float) else a == b


def test_neuronpedia(index, show, text, monkeypatch):
    """The lines that are printed send what the package's own upload_batch() sends."""
    import requests
    from neuronpedia.requests.feature_request import MAX_FEATURES_PER_BATCH, FeatureRequest

    sent = []

    def send(*arguments, **named):
        sent.append((arguments, named))
        return Reply()

    monkeypatch.setenv("NEURONPEDIA_API_KEY", "none")
    for name in ("request", "post"):
        monkeypatch.setattr(requests, name, functools.partial(send, name))
    _, lines = export(index, "neuronpedia", "--model-name", "smollm2-135m", "--name", "ours")
    exec("\n".join(lines[2:]), {})
    ours, source = sent[:], f"{LAYER}-ours"
    sent.clear()
    features = list(client_features(show, text, source))
    for at in range(0, len(features), MAX_FEATURES_PER_BATCH):
        FeatureRequest().upload_batch("smollm2-135m", source, features[at : at + MAX_FEATURES_PER_BATCH])
    assert len(ours) == len(sent) == 2
    for (where, mine), (there, theirs) in zip(ours, sent):
        assert where == there and mine.keys() == theirs.keys()
        assert near(mine.pop("json"), theirs.pop("json"))
        assert mine == theirs
    for f in features:  # what its server asks for
        assert f.activations and all(all(a.tokens) and len(a.tokens) <= 1024 for a in f.activations)


@pytest.fixture
def delphi(monkeypatch):
    """delphi without what it needs for hubs, embeddings and their search alone."""
    for name in ("blobfile", "faiss", "sentence_transformers"):
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules["sentence_transformers"].SentenceTransformer = object


def test_delphi(index, show, tokenizer, delphi):
    """All of what fires, in its own loader; each context of the index lies in its matrix."""
    tokenizer.save_pretrained(index.parent / "tokenizer")
    out, lines = export(index, "delphi", "--model-name", index.parent / "tokenizer")
    made = {}
    exec("\n".join(lines[2:]), made)
    data = made["latents"]
    assert data.modules == [f"layers.{LAYER}"] and data.cache_config["cache_ctx_len"] == TOKENS
    assert data.tokens.shape == (ROWS // TOKENS, TOKENS)
    found = {}
    for buffer in data.buffers:
        for latent in buffer:
            found[latent.latent.latent_index] = latent.activation_data
    assert sorted(found) == firing(show)
    for f, activations in found.items():
        sheet = show(f)
        assert len(activations.activations) == sheet["rows"]
        assert activations.activations.max().item() == pytest.approx(sheet["largest"], rel=1e-6)
        at = {tuple(place[:2]): value for place, value in
              zip(activations.locations.tolist(), activations.activations.tolist())}
        for context, _ in contexts(sheet):
            check_context(data.tokens, at, context)
    for f, label in LABELS.items():
        if f in found:
            path = out / "explanations" / f"layers.{LAYER}_latent{f}.txt"
            assert json.loads(path.read_text()) == label


def check_context(tokens, at, context):
    row, start = context["sequence"], context["position"] - context["at"]
    assert len(context["tokens"]) == len(context["values"])
    for i, (token, value) in enumerate(zip(context["tokens"], context["values"])):
        if token is None:
            continue
        assert tokens[row, start + i] == token
        assert at.get((row, start + i), 0) == pytest.approx(value or 0, rel=1e-6)


def test_delphi_explains(index, show, delphi):
    """Its own record of a latent: how often it fires, and the strongest example."""
    from delphi.config import ConstructorConfig, SamplerConfig
    from delphi.latents import LatentDataset

    often = max(firing(show), key=lambda f: show(f)["rows"])
    out = index.parent / "often"
    sluice("features", "export", index, out, "--to", "delphi", "--features", often, "--model-name",
           index.parent / "tokenizer")
    data = LatentDataset(out / "latents", SamplerConfig(n_examples_train=2, n_examples_test=2, n_quantiles=1),
                         ConstructorConfig(min_examples=1, n_non_activating=0))
    (buffer,) = data.buffers
    (latent,) = list(buffer)
    record = data._process_latent(latent)
    assert latent.latent.latent_index == often
    assert record.per_token_frequency == pytest.approx(show(often)["rows"] / ROWS)
    strongest = max(e.activations.max().item() for e in record.examples)
    assert strongest == pytest.approx(show(often)["largest"], rel=1e-6)


def unescaped(token):
    r"""What circuit-tracer's page makes of \xNN."""
    raw, at = b"", 0
    while at < len(token):
        if token[at : at + 2] == "\\x":
            raw, at = raw + bytes.fromhex(token[at + 2 : at + 4]), at + 4
        else:
            raw, at = raw + token[at].encode(), at + 1
    return raw.decode(errors="replace")


def check_page(page, sheet, text):
    assert page.index == sheet["feature"] and page.transcoder_id == "ours"
    assert page.activation_frequency == sheet["density"]
    assert (page.act_min, page.act_max) == (0, sheet["largest"])
    assert page.histogram == sheet["histogram"] or not sheet["rows"]
    for logits, key in ((page.top_logits, "promotes"), (page.bottom_logits, "suppresses")):
        assert [unescaped(t) for t in logits] == promoted(sheet, key, text, 10)[0]
    examples = [e for q in page.examples_quantiles for e in q.examples]
    wanted = [c for c, _ in contexts(sheet)]
    assert len(examples) == len(wanted)
    for example, context in zip(examples, wanted):
        assert [unescaped(t) for t in example.tokens] == text(context)
        assert example.tokens_acts_list == values(context)
        assert example.train_token_ind == context["at"]
    if sheet["rows"]:
        assert page.examples_quantiles[0].quantile_name == "Top activations"
        assert len(page.quantile_values) == 100 and page.quantile_values == sorted(page.quantile_values)
        assert page.quantile_values[-1] == pytest.approx(sheet["largest"], rel=1e-5)


def test_circuit_tracer(index, show, text):
    """Each record by its offsets, as the page asks a hub for it."""
    from circuit_tracer.frontend.feature_models import Model

    out, _ = export(index, "circuit-tracer", "--name", "ours", "--pages")
    place = json.loads(gzip.decompress((out / "features/index.json.gz").read_bytes()))[str(LAYER)]
    data, offsets = (out / "features" / place["filename"]).read_bytes(), place["offsets"]
    assert len(offsets) == FEATURES + 1 and offsets[-1] == len(data)
    for f in range(FEATURES):
        record = data[offsets[f] : offsets[f + 1] + 1]  # its ranges include the next record's first byte
        size = int.from_bytes(record[:4], "little")
        assert size + 4 == offsets[f + 1] - offsets[f]
        check_page(Model.model_validate_json(gzip.decompress(record[4 : 4 + size])), show(f), text)


def test_circuit_tracer_serves_pages(index, show, text):
    from circuit_tracer.frontend.feature_models import Model
    from circuit_tracer.frontend.graph_models import _cantor_pairing
    from circuit_tracer.frontend.local_server import serve

    out = index.parent / "circuit-tracer"
    server = serve(str(out), port=0)
    try:
        port = server.httpd.server_address[1]
        for f in (DEAD, 3, FEATURES - 1):
            url = f"http://127.0.0.1:{port}/data/pages/{_cantor_pairing(LAYER, f)}.json"
            with urllib.request.urlopen(url) as reply:
                check_page(Model.model_validate_json(reply.read()), show(f), text)
    finally:
        server.stop()


def test_circuit_tracer_alone(index, show, text):
    """Features that are not wanted keep how often they fire."""
    from circuit_tracer.frontend.feature_models import Model

    out = index.parent / "alone"
    sluice("features", "export", index, out, "--to", "circuit-tracer", "--features", "3,5-6", "--name", "ours")
    place = json.loads(gzip.decompress((out / "features/index.json.gz").read_bytes()))[str(LAYER)]
    data, offsets = (out / "features" / place["filename"]).read_bytes(), place["offsets"]
    for f in range(FEATURES):
        page = Model.model_validate_json(gzip.decompress(data[offsets[f] + 4 : offsets[f + 1]]))
        if f in (3, 5, 6):
            check_page(page, show(f), text)
        else:
            assert not page.examples_quantiles
            assert page.activation_frequency == pytest.approx(show(f)["density"], rel=1e-6)
