"""The logits of each head equal those of the classes of transformers with the same weights, with
several sequences in a row."""

import numpy as np
import pytest
import task_models as models
import torch

from trainer.tasks.batches import make_batch
from trainer.tasks.model import HeadConfig, options_logits
from trainer.tasks.outputs import batch_outputs

FAMILIES = ["roberta", "bert"]

CLOSE = 2e-5


def close(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    assert float(theirs.abs().max()) > 0.1, "logits too small to compare"
    return float((ours - theirs).abs().max()) < CLOSE * float(theirs.abs().max())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("classes", [1, 2, 3])
def test_classification_and_regression(family: str, classes: int) -> None:
    kind = "number" if classes == 1 else "classes"
    model = models.loud(family, HeadConfig(kind=kind, classes=classes, scale=5.0)).eval()
    found = models.sequences(classes, [9, 30, 12, 7, 48], family)
    batch = make_batch(models.items_of(found, [1] * 5, 0.0), np.arange(5), models.ROLES)
    assert batch.lengths.shape[1] > 1  # rows are shared

    name = {"roberta": "RobertaForSequenceClassification", "bert": "BertForSequenceClassification"}
    other = models.theirs(model, name[family], classes)
    with torch.no_grad():
        ours = model.pooled(model.hidden(batch), batch)
        theirs = other(**models.padded(found, family)).logits
        assert close(ours, theirs)
        if classes == 1:
            assert close(batch_outputs(model, batch), 5.0 * theirs)


@pytest.mark.parametrize("family", FAMILIES)
def test_questions_about_a_passage(family: str) -> None:
    model = models.loud(family, HeadConfig(kind="span", answerable=True)).eval()
    found = models.sequences(7, [20, 44, 15, 9], family)
    batch = make_batch(models.items_of(found, [1] * 4, (0.0, 0.0, 0.0)), np.arange(4), models.ROLES)

    name = {"roberta": "RobertaForQuestionAnswering", "bert": "BertForQuestionAnswering"}
    state = {
        key: tensor for key, tensor in model.named_parameters() if not key.startswith("answerable")
    }
    plain = models.loud(family, HeadConfig(kind="span")).eval()
    plain.load_state_dict(state)
    other = models.theirs(plain, name[family])
    with torch.no_grad():
        ours = model.span_logits(model.hidden(batch), batch)
        theirs = other(**models.padded(found, family))
    for number, ids in enumerate(found):
        size = len(ids)
        assert close(ours[number, :size, 0], theirs.start_logits[number, :size])
        assert close(ours[number, :size, 1], theirs.end_logits[number, :size])
        assert bool((ours[number, size:] < -1e30).all())


@pytest.mark.parametrize("family", FAMILIES)
def test_multiple_choice(family: str) -> None:
    model = models.loud(family, HeadConfig(kind="choice")).eval()
    found = models.sequences(3, [20, 21, 22, 23, 9, 40, 10, 11], family)
    batch = make_batch(models.items_of(found, [4, 4], 0.0), np.array([1, 0]), models.ROLES)

    name = {"roberta": "RobertaForMultipleChoice", "bert": "BertForMultipleChoice"}
    other = models.theirs(model, name[family], 1)
    inputs = {key: value.reshape(2, 4, -1) for key, value in models.padded(found, family).items()}
    with torch.no_grad():
        logits = model.pooled(model.hidden(batch), batch)
        ours = options_logits(logits[:, 0], batch.options)
        theirs = other(**inputs).logits
    assert close(ours, theirs[[1, 0]])


@pytest.mark.parametrize("family", FAMILIES)
def test_candidates_are_scored_by_the_masked_head(family: str) -> None:
    model = models.loud(family, HeadConfig(kind="candidates")).eval()
    truths = models.sequences(5, [20, 22, 19], family)
    spans = [(4, 2), (4, 5), (4, 1)]
    builder = models.Builder()
    masked = []
    for truth, (first, count) in zip(truths, spans):
        ids = truth.clone()
        ids[first : first + count] = models.ROLES["mask"]
        masked.append(ids)
    builder.add(
        "0",
        [ids.numpy().astype("int32") for ids in masked],
        1.0,
        [ids.numpy().astype("int32") for ids in truths],
    )
    batch = make_batch(builder.build(), np.arange(1), models.ROLES)
    name = {"roberta": "RobertaForMaskedLM", "bert": "BertForMaskedLM"}
    other = models.theirs(model, name[family])
    with torch.no_grad():
        ours = model.candidate_scores(model.hidden(batch), batch)
        logits = other(**models.padded(masked, family)).logits.log_softmax(-1)
    for number, (truth, (first, count)) in enumerate(zip(truths, spans)):
        places = torch.arange(first, first + count)
        expected = logits[number, places, truth[places]].mean()
        assert abs(float(ours[number] - expected)) < 1e-4
