"""BERT equals transformers' BertForPreTraining, and its weights go both ways."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from trainer import export, pretrained
from trainer.config import ModelConfig, load_recipe
from trainer.models.names import published_name
from trainer.models.pretraining import (
    PretrainingModel,
    build,
    load_published,
    published_state,
    published_weights,
)
from trainer.models.sizes import count_parameters
from trainer.objectives.batch import Batch
from trainer.objectives.losses import Losses

transformers = pytest.importorskip("transformers")

SHAPE = ModelConfig(
    family="bert",
    layers=3,
    hidden=64,
    intermediate=160,
    heads=4,
    positions=48,
    vocab_size=1003,
    pad_id=0,
    end_id=3,
    layer_norm_eps=1e-12,
    next_head=True,
)

IGNORED = -100


def theirs(config: ModelConfig, kind: str = "BertForPreTraining") -> Any:
    torch.manual_seed(0)
    settings = export.hugging_face_config(config, {"start": 2, "end": 3})
    for key in ("torch_dtype", "architectures", "model_type"):
        settings.pop(key)
    model = getattr(transformers, kind)(transformers.BertConfig(**settings))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1)
            elif "LayerNorm" in name:
                parameter.normal_(1, 0.1)
            else:
                parameter.mul_(4)
    return model.eval()


def ours(model: Any, config: ModelConfig, dtype: torch.dtype) -> PretrainingModel:
    own = build(config, 0).to(dtype).eval()
    load_published(own, {name: tensor.to(dtype) for name, tensor in model.state_dict().items()})
    return own


def pairs() -> tuple[Batch, torch.Tensor, torch.Tensor]:
    """Four rows of one pair each, two of them padded; the token types and the labels in full."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(4, SHAPE.vocab_size - 1, (4, 48), generator=generator)
    ids[:, 0] = 2
    types = torch.zeros_like(ids)
    lengths = torch.tensor([[48], [30], [48], [5]])
    for row, separator in enumerate((20, 3, 45, 2)):
        end = int(lengths[row])
        ids[row, separator] = ids[row, end - 1] = 3
        ids[row, end:] = 0
        types[row, separator + 1 : end] = 1

    chosen = torch.rand(ids.shape, generator=generator) < 0.2
    labels = torch.where(chosen & (ids > 3), ids, IGNORED)
    places = (labels.reshape(-1) != IGNORED).nonzero()[:, 0]
    # padded as the loader pads: place 0, label IGNORED
    batch = Batch(
        ids=ids,
        lengths=lengths,
        places=torch.cat([places, torch.zeros(7, dtype=torch.int64)]),
        labels=torch.cat([labels.reshape(-1)[places], torch.full((7,), IGNORED)]),
        next=torch.tensor([[0], [1], [1], [0]]),
    )
    return batch, types, labels


