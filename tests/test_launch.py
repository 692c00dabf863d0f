"""Two real processes with one plan and one result.

`accelerate launch` starts several processes on one machine through torchrun, on processors only when told `--multi_gpu` or with
MPI: so here torchrun starts them itself, and tells accelerate the same by the same variables. bench/faults/kills.py kills
ranks at random moments.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from kun.models import pin_base
from kun.params import Model
from kun.project import Project
from kun.tables.shards import read_dataset
from tests.copies import OFFLINE_GUARD, ROOT, TINY
from tests.made import prose, seed_pairs, seeds, store, texts

TORCHRUN = [
    "-m",
    "torch.distributed.run",
    "--nproc_per_node",
    "2",
    "--rdzv_backend",
    "c10d",
    "--rdzv_endpoint",
    "127.0.0.1:0",
]


@pytest.fixture
def project(tmp_path: Path, tiny_base: Path) -> Project:
    """20 seeds and 24 texts, the tiny model pinned; its head is not tied to the embedding, as in larger models."""
    untied = AutoModelForCausalLM.from_pretrained(tiny_base)
    head = untied.lm_head.weight.detach().clone()
    untied.config.tie_word_embeddings = False
    untied.lm_head.weight = torch.nn.Parameter(head)
    untied.save_pretrained(tmp_path / "base")
    for file in tiny_base.glob("tokenizer*"):
        shutil.copy(file, tmp_path / "base")
    tree = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for dotted, value in {**TINY, "model.base": "base", "train.method": "full", "train.learning_rate": 1e-3}.items():
        section, key = dotted.split(".")
        tree[section][key] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    project = Project(tmp_path)
    pin_base(project, Model(str(tmp_path / "base"), "main", "CC0-1.0"))
    store(project, "seeds", seeds(seed_pairs(20), heldout=4))
    store(project, "corpus", texts(prose(24)))
    return project


ENVIRONMENT = {
    "PYTHONPATH": f"{ROOT}{os.pathsep}{OFFLINE_GUARD}",
    "ACCELERATE_USE_CPU": "true",
    "OMP_NUM_THREADS": "1",
    "GLOO_SOCKET_IFNAME": "lo",
}


def launch(folder: Path, *words: str, alone: bool = False) -> str:
    """Output of `python WORDS` in one process or two; AssertionError unless it exits 0."""
    done = attempt(folder, *words, alone=alone)
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout + done.stderr


def attempt(folder: Path, *words: str, alone: bool = False, **variables: str) -> subprocess.CompletedProcess[str]:
    """`python WORDS` in one process or two, to whatever end."""
    return subprocess.run(
        [sys.executable, *([] if alone else TORCHRUN), *words],
        cwd=folder,
        env={**os.environ, **ENVIRONMENT, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_processes_know_of_each_other(tmp_path: Path) -> None:
    # One file per process: lines of two processes on one pipe may run into each other.
    (tmp_path / "ask.py").write_text(
        "from pathlib import Path\n"
        "from kun import processes\n"
        "told = f'{processes.state().num_processes} {processes.world_size()} {processes.rank()}'\n"
        "Path(told + '.told').touch()\n",
        encoding="utf-8",
    )
    launch(tmp_path, "ask.py")
    assert {file.stem for file in tmp_path.glob("*.told")} == {"2 2 0", "2 2 1"}
    launch(tmp_path, "ask.py", alone=True)
    assert (tmp_path / "1 1 0.told").exists()


def test_two_processes_train_write_and_judge_like_one(project: Project) -> None:
    for words in (["train", "label"], ["train", "chat"], ["label"], ["evaluate"]):
        assert "Traceback" not in launch(project.root, "-m", "kun", *words)
    both = read_dataset(project.dataset("labelled"))
    assert both.height == 24
    figures = json.loads(project.work("label").read_text(encoding="utf-8"))
    assert (figures["rows"], figures["measured"], figures["processes"]) == (24, 24, 2)
    shutil.rmtree(project.scratch / "work" / "label")
    launch(project.root, "-m", "kun", "label", alone=True)
    assert read_dataset(project.dataset("labelled")).equals(both)
    shutil.rmtree(project.scratch / "work" / "label")
    told = launch(project.root, "-m", "kun", "plan", "label", "--rows", "12")
    assert told.count("label: 24 rows, 12 in scratch (12 of them by this pilot), 12 to do") == 1
    assert "with 2 processes on cpu" in told
    settings = sorted(project.scratch.glob("work/train-*/*/settings.json"))
    assert len(settings) == 2, "both processes worked on one run of each model"


def test_a_process_that_waits_for_the_others_ends_with_the_launcher(tmp_path: Path) -> None:
    """Else it would hold the lock of its work for half an hour: the meeting place of the processes died with the launcher."""
    (tmp_path / "wait.py").write_text(
        "from pathlib import Path\nfrom kun import processes\nPath('up').touch()\nprocesses.wait_for_all()\n",
        encoding="utf-8",
    )
    start = "import subprocess, sys, time\nprint(subprocess.Popen([sys.executable, 'wait.py']).pid, flush=True)\ntime.sleep(600)"
    alone = {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "9"}
    with (tmp_path / "stderr.txt").open("w") as told:
        launcher = subprocess.Popen(
            [sys.executable, "-c", start],
            cwd=tmp_path,
            env={**os.environ, **ENVIRONMENT, **alone},
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
        )
    assert launcher.stdout is not None
    rank = psutil.Process(int(launcher.stdout.readline()))
    deadline = time.monotonic() + 120
    while not (tmp_path / "up").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert rank.is_running()
    launcher.kill()
    launcher.wait()
    psutil.wait_procs([rank], timeout=60)
    assert not rank.is_running() or rank.status() == psutil.STATUS_ZOMBIE
    line = "kun: the launcher was killed; finished batches are kept, run again to go on"
    assert line in (tmp_path / "stderr.txt").read_text(encoding="utf-8")


def test_a_process_whose_launcher_died_before_it_woke_up_ends_as_well(tmp_path: Path) -> None:
    """Whoever adopted it is no launcher, and never goes away."""
    (tmp_path / "wait.py").write_text(
        "import time\ntime.sleep(1)\nfrom kun import processes\nprocesses.wait_for_all()\n", encoding="utf-8"
    )
    start = "from subprocess import *\nimport sys\nprint(Popen([sys.executable, 'wait.py'], stdout=DEVNULL).pid)"
    launched = {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "9"}
    with (tmp_path / "stderr.txt").open("w") as told:
        launcher = subprocess.run(
            [sys.executable, "-c", start],
            cwd=tmp_path,
            env={**os.environ, **ENVIRONMENT, **launched, "TORCHELASTIC_RUN_ID": "none"},
            stdout=subprocess.PIPE,
            stderr=told,
            text=True,
            check=True,
        )
    rank = psutil.Process(int(launcher.stdout))
    psutil.wait_procs([rank], timeout=60)
    assert not rank.is_running() or rank.status() == psutil.STATUS_ZOMBIE
    assert "kun: the launcher was killed" in (tmp_path / "stderr.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("between", ["", "; true"], ids=["the launcher itself", "a script between them"])
def test_a_launcher_that_is_there_is_not_gone(between: str) -> None:
    """nsys, --no_python and the like stand between launcher and process; this test is the launcher."""
    asked = f"{sys.executable} -c 'from kun import processes; print(processes.launcher_is_gone())'{between}"
    launched = {"WORLD_SIZE": "2", "RANK": "1", "TORCHELASTIC_RUN_ID": "none"}
    told = subprocess.run(
        ["bash", "-c", asked], cwd=ROOT, env={**os.environ, **launched}, capture_output=True, text=True, check=True
    )
    assert told.stdout == "False\n"


def label_and_kill(project: Project, victim: str, batches: int) -> tuple[int, str]:
    """Exit code and stderr of `kun label` in two processes, of which one is killed behind so many batches."""
    log = project.root / "stderr.txt"
    with log.open("w") as told:
        command = [sys.executable, *TORCHRUN, "-m", "kun", "label"]
        launcher = subprocess.Popen(command, cwd=project.root, env={**os.environ, **ENVIRONMENT}, stderr=told)
    deadline = time.monotonic() + 300
    ranks: list[psutil.Process] = []
    while len(ranks) < 2 or not all(map(takes_sigterm, ranks)) or len(label_files(project, "seg-*")) < batches:
        assert launcher.poll() is None, log.read_text()[-4000:]
        assert time.monotonic() < deadline
        ranks = sorted(psutil.Process(launcher.pid).children(), key=lambda rank: rank.environ().get("RANK", ""))
        time.sleep(0.005)
    {"launcher": launcher, "other rank": ranks[1]}[victim].kill()
    psutil.wait_procs(ranks, timeout=60)
    return launcher.wait(60), log.read_text(encoding="utf-8")


def takes_sigterm(process: psutil.Process) -> bool:
    """Whether a process has come to its batches: before, SIGTERM ends it at once."""
    caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def label_files(project: Project, pattern: str) -> list[Path]:
    return list((project.scratch / "work" / "label").glob(f"*/{pattern}"))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="signals that a process handles are told by /proc")
def test_a_kill_costs_the_batch_of_the_killed_alone(project: Project) -> None:
    params = project.root / "params.yaml"
    params.write_text(params.read_text(encoding="utf-8").replace("max_rows: 4", "max_rows: 1"), encoding="utf-8")
    shutil.copytree(project.root / "base", project.adapter("label"))

    code, told = label_and_kill(project, "launcher", 1)
    assert code == -signal.SIGKILL
    line = "kun: label: stopped, for the launcher was killed; finished batches are kept, run again to go on"
    assert told.count(line) == 2, "each rank by itself"
    assert len(label_files(project, "claim-*")) == len(label_files(project, "seg-*")), "they finished their batches"

    kept = len(label_files(project, "seg-*"))
    code, told = label_and_kill(project, "other rank", kept + 2)
    assert code == 1
    assert len(label_files(project, "claim-*")) - (len(label_files(project, "seg-*")) - kept) <= 1
    assert told.count("kun: label: stopped by SIGTERM; finished batches are kept, run again to go on") == 1
    assert "exitcode  : -9" in told, "torchrun names the one that was killed"
    before = label_files(project, "seg-*")
    assert not project.dataset("labelled").exists()

    told = launch(project.root, "-m", "kun", "label", alone=True)
    assert f"label: {len(before)} rows are already computed, {24 - len(before)} to do" in told
    assert len(label_files(project, "seg-*")) == 24, "no row was computed twice"
    killed = [path.read_bytes() for path in sorted(project.dataset("labelled").iterdir())]
    shutil.rmtree(project.scratch / "work" / "label")
    launch(project.root, "-m", "kun", "label", alone=True)
    assert [path.read_bytes() for path in sorted(project.dataset("labelled").iterdir())] == killed


FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP"}


def trained(project: Project) -> dict[str, torch.Tensor]:
    (file,) = project.adapter("label").glob("*.safetensors")
    return load_file(file)


def test_two_processes_train_like_one_and_go_on_to_the_same_bytes(project: Project, tiny_base: Path) -> None:
    """Whole copies (DDP), then shards (FSDP; accelerate has it on GPUs only, see tests/launched.py), whose tied weight is
    the harder case. Rank 1 dies by kill -9 in the middle of an epoch."""
    params = project.root / "params.yaml"
    tree = yaml.safe_load(params.read_text(encoding="utf-8"))
    tree["engine"]["dtype"] = "float32"  # in bfloat16 gradients are summed up too roughly to compare
    params.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    pin_base(project, Model(str(tiny_base), "main", "CC0-1.0"))
    launch(project.root, "-m", "kun", "train", "label", alone=True)
    alone = trained(project)
    for variables in ({}, {**FSDP, "KUN_TEST_SHARD": "1"}):

        def run(variables: dict[str, str] = variables, **more: str) -> subprocess.CompletedProcess[str]:
            return attempt(project.root, "-m", "tests.launched", "train", "label", **variables, **more)

        shutil.rmtree(project.scratch / "work")
        done = run()
        assert done.returncode == 0, done.stderr[-4000:]
        told = json.loads((project.root / "reports/work/train-label.json").read_text(encoding="utf-8"))
        assert (told["processes"], told["sharded"]) == (2, bool(variables))
        whole = trained(project)
        assert whole.keys() == alone.keys()
        for name, weight in alone.items():
            torch.testing.assert_close(whole[name], weight, rtol=1e-4, atol=1e-5, msg=name)

        shutil.rmtree(project.scratch / "work")
        assert run(KUN_TEST_DIE="5").returncode != 0
        assert list(project.scratch.glob("work/train-label/*/checkpoint-4/complete"))
        done = run()
        assert done.returncode == 0, done.stderr[-4000:]
        resumed = trained(project)
        assert all(resumed[name].equal(whole[name]) for name in whole)


def test_sharding_that_accelerate_would_pass_over_is_refused(project: Project) -> None:
    """On processors it trains whole copies without a word."""
    done = attempt(project.root, "-m", "kun", "train", "label", **FSDP)
    assert done.returncode != 0
    assert "accelerate does not shard (FSDP) on cpu" in done.stderr
    assert not project.adapter("label").exists()
