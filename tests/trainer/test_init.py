"""What `--init` reads: the names and files of every kind of directory, or the reason why not."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import trainer_runs as runs

from shards.errors import UserError
from trainer.cli import main
from trainer.config import ModelConfig
from trainer.models.pretraining import build, published_state
from trainer.pretrained import load_pretrained, read_config
from trainer.same_vocabulary import compare_vocabularies, read_vocabulary

Tensors = dict[str, torch.Tensor]

BASE = ModelConfig()


@pytest.fixture(scope="module")
def exported(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A RobertaForMaskedLM of our own, as transformers stores it."""
    folder = tmp_path_factory.mktemp("exported")
    command = ["pretrain", "--shards", str(small), "--run", str(folder / "run"), *runs.MINI]
    runs.train([*command, "--steps", "2", "--optim.warmup-steps", "1"])
    assert main(["export", "--run", str(folder / "run"), "--out", str(folder / "hf")]) == 0
    return folder / "hf"


def copy_of(exported: Path, folder: Path, **config: Any) -> Path:
    """The directory again, with other fields in its configuration."""
    shutil.copytree(exported, folder)
    content = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**content, **config}))
    return folder


def tensors_of(folder: Path) -> Tensors:
    return safetensors.torch.load_file(folder / "model.safetensors")


def store(folder: Path, tensors: Tensors) -> None:
    safetensors.torch.save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def read(folder: Path) -> Tensors:
    """The weights of the model that `--init` makes of a directory."""
    model = build(read_config(folder, BASE), 7)
    load_pretrained(folder, model)
    return published_state(model)


