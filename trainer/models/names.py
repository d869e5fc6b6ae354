"""The published names of the weights, by family: those of RobertaForMaskedLM, and of
BertForPreTraining (BertForMaskedLM without the head of the next sentence) in transformers, and of
the classes for sequence classification, question answering and multiple choice. The span head of a
BERT is named as in SpanBERT's own code.

Every file that holds weights or moments uses these names; the code has names of its own.
"""

import re

from trainer.config import ModelConfig

WORDS = "encoder.embeddings.word_embeddings.weight"

# A LayerNorm of a layer or of the embeddings.
NORM = "LayerNorm"

ENCODER = {
    "embeddings.norm": f"embeddings.{NORM}",
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "mixed": "attention.output.dense",
    "mixed_norm": f"attention.output.{NORM}",
    "inner": "intermediate.dense",
    "outer": "output.dense",
    "outer_norm": f"output.{NORM}",
}

HEADS = {
    "roberta": {
        "encoder": "roberta",
        "masked": "lm_head",
        "masked.norm": "lm_head.layer_norm",
        "next.pooler": "roberta.pooler.dense",
        "next.classes": "seq_relationship",
        "span": "span_head",
        "classify.dense": "classifier.dense",
        "classify.out": "classifier.out_proj",
        "choose.dense": "roberta.pooler.dense",
        "choose.out": "classifier",
        "answer.out": "qa_outputs",
        "answerable.dense": "answerable.dense",
        "answerable.out": "answerable.out_proj",
    },
    "bert": {
        "encoder": "bert",
        "masked": "cls.predictions",
        "masked.dense": "cls.predictions.transform.dense",
        "masked.norm": f"cls.predictions.transform.{NORM}",
        "next.pooler": "bert.pooler.dense",
        "next.classes": "cls.seq_relationship",
        "span": "cls.pair_target_predictions",
        "span.positions": "cls.pair_target_predictions.position_embeddings",
        "span.dense1": "cls.pair_target_predictions.mlp_layer_norm.linear1",
        "span.norm1": "cls.pair_target_predictions.mlp_layer_norm.layer_norm1",
        "span.dense2": "cls.pair_target_predictions.mlp_layer_norm.linear2",
        "span.norm2": "cls.pair_target_predictions.mlp_layer_norm.layer_norm2",
        "classify.dense": "bert.pooler.dense",
        "classify.out": "classifier",
        "choose.dense": "bert.pooler.dense",
        "choose.out": "classifier",
        "answer.out": "qa_outputs",
        "answerable.dense": "answerable.dense",
        "answerable.out": "answerable.out_proj",
    },
}

# Published copies of tied weights, which are left out when a file is read, and what each is a copy
# of.
TIED_TO = {
    "lm_head.decoder.weight": "{family}.embeddings.word_embeddings.weight",
    "lm_head.decoder.bias": "lm_head.bias",
    "cls.predictions.decoder.weight": "{family}.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
    "cls.pair_target_predictions.decoder.weight": "{family}.embeddings.word_embeddings.weight",
}


def published_name(name: str, config: ModelConfig) -> str:
    """The published name of the weight that the code calls `name`."""
    module, _, kind = name.rpartition(".")
    heads = HEADS[config.family]

    layer = re.fullmatch(r"encoder\.layers\.(\d+)\.(\w+)", module)
    if layer:
        return f"{heads['encoder']}.encoder.layer.{layer[1]}.{ENCODER[layer[2]]}.{kind}"
    if module.startswith("encoder."):
        part = module.removeprefix("encoder.")
        return f"{heads['encoder']}.{ENCODER.get(part, part)}.{kind}"
    if module in heads:
        return f"{heads[module]}.{kind}"

    head, _, part = module.partition(".")
    return f"{heads[head]}.{part}.{kind}"


def is_optional(name: str) -> bool:
    """Whether a published name is of a head that only some objectives train: that of the next
    sentence with its pooler, or that of spans."""
    return ".pooler." in name or "seq_relationship." in name or is_ours(name)


def is_ours(name: str) -> bool:
    """Whether a published name is of a head that transformers has no place for: that of spans, and
    that of the next sentence in a RoBERTa."""
    return name.startswith(
        ("span_head.", "cls.pair_target_predictions.", "seq_relationship.", "roberta.pooler.")
    )
