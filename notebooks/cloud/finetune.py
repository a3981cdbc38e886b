"""Chapter 03's training job, started from the shell: `gpt2news sagemaker submit`."""

from cloud.preflight import preflight, require
from cloud.training import submit as start
from cloud.training import train  # noqa: F401
from earlier import settings as settings_of
from gpt2news.run import Run
from newscloud import account

CHOSEN = ("backbone", "from_scratch", "epochs", "batch_size", "pooling", "seed")
IN_THE_JOB = ("learning_rate", "max_length")  # 0: what suits the backbone


def submit(run: Run) -> None:
    """Start the job that chapter 03 of this run would, and say how to come back to it.

    Raises:
        SageMakerError: something is missing, or AWS refused.
    """
    wanted, aws = settings_of(run, "03_finetune"), account.connect()
    if not run.path("splits", "val.csv").exists():
        corpus = settings_of(run, "02_split")["dataset"]
        how = f"papermill notebooks/02_split.ipynb - -p run {run.name} -p dataset {corpus}"
        raise account.SageMakerError(f"no splits in reports/{run.name}; {how}  makes them")
    settings = {name: wanted[name] for name in CHOSEN} | wanted["options"]
    settings |= {name: wanted[name] for name in IN_THE_JOB if wanted[name]}
    settings["normalise"] = run.metrics["dataset"]["name"] == "bbc-csv"
    machine = wanted["machine"]
    usage = "spot" if machine["spot"] else "training"
    asked = (machine["instance"], account.TRAINING_IMAGE, usage)
    require(preflight(aws, *asked, machine["instances"], machine["hours"]))
    name = start(aws, run, settings, **machine)
    print(f"Submitted. Later: gpt2news sagemaker fetch {name} --report {run.name}")
