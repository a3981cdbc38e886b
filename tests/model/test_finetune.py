"""The section `model` of metrics.json."""

from gpt2news.run import companion

TRAINING = {
    "parameters": 7, "max_length": 256, "pooling": "last", "backbone": "models/gpt2-mini",
    "from_scratch": False, "epochs": 5, "seconds": 1.0, "dtype": "fp32",
}  # fmt: skip


def test_the_summary_says_from_scratch_and_keeps_the_job():
    summary = companion("records", "03_finetune").summary
    assert summary(TRAINING, {})["name"] == "gpt2-mini"
    job = {**TRAINING, "from_scratch": True, "job": {"usd": 0.1}}
    made = summary(job, {"freeze": 2})
    assert (made["name"], made["options"], made["job"]) == (
        "from scratch",
        {"freeze": 2},
        {"usd": 0.1},
    )