@pytest.mark.parametrize("dtype, bound", [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_logits_losses_and_gradients_equal(dtype: torch.dtype, bound: float) -> None:
    """BertForPreTraining with the same weights: both logits, both losses, every gradient."""
    model = theirs(SHAPE).to(dtype)
    own = ours(model, SHAPE, dtype)
    batch, types, labels = pairs()
    masked = int((labels != IGNORED).sum())

    model.zero_grad()
    out = model(
        input_ids=batch.ids,
        token_type_ids=types,
        attention_mask=(batch.ids != 0).long(),
        labels=labels,
        next_sentence_label=batch.next[:, 0],
    )
    out.loss.backward()
    wanted = {name: parameter.grad for name, parameter in model.named_parameters()}

    sums = Losses(own, ("mlm", "nsp"), pairs=True)(batch)
    means = {"mlm": sums["mlm"] / masked, "nsp": sums["nsp"] / 4}
    (means["mlm"] + means["nsp"]).backward()
    assert abs(float((means["mlm"] + means["nsp"] - out.loss).detach())) < bound

    with torch.no_grad():
        hidden = own.encoder(batch.ids, batch.lengths, True)
        logits = own.masked_logits(hidden, batch.places)[:masked, : SHAPE.vocab_size]
        first = torch.arange(len(hidden)) * hidden.shape[1]
        following = own.next_logits(hidden, first)
    answer = out.prediction_logits.detach()[labels != IGNORED]
    assert float((logits - answer).abs().max()) < bound
    assert float((following - out.seq_relationship_logits.detach()).abs().max()) < bound
    next_loss = torch.nn.functional.cross_entropy(out.seq_relationship_logits, batch.next[:, 0])
    assert abs(float((means["nsp"] - next_loss).detach())) < bound

    words = own.words.grad
    assert words is not None and not words[SHAPE.vocab_size :].any()
    for name, weight in published_weights(own):
        assert weight.parameter.grad is not None
        gradient = weight.of(weight.parameter.grad)
        assert float((gradient - wanted[name]).abs().max()) < bound, name
    assert set(wanted) == {name for name, _ in published_weights(own)}


@pytest.mark.parametrize("kind", ["BertForPreTraining", "BertForMaskedLM"])
def test_import_and_export_are_exact(tmp_path: Path, kind: str) -> None:
    """Their directory -> our model -> tensors: equal to the bit, and so is the file."""
    config = dataclasses.replace(SHAPE, next_head=kind == "BertForPreTraining")
    theirs(config, kind).save_pretrained(tmp_path)
    assert pretrained.read_config(tmp_path, config) == config
    assert export.architecture(config) == kind

    own = build(config, 3)
    assert pretrained.load_pretrained(tmp_path, own) == []
    stored = safetensors.torch.load_file(tmp_path / "model.safetensors")
    back = published_state(own)
    assert set(back) == set(stored)
    assert all(torch.equal(back[name], stored[name]) for name in stored)

    (tmp_path / "again").mkdir()
    export.write_weights(own, tmp_path / "again")
    again = (tmp_path / "again" / "model.safetensors").read_bytes()
    assert again == (tmp_path / "model.safetensors").read_bytes()


def test_heads_that_a_directory_lacks_are_new_and_others_are_left_out(tmp_path: Path) -> None:
    theirs(dataclasses.replace(SHAPE, next_head=False), "BertForMaskedLM").save_pretrained(tmp_path)
    own = build(SHAPE, 3)
    before = own.next.pooler.weight.clone()  # type: ignore[union-attr]
    assert pretrained.load_pretrained(tmp_path, own) == [
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "cls.seq_relationship.weight",
        "cls.seq_relationship.bias",
    ]
    assert torch.equal(own.next.pooler.weight, before)  # type: ignore[union-attr]

    theirs(SHAPE).save_pretrained(tmp_path)
    plain = build(dataclasses.replace(SHAPE, next_head=False), 3)
    assert pretrained.load_pretrained(tmp_path, plain) == []


def test_published_sizes() -> None:
    """BERT-base and BERT-large for pretraining have 110,106,428 and 336,226,108 parameters."""
    shapes = {
        110_106_428: {"layers": 12, "hidden": 768, "intermediate": 3072, "heads": 12},
        336_226_108: {"layers": 24, "hidden": 1024, "intermediate": 4096, "heads": 16},
    }
    for count, shape in shapes.items():
        config = ModelConfig(family="bert", vocab_size=30522, next_head=True, **shape)
        assert count_parameters(config) == count


@pytest.mark.parametrize("family", ["roberta", "bert"])
def test_sizes_count_every_head(family: Any) -> None:
    config = dataclasses.replace(SHAPE, family=family, vocab_size=960, span_head=True)
    model = build(config, 0)
    assert sum(weight.numel() for weight in model.parameters()) == count_parameters(config)
    names = [name for name, _ in published_weights(model)]
    assert len(set(names)) == len(names)


def test_names_of_the_span_head() -> None:
    config = dataclasses.replace(SHAPE, span_head=True)
    assert published_name("span.norm2.weight", config) == (
        "cls.pair_target_predictions.mlp_layer_norm.layer_norm2.weight"
    )
    assert published_name("span.bias", config) == "cls.pair_target_predictions.bias"


def test_first_weights_are_truncated() -> None:
    """No weight beyond two deviations, whose deviation is then 0.88 of the named one."""
    weights = published_state(build(dataclasses.replace(SHAPE, init="truncated"), 1))
    table = weights["bert.embeddings.word_embeddings.weight"]
    assert float(table.abs().max()) <= 0.04
    assert abs(float(table[1:].std()) - 0.0176) < 2e-4
    types = weights["bert.embeddings.token_type_embeddings.weight"]
    assert types.shape == (2, 64) and types.any(1).all()
    plain = published_state(build(SHAPE, 1))["bert.embeddings.word_embeddings.weight"]
    assert float(plain.abs().max()) > 0.06


def test_recipe_of_bert_is_of_its_family() -> None:
    assert load_recipe("roberta-base").model.family == "roberta"
