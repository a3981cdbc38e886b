"""What a model classifies on: the last of its tokens' states, the first, or their mean.

transformers knows the last alone; for the others this file goes into the model's folder.
"""

import torch
from transformers.modeling_outputs import SequenceClassifierOutput


def pool(states: torch.Tensor, last: torch.Tensor, pooling: str) -> torch.Tensor:
    """(n, tokens, width) states and (n,) places of the last tokens -> (n, width)."""
    if pooling == "first":
        return states[:, 0]
    if pooling == "last":
        # Not len(states), which an export would fix.
        rows = torch.arange(states.shape[0], device=states.device)
        return states[rows, last]
    places = torch.arange(states.shape[1], device=states.device)
    real = (places[None, :] <= last[:, None]).unsqueeze(-1)
    return (states * real).sum(dim=1) / (last + 1)[:, None]


def score(model, states: torch.Tensor, input_ids: torch.Tensor) -> SequenceClassifierOutput:
    """(n, topics) logits of (n, tokens, width) states of ids that are padded on the right."""
    last = (input_ids != model.config.pad_token_id).sum(dim=1).clamp(min=1) - 1
    return SequenceClassifierOutput(logits=model.score(pool(states, last, model.config.pooling)))


class Pooled:
    """Mixed into a `…ForSequenceClassification`: the same weights, another pooling."""

    def forward(self, input_ids, **_) -> SequenceClassifierOutput:
        states = self.base_model(input_ids=input_ids, use_cache=False).last_hidden_state
        return score(self, states, input_ids)
