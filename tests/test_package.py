"""What pip installs: contents of wheel and sdist, and a project made and run from the wheel in an environment of its own."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from kun.start import skeleton
from tests.copies import OFFLINE_GUARD, ROOT, Copy, shrink

CARRIED = "kun/start/project/"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as git has it, where building may leave its traces."""
    folder = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def sdist(source: Path) -> Path:
    return built(source, "--sdist")


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    return built(source, "--wheel")


def built(source: Path, kind: str) -> Path:
    """With the setuptools at hand: nothing is fetched."""
    command = [
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        kind,
        "--outdir",
        str(source.parent / "dist"),
        str(source),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    (found,) = (source.parent / "dist").glob("*.whl" if kind == "--wheel" else "*.tar.gz")
    return found


def test_the_wheel_has_the_package_and_a_project_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {name for name in names if ".dist-info/" not in name}
    files = [path for path in (ROOT / "kun").rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    code = {path.relative_to(ROOT).as_posix() for path in files}
    project = {CARRIED + name for name in skeleton.names(ROOT)}
    assert ours == code | project
    assert {CARRIED + "dvc.yaml", CARRIED + "data/glan/taxonomy.yaml", "kun/prompts/zh/label.j2"} <= ours
    assert not [name for name in names if name.startswith(("tests/", "bench/", "build/"))]
    assert [name for name in names if name.endswith(".dist-info/licenses/LICENSE")]


def test_a_wheel_from_the_sdist_is_the_same(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path)  # made here; Python 3.11.2 knows no filter
    (unpacked,) = tmp_path.iterdir()
    assert not (unpacked / "tests").exists()
    again = built(unpacked, "--wheel")
    contents = [
        {one.filename: one.CRC for one in zipfile.ZipFile(path).infolist() if ".dist-info/" not in one.filename}
        for path in (wheel, again)
    ]
    assert contents[0] == contents[1]


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel, and this one's packages behind it (but not this one's kun)."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    (own,) = folder.glob("lib/python*/site-packages")
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(folder / "bin/python"),
        "install",
        "-q",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*install, str(wheel)], check=True)
    (own / "behind.pth").write_text(sysconfig.get_path("purelib") + "\n")  # .pth files over there are not read
    return folder


def test_a_project_from_the_wheel_runs(environment: Path, tiny_base: Path, tmp_path: Path) -> None:
    def run(*command: str, folder: Path = tmp_path) -> str:
        path = f"{environment / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        own = {**copy.env, "PATH": path, "PYTHONPATH": str(OFFLINE_GUARD)}
        done = subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        return done.stdout + done.stderr

    copy = Copy(tmp_path / "project", tmp_path / "scratch")
    where = "import kun; print(kun.__file__)"
    assert run(str(environment / "bin/python"), "-c", where).startswith(str(environment))
    assert "Commands:" in run("kun", "--help")
    assert "files in project" in run("kun", "init", "project")
    shrink(copy.root / "data")
    copy.set_params({"model.base": str(tiny_base), "model.licence": "CC0-1.0"})
    assert not (copy.root / "kun").exists()
    first = run("dvc", "repro", "clean", folder=copy.root)
    assert "Running stage 'clean':" in first
    assert copy.counts("clean")["kept"] > 0
    assert "up to date" in run("dvc", "repro", "clean", folder=copy.root)
    path = copy.root / "code.yaml"
    path.write_text(path.read_text().replace("\ncorpus: ", "\ncorpus: 0"))
    done = subprocess.run(
        [str(environment / "bin/kun"), "ingest"],
        cwd=copy.root,
        env=copy.env | {"PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "run `kun upgrade`" in done.stderr
