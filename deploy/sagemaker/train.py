"""What a SageMaker training job runs: the same `python -m gpt2news.finetune` as everywhere, with the job's folders.

The container's toolkit unpacks this file beside the library, installs requirements.txt, and sets SM_CHANNEL_*, SM_MODEL_DIR and
SM_HPS, which the library reads. A backbone that was uploaded arrives as a channel of its own.
"""

import os
import sys

from gpt2news.finetune.__main__ import main

if __name__ == "__main__":
    uploaded = os.environ.get("SM_CHANNEL_BACKBONE")
    sys.exit(main([*sys.argv[1:], *(["--backbone", uploaded] if uploaded else [])]))
