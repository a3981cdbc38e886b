"""What a model classifies on: the last of its tokens' states, the first, or their mean.

transformers knows the last alone, and of GPT-2 and its kin. For all else this file goes into the
model's folder.
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


def states_of(model, input_ids: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """(n, tokens, width) states of ids that are padded on the right.

    Causal attention never looks at the padding. An encoder looks both ways, and needs a mask.
    """
    options = {"use_cache": False}
    if getattr(model, "encoder", False):
        places = torch.arange(input_ids.shape[1], device=input_ids.device)
        options = {"attention_mask": (places[None, :] <= last[:, None]).long()}
    return model.base_model(input_ids=input_ids, **options).last_hidden_state


def last_of(model, input_ids: torch.Tensor) -> torch.Tensor:
    """(n,) places of the last tokens that are not padding."""
    return (input_ids != model.config.pad_token_id).sum(dim=1).clamp(min=1) - 1


def score(model, states: torch.Tensor, last: torch.Tensor) -> SequenceClassifierOutput:
    """(n, topics) logits of (n, tokens, width) states."""
    return SequenceClassifierOutput(logits=model.score(pool(states, last, model.config.pooling)))


class Pooled:
    """Mixed into a `…ForSequenceClassification`: the same weights, another pooling.

    BERT and its kin put more on top; here it is one linear layer for all, as GPT-2 has it.
    """

    def __init__(self, config):
        super().__init__(config)
        self.encoder = not hasattr(self, "score")
        if self.encoder:
            for name in [name for name, _ in self.named_children()]:
                if name != self.base_model_prefix:
                    delattr(self, name)
            self.base_model.pooler = None
            self.score = torch.nn.Linear(config.hidden_size, config.num_labels, bias=False)
            self.score.weight.data.normal_(std=config.initializer_range)

    def forward(self, input_ids, **_) -> SequenceClassifierOutput:
        last = last_of(self, input_ids)
        return score(self, states_of(self, input_ids, last), last)
