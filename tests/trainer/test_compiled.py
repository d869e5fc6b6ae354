"""The compiled step: one compilation for all micro-batches, the same losses; and what happens where
it does not compile."""

import contextlib
from collections.abc import Callable

import pytest
import torch
import torch._dynamo
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException
from torch._dynamo.testing import CompileCounterWithBackend

from shards.errors import UserError
from trainer.compiled import Step, mark
from trainer.config import ModelConfig
from trainer.models.layout import grid
from trainer.models.pretraining import build
from trainer.objectives.batch import Batch
from trainer.objectives.losses import Losses

SHAPE = ModelConfig(
    layers=2, hidden=32, intermediate=64, heads=2, positions=40, vocab_size=99, next_head=True
)

CPU = torch.device("cpu")


def batch(seed: int, step: int = 1) -> Batch:
    """Four rows of one to three sequences, of other lengths for each seed."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(4, 99, (4, 40), generator=generator)
    lengths = torch.randint(4, 13, (4, 3), generator=generator)
    lengths[seed % 4, 2] = 0
    places = torch.arange(4).repeat_interleave(3) * 40 + torch.tensor([1, 2, 3]).repeat(4)
    labels = torch.randint(4, 99, (12,), generator=generator)
    following = torch.randint(0, 2, (4, 3), generator=generator)
    return Batch(ids, lengths, places, labels, next=following).laid_out(step)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_one_compilation_serves_every_micro_batch(precision: str, dropout: float) -> None:
    config = ModelConfig(**{**vars(SHAPE), "dropout": dropout, "attention_dropout": dropout})
    model = build(config, 0)
    losses = Losses(model, ("mlm", "nsp"), pairs=False)
    counter = CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(losses, backend=counter)
    torch._dynamo.reset()

    def autocast() -> contextlib.AbstractContextManager[None]:
        if precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast("cpu", torch.bfloat16)

    with torch._dynamo.config.patch(error_on_recompile=True):
        for seed in range(6):
            found = batch(seed)
            assert found.layout is not None
            mark(found.layout)
            torch.manual_seed(seed)
            with autocast():
                sums = compiled(found)
            (sums["mlm"] + sums["nsp"]).backward()
            if not dropout:
                with autocast():
                    plain = losses(found)
                for name, value in plain.items():
                    assert float((sums[name] - value).detach().abs()) < 1e-3
    assert counter.frame_count == 1


def test_validation_between_steps_compiles_nothing() -> None:
    model = build(SHAPE, 0)
    losses = Losses(model, ("mlm",), pairs=False)
    counter = CompileCounterWithBackend("eager")
    torch._dynamo.reset()
    compiled = torch.compile(losses, backend=counter)
    with torch._dynamo.config.patch(error_on_recompile=True):
        for seed in range(3):
            found = batch(seed)
            assert found.layout is not None
            mark(found.layout)
            compiled(found)
            model.eval()
            with torch.no_grad():
                model.forward(found.ids[:3], found.places[:6])
            model.train()
    assert counter.frame_count == 1


def test_a_line_that_is_filled_up_gives_the_same_losses() -> None:
    model = build(SHAPE, 0).double().eval()
    losses = Losses(model, ("mlm", "nsp"), pairs=False)
    one, filled = losses(batch(1)), losses(batch(1, grid(4, 40)))
    for name in one:
        assert float((one[name] - filled[name]).detach().abs()) < 1e-10


def test_the_line_grows_in_few_steps() -> None:
    assert grid(64, 512) == 1024 and grid(4, 512) == 64 and grid(1, 64) == 64
    for rows in (8, 64, 96, 256):
        assert rows * 512 / grid(rows, 512) <= 64


def failing(batch: Batch) -> dict[str, Tensor]:
    raise TorchDynamoException("no compiler")


def work(step: Step) -> Callable[[], Tensor]:
    return lambda: torch.stack(list(step(batch(0)).values()))


def test_a_run_goes_on_where_the_compiler_fails() -> None:
    losses = Losses(build(SHAPE, 0).eval(), ("mlm",), pairs=False)
    said: list[str] = []
    step = Step(losses, "auto", CPU, said.append)
    assert not step.is_compiled and not said
    step.is_compiled = True
    losses._compiled_call_impl = failing  # type: ignore[assignment]
    found = step.retry(work(step))
    assert torch.equal(found, torch.stack(list(losses.forward(batch(0)).values())))
    assert said == ["note: the step is not compiled, since the compiler failed: no compiler"]


def test_a_compiler_that_was_asked_for_must_work() -> None:
    losses = Losses(build(SHAPE, 0).eval(), ("mlm",), pairs=False)
    step = Step(losses, "on", CPU, lambda text: None)
    assert step.is_compiled
    losses._compiled_call_impl = failing  # type: ignore[assignment]
    with pytest.raises(UserError, match="the step cannot be compiled: no compiler"):
        step.retry(work(step))


def test_sixteen_bits_between_products_and_fp32_inside_the_norms() -> None:
    """Under autocast the hidden states are bf16, and the loss stays close to that of fp32."""
    model = build(SHAPE, 0).eval()
    losses = Losses(model, ("mlm",), pairs=False)
    seen: list[torch.dtype] = []
    model.encoder.layers[0].register_forward_hook(lambda *parts: seen.append(parts[2].dtype))
    exact = float(losses(batch(2))["mlm"].detach())
    with torch.autocast("cpu", torch.bfloat16):
        rounded = losses(batch(2))["mlm"]
    assert seen == [torch.float32, torch.bfloat16] and rounded.dtype == torch.float32
    assert abs(float(rounded.detach()) / exact - 1) < 2e-3
