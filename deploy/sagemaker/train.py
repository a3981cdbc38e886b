"""What a SageMaker training job runs: the same `python -m gpt2news.finetune` as everywhere, with
the job's folders.

The container's toolkit unpacks this file beside the library, installs requirements.txt, hands the
hyperparameters over as options, sets SM_CHANNEL_*, SM_MODEL_DIR and SM_NUM_GPUS, and starts a
process a GPU where there are several. A backbone that was uploaded arrives as a channel of its own.
"""

import os
import sys
from pathlib import Path

from gpt2news.finetune.__main__ import main
from gpt2news.finetune.device import ON_PURPOSE, WAYS_OUT, device_type


class LastLine:
    """Standard error that remembers its last line."""

    def __init__(self, out):
        self.out, self.last = out, ""

    def write(self, text: str) -> int:
        self.last = next((line for line in reversed(text.splitlines()) if line.strip()), self.last)
        return self.out.write(text)

    def __getattr__(self, name):
        return getattr(self.out, name)


def options(job: dict[str, str]) -> list[str]:
    """The job's folders as options.

    SageMaker copies the folder of the checkpoints to S3 while a job runs, and back into the job
    that takes its place.

    Raises:
        ValueError: the job is billed for a GPU, and torch sees none.
    """
    gpus = int(job.get("SM_NUM_GPUS") or 0)
    if gpus and not ON_PURPOSE and device_type() == "cpu":
        where = job.get("SM_CURRENT_INSTANCE_TYPE", "this machine")
        raise ValueError(f"{where} has {gpus} GPU, and torch sees none. {WAYS_OUT}")
    model = job["SM_MODEL_DIR"]
    given = {"train": job.get("SM_CHANNEL_TRAIN"), "val": job.get("SM_CHANNEL_VAL"), "out": model}
    given |= {"checkpoints": str(Path(model).parent / "checkpoints")}
    given["backbone"] = job.get("SM_CHANNEL_BACKBONE")
    return [f"--{name}={value}" for name, value in given.items() if value]


if __name__ == "__main__":
    sys.stderr = last_line = LastLine(sys.stderr)
    try:
        code = main([*options(os.environ), *sys.argv[1:]])
    except SystemExit as end:  # an option that does not exist
        code = end.code
    if code and last_line.last:
        raise ValueError(
            last_line.last
        )  # the toolkit takes a job's failure reason from a line with the name of a Python error
    sys.exit(code)
