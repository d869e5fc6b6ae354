"""The heads of tasks over the encoder, which compute what the classes of transformers do: sequence
classification (and regression), questions about a passage, multiple choice; and the RoBERTa paper's
classifier of answerable questions, for which transformers has no place.

Shape letters: Q sequences, T tokens, H width, C classes.
"""

import torch
from torch import Tensor, nn


class PooledHead(nn.Module):
    """Dense and tanh over the first token, and a linear layer: (Q, H) -> (Q, C).

    RoBERTa's head of classification drops out before the first layer too, as transformers and
    fairseq do (`drops_input`); BERT's, and both families' heads of multiple choice, after tanh
    only.
    """

    def __init__(self, width: int, classes: int, dropout: float, drops_input: bool) -> None:
        super().__init__()
        self.dense = nn.Linear(width, width)
        self.out = nn.Linear(width, classes)
        self.dropout = nn.Dropout(dropout)
        self.drops_input = drops_input

    def forward(self, first: Tensor) -> Tensor:
        x = self.dropout(first) if self.drops_input else first
        out: Tensor = self.out(self.dropout(torch.tanh(self.dense(x))))
        return out


class SpanHead(nn.Module):
    """The scores of each token as the first and as the last of the answer: (R, T, H) -> (R, T,
    2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        out: Tensor = self.out(hidden)
        return out