def refusal(folder: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        read(folder)
    return caught.value


def assert_read(folder: Path, exported: Path) -> None:
    assert runs.same(read(folder), read(exported))


@pytest.mark.parametrize("kind", ["xlm-roberta", "camembert"])
def test_a_roberta_by_another_name(exported: Path, tmp_path: Path, kind: str) -> None:
    assert_read(copy_of(exported, tmp_path / "hf", model_type=kind), exported)


def test_more_token_types(exported: Path, tmp_path: Path) -> None:
    """transformers' default of a RobertaConfig is two types, of which only the first is used."""
    folder = copy_of(exported, tmp_path / "hf", type_vocab_size=2)
    tensors = tensors_of(folder)
    name = "roberta.embeddings.token_type_embeddings.weight"
    tensors[name] = torch.cat([tensors[name], torch.full_like(tensors[name], 9.0)])
    store(folder, tensors)
    assert_read(folder, exported)


@pytest.mark.parametrize("pickled", [False, True])
def test_several_files_with_an_index(exported: Path, tmp_path: Path, pickled: bool) -> None:
    folder = copy_of(exported, tmp_path / "hf")
    tensors = tensors_of(folder)
    (folder / "model.safetensors").unlink()
    whole = "pytorch_model.bin" if pickled else "model.safetensors"

    places = {}
    for part in range(3):
        stem, dot, suffix = whole.rpartition(".")
        file = f"{stem}-0000{part + 1}-of-00003{dot}{suffix}"
        some = {name: tensors[name] for name in sorted(tensors)[part::3]}
        if pickled:
            torch.save(some, folder / file)
        else:
            safetensors.torch.save_file(some, folder / file)
        places.update(dict.fromkeys(some, file))
    (folder / f"{whole}.index.json").write_text(json.dumps({"weight_map": places}))
    assert_read(folder, exported)

    (folder / file).unlink()
    assert refusal(folder).what == f"{folder}: {file} is missing, which {whole}.index.json names"

    index = folder / f"{whole}.index.json"
    for damaged in ("", "[]", "null", "{}", '{"weight_map": 5}', '{"weight_map": {"a": [1]}}'):
        index.write_text(damaged)
        assert refusal(folder).what == f"{index}: not an index of weights"


def test_names_of_old_files(exported: Path, tmp_path: Path) -> None:
    folder = copy_of(exported, tmp_path / "hf")
    old = {}
    for name, tensor in tensors_of(folder).items():
        if "LayerNorm" in name or "layer_norm" in name:
            name = name.replace(".weight", ".gamma").replace(".bias", ".beta")
        old[name] = tensor
    old["roberta.embeddings.position_ids"] = torch.arange(34)[None]
    store(folder, old)
    assert_read(folder, exported)


def test_names_without_the_encoder(exported: Path, tmp_path: Path) -> None:
    folder = copy_of(exported, tmp_path / "hf")
    store(folder, {name.removeprefix("roberta."): t for name, t in tensors_of(folder).items()})
    assert_read(folder, exported)


@pytest.mark.parametrize("prefix", ["roberta.", ""])
def test_without_the_head(exported: Path, tmp_path: Path, prefix: str) -> None:
    folder = copy_of(exported, tmp_path / "hf")
    encoder = {}
    for name, tensor in tensors_of(folder).items():
        if name.startswith("roberta."):
            encoder[prefix + name.removeprefix("roberta.")] = tensor
    store(folder, encoder)
    what = f"{folder}: no head for masked tokens in it (lm_head.*): it holds an encoder alone"
    assert refusal(folder).what == what

    store(folder, {**encoder, "classifier.dense.weight": torch.zeros(2, 2)})
    assert refusal(folder).what.endswith("it holds an encoder and classifier")


def test_a_decoder_of_its_own(exported: Path, tmp_path: Path) -> None:
    folder = copy_of(exported, tmp_path / "said", tie_word_embeddings=False)
    assert "tie_word_embeddings is False: the model has a decoder" in refusal(folder).what

    folder = copy_of(exported, tmp_path / "stored")
    tensors = tensors_of(folder)
    words = tensors["roberta.embeddings.word_embeddings.weight"]
    store(folder, {**tensors, "lm_head.decoder.weight": words.clone()})
    assert_read(folder, exported)

    other = words.clone()
    other[3, 1] += 1.0
    store(folder, {**tensors, "lm_head.decoder.weight": other})
    assert "lm_head.decoder.weight is not a copy of roberta.embeddings" in refusal(folder).what

    bias = tensors["lm_head.bias"] + 1.0
    store(folder, {**tensors, "lm_head.decoder.bias": bias})
    assert "lm_head.decoder.bias is not a copy of lm_head.bias" in refusal(folder).what


@pytest.mark.parametrize(
    "config, what",
    [
        ({"model_type": "roberta-prelayernorm"}, "model_type is 'roberta-prelayernorm'"),
        ({"model_type": ["roberta"]}, "model_type is ['roberta']"),
        ({"hidden_act": "gelu_new"}, "hidden_act is 'gelu_new': only 'gelu' can be read"),
        ({"is_decoder": True}, "is_decoder is True"),
        ({"num_hidden_layers": None}, "num_hidden_layers is None"),
        ({"pad_token_id": "1"}, "pad_token_id is '1'"),
    ],
)
def test_other_models(exported: Path, tmp_path: Path, config: dict[str, Any], what: str) -> None:
    folder = copy_of(exported, tmp_path / "hf", **config)
    assert what in refusal(folder).what


def test_a_cut_file(exported: Path, tmp_path: Path) -> None:
    folder = copy_of(exported, tmp_path / "hf")
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    assert "its weights cannot be read" in refusal(folder).what
    (folder / "model.safetensors").unlink()
    assert "neither model.safetensors nor pytorch_model.bin" in refusal(folder).what


# --- the tokenizer


def test_a_vocabulary_that_cannot_be_compared(
    small: Path, exported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = copy_of(exported, tmp_path / "hf")
    (folder / "tokenizer.json").unlink()
    command = ["pretrain", "--shards", str(small), "--run", str(tmp_path / "run"), *runs.MINI]
    more = ["--init", str(folder), "--steps", "1", "--optim.warmup-steps", "0"]
    assert main([*command, *more]) == 0
    said = capsys.readouterr().err
    assert said.count("its ids were not compared with the shards'; copy its tokenizer.json") == 1

    rows = len(read_vocabulary(small) or {})
    with pytest.raises(UserError, match=f"vocabulary of 8000 ids is not the shards' of {rows}"):
        compare_vocabularies(folder, folder, small, 8000)


def test_every_kind_of_vocabulary(small: Path, tmp_path: Path) -> None:
    known = read_vocabulary(small)
    assert known is not None
    pieces = sorted(known, key=lambda token: known[token])

    unigram = {"vocab": [[piece, -1.0] for piece in pieces], "type": "Unigram"}
    folders = {name: tmp_path / name for name in ("unigram", "txt", "json")}
    for folder in folders.values():
        folder.mkdir()
    content = {"model": unigram, "added_tokens": []}
    (folders["unigram"] / "tokenizer.json").write_text(json.dumps(content))
    (folders["json"] / "vocab.json").write_text(json.dumps(known))
    for folder in (folders["unigram"], folders["json"]):
        assert compare_vocabularies(folder, folder, small, len(known)) == ""

    (folders["txt"] / "vocab.txt").write_text("[PAD]\n[UNK]\nthe\n")
    assert read_vocabulary(folders["txt"]) == {"[PAD]": 0, "[UNK]": 1, "the": 2}
    with pytest.raises(UserError, match="its tokenizer is not the shards'"):
        compare_vocabularies(folders["txt"], folders["txt"], small, 3)

    swapped = [*pieces[:10], pieces[11], pieces[10], *pieces[12:]]
    content = {"model": {**unigram, "vocab": [[p, 0.0] for p in swapped]}, "added_tokens": []}
    (folders["unigram"] / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="is 11, not 10"):
        compare_vocabularies(folders["unigram"], folders["unigram"], small, len(known))


# --- flags beside it


@pytest.mark.parametrize("flags", [["--model.layers", "6"], ["--model.layer_norm_eps=1e-3"]])
def test_flags_of_the_shape_are_refused(
    small: Path,
    exported: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
) -> None:
    command = ["pretrain", "--shards", str(small), "--run", str(tmp_path / "run"), *runs.MINI]
    assert main([*command, "--init", str(exported), *flags]) == 2
    name = flags[0].partition("=")[0].replace("_", "-")
    assert f"error: {name}: with --init the model has the shape of" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_of_our_own_is_taken(small: Path, exported: Path, tmp_path: Path) -> None:
    command = ["pretrain", "--shards", str(small), "--run", str(tmp_path / "run"), *runs.MINI]
    still = ["--optim.lr", "1e-30", "--optim.weight-decay", "0", "--optim.warmup-steps", "0"]
    dropout = ["--model.dropout", "0"]
    init = ["--init", str(exported.parent / "run")]
    assert main([*command, *init, *still, *dropout, "--steps", "1"]) == 0
    assert runs.same(runs.weights(tmp_path / "run", 1), runs.weights(exported.parent / "run", 2))


# --- as transformers reads it


def test_transformers_computes_the_same(exported: Path, tmp_path: Path) -> None:
    """The directories that transformers itself writes give its own logits."""
    transformers = pytest.importorskip("transformers")
    shape = {
        "vocab_size": 300,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 34,
        "pad_token_id": 1,
        "layer_norm_eps": 1e-5,
    }
    ids = torch.randint(4, 300, (2, 20), generator=torch.Generator().manual_seed(1))
    for kind in ("Roberta", "XLMRoberta", "Camembert"):
        torch.manual_seed(3)
        config = getattr(transformers, f"{kind}Config")(**shape, type_vocab_size=2)
        theirs = getattr(transformers, f"{kind}ForMaskedLM")(config).eval()
        theirs.save_pretrained(str(tmp_path / kind), max_shard_size="40KB")
        assert not (tmp_path / kind / "model.safetensors").exists()

        model = build(read_config(tmp_path / kind, BASE), 7).eval()
        load_pretrained(tmp_path / kind, model)
        with torch.no_grad():
            ours = model(ids, torch.arange(ids.numel()))[:, :300]
            difference = (theirs(ids).logits.reshape(-1, 300) - ours).abs().max()
        assert float(difference) < 1e-4, kind
