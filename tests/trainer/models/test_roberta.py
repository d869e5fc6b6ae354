"""The model equals transformers' RobertaForMaskedLM; weights go both ways unchanged."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from trainer_fixtures import batch

from shards.errors import UserError
from trainer import export, pretrained
from trainer.config import ModelConfig, load_recipe
from trainer.models.pretraining import (
    PretrainingModel,
    build,
    load_published,
    published_state,
    published_weights,
)
from trainer.models.sizes import count_parameters, flops_per_token
from trainer.objectives.cross_entropy import cross_entropy_sum

transformers = pytest.importorskip("transformers")

WORDS = "roberta.embeddings.word_embeddings.weight"

SHAPE = ModelConfig(layers=3, hidden=64, intermediate=160, heads=4, positions=48, vocab_size=1003)


def theirs(config: ModelConfig, seed: int = 0) -> Any:
    torch.manual_seed(seed)
    special = {"start": 0, "end": 2}
    model = transformers.RobertaForMaskedLM(
        transformers.RobertaConfig(
            **{
                k: v
                for k, v in export.hugging_face_config(config, special).items()
                if k not in ("torch_dtype", "architectures", "model_type")
            }
        )
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "token_type" in name or name.endswith("bias"):
                parameter.normal_(0, 0.1)
            elif "LayerNorm" in name or "layer_norm" in name:
                parameter.normal_(1, 0.1)
            else:
                parameter.mul_(4)
    return model.eval()


def ours(model: Any, config: ModelConfig, dtype: torch.dtype) -> PretrainingModel:
    own = build(config, 0).to(dtype).eval()
    load_published(own, {name: tensor.to(dtype) for name, tensor in model.state_dict().items()})
    return own


def run_theirs(
    model: Any, ids: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    model.zero_grad()
    out = model(input_ids=ids, attention_mask=(ids != 1).long(), labels=labels)
    out.loss.backward()
    return (
        out.logits[labels != -100].detach(),
        out.loss.detach(),
        {name: parameter.grad for name, parameter in model.named_parameters()},
    )


def run_ours(
    model: PretrainingModel, ids: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    places = (labels.reshape(-1) != -100).nonzero()[:, 0]
    # padded as the loader pads: place 0, label IGNORED
    padded = torch.cat([places, torch.zeros(7, dtype=torch.int64)])
    targets = torch.cat([labels.reshape(-1)[places], torch.full((7,), -100)])
    logits = model(ids, padded)
    loss = cross_entropy_sum(logits, targets) / len(places)
    loss.backward()
    rows = model.config.vocab_size
    assert not model.encoder.embeddings.word_embeddings.weight.grad[rows:].any()
    gradients = {
        name: weight.of(weight.parameter.grad) for name, weight in published_weights(model)
    }  # type: ignore[index]
    return logits[: len(places), :rows].detach(), loss.detach(), gradients


def difference(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[float, float, float]:
    logits, loss = float((a[0] - b[0]).abs().max()), float((a[1] - b[1]).abs())
    return logits, loss, max(float((a[2][name] - b[2][name]).abs().max()) for name in a[2])


@pytest.mark.parametrize(
    "config",
    [
        SHAPE,
        ModelConfig(layers=1, hidden=32, intermediate=64, heads=2, positions=20, vocab_size=512),
    ],
    ids=["odd", "even"],
)
def test_logits_loss_and_gradients_equal_in_float64(config: ModelConfig) -> None:
    model, data = theirs(config).double(), batch(config)
    assert (
        max(
            difference(
                run_ours(ours(model, config, torch.float64), *data), run_theirs(model, *data)
            )
        )
        < 1e-9
    )


def test_float32_is_as_exact_as_theirs() -> None:
    """Our error against float64 is at most twice theirs, for logits, loss and gradients (the root
    mean square over all)."""
    model, data = theirs(SHAPE), batch(SHAPE)
    single_theirs, single_ours = (
        run_theirs(model, *data),
        run_ours(ours(model, SHAPE, torch.float32), *data),
    )
    exact = run_theirs(model.double(), *data)

    def errors(found: tuple[Any, ...]) -> tuple[float, float, float]:
        square = sum(
            float((found[2][name].double() - exact[2][name]).square().sum()) for name in exact[2]
        )
        return (
            float((found[0].double() - exact[0]).square().mean().sqrt()),
            abs(float(found[1].double() - exact[1])),
            square**0.5,
        )

    for mine, other, floor in zip(errors(single_ours), errors(single_theirs), (1e-9, 3e-7, 1e-9)):
        assert mine <= max(2 * other, floor)


def test_exported_config_loads_with_every_field(tmp_path: Path) -> None:
    config = export.hugging_face_config(SHAPE, {"start": 0, "end": 2})
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded = transformers.AutoConfig.from_pretrained(tmp_path)
    for key, value in config.items():
        if key not in ("torch_dtype", "position_embedding_type"):
            assert getattr(loaded, key) == value, key
    assert pretrained.read_config(tmp_path, SHAPE) == SHAPE


def test_import_and_export_are_exact(tmp_path: Path) -> None:
    """Their directory -> our model -> tensors: equal to the bit; and the file itself is the one
    transformers wrote."""
    model = theirs(SHAPE)
    model.save_pretrained(tmp_path)
    config = pretrained.read_config(tmp_path, SHAPE)
    own = build(config, 3)
    pretrained.load_pretrained(tmp_path, own)
    stored = safetensors.torch.load_file(tmp_path / "model.safetensors")
    back = published_state(own)
    assert set(back) == set(stored) and all(
        torch.equal(back[name], stored[name]) for name in stored
    )
    assert (
        safetensors.torch.save(
            {name: tensor.contiguous() for name, tensor in back.items()}, {"format": "pt"}
        )
        == (tmp_path / "model.safetensors").read_bytes()
    )


def test_import_of_a_pickled_checkpoint(tmp_path: Path) -> None:
    model = theirs(SHAPE)
    model.config.save_pretrained(tmp_path)
    state = {
        **model.state_dict(),
        "roberta.embeddings.position_ids": torch.arange(48),
        "roberta.pooler.dense.bias": torch.zeros(64),
    }
    torch.save(state, tmp_path / "pytorch_model.bin")
    own = build(SHAPE, 0)
    pretrained.load_pretrained(tmp_path, own)
    assert torch.equal(published_state(own)[WORDS], model.state_dict()[WORDS])


def test_what_cannot_be_imported_is_named(tmp_path: Path) -> None:
    model = theirs(SHAPE)
    model.save_pretrained(tmp_path)
    own = build(SHAPE, 0)
    path = tmp_path / "model.safetensors"
    whole = safetensors.torch.load_file(path)
    for name, change in (
        ("lm_head.bias", None),
        ("extra.weight", torch.zeros(1)),
        ("lm_head.dense.bias", torch.zeros(3)),
    ):
        state = {key: tensor for key, tensor in whole.items() if key != name} | (
            {} if change is None else {name: change}
        )
        safetensors.torch.save_file(state, path)
        with pytest.raises(UserError, match=name):
            pretrained.load_pretrained(tmp_path, own)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="cannot be read"):
        pretrained.load_pretrained(tmp_path, own)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "model_type": "xlnet"}))
    with pytest.raises(UserError, match="model_type is 'xlnet'"):
        pretrained.read_config(tmp_path, SHAPE)


def test_published_sizes() -> None:
    """The published checkpoints have 124,697,433 and 355,412,057 parameters; base has 202 tensors
    in its file."""
    for name, count in (("roberta-base", 124_697_433), ("roberta-large", 355_412_057)):
        config = load_recipe(name).model
        config = ModelConfig(**{**vars(config), "vocab_size": 50265})
        assert count_parameters(config) == count
        with torch.device("meta"):
            model = PretrainingModel(config)
        padding = (model.encoder.embeddings.word_embeddings.weight.shape[0] - 50265) * config.hidden
        assert sum(parameter.numel() for parameter in model.parameters()) - padding == count
        if name == "roberta-base":
            assert len(published_state(model)) == 202
            assert abs(flops_per_token(config, 512, 0.15) / 602e6 - 1) < 0.01


def test_positions_count_from_the_pad_id() -> None:
    """trainer-peers: [0, 31414, 232, 328, 2, 1, 1] stands at 2, 3, 4, 5, 6, 1, 1."""
    model = build(SHAPE, 0)
    seen: list[torch.Tensor] = []
    model.encoder.embeddings.position_embeddings.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    model.encoder(torch.tensor([[0, 314, 232, 328, 2, 1, 1]]))
    assert seen[0].tolist() == [2, 3, 4, 5, 6]


def test_first_weights_are_keyed() -> None:
    a, b, c = (published_state(build(SHAPE, seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a[WORDS], c[WORDS])
    assert abs(float(a[WORDS].std()) - 0.02) < 1e-3 and not a[WORDS][1].any()
    assert (
        not a["roberta.encoder.layer.0.output.dense.bias"].any()
        and (a["lm_head.layer_norm.weight"] == 1).all()
    )


def test_ignored_places_have_no_loss() -> None:
    assert float(cross_entropy_sum(torch.eye(3), torch.full((3,), -100))) == 0.0
