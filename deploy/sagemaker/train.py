"""What a SageMaker training job runs: the same `python -m gpt2news.finetune` as everywhere, with
the job's folders.

The container's toolkit unpacks this file beside the library, installs requirements.txt, and sets
SM_CHANNEL_*, SM_MODEL_DIR and SM_HPS, which the library reads. A backbone that was uploaded arrives
as a channel of its own.
"""

import os
import sys

from gpt2news.finetune.__main__ import main


class LastLine:
    """Standard error that remembers its last line."""

    def __init__(self, out):
        self.out, self.last = out, ""

    def write(self, text: str) -> int:
        self.last = next((line for line in reversed(text.splitlines()) if line.strip()), self.last)
        return self.out.write(text)

    def __getattr__(self, name):
        return getattr(self.out, name)


if __name__ == "__main__":
    uploaded = os.environ.get("SM_CHANNEL_BACKBONE")
    sys.stderr = last_line = LastLine(sys.stderr)
    try:
        code = main([*sys.argv[1:], *(["--backbone", uploaded] if uploaded else [])])
    except SystemExit as end:  # an option that does not exist
        code = end.code
    if code and last_line.last:
        raise ValueError(
            last_line.last
        )  # the toolkit takes a job's failure reason from a line with the name of a Python error
    sys.exit(code)
