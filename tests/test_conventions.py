"""The house rules of docs/architecture.md and CONTRIBUTING.md: names agree, imports go down, the top stays light."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import jinja2
import jinja2.meta
import pytest
import yaml

from kun.cli import main
from kun.project import Project
from kun.reference import reference
from kun.schemas.datasets import DATASETS
from tests.copies import ROOT

PACKAGE = ROOT / "kun"
PROJECT = Project()
PIPELINES: dict[str, dict[str, Any]] = {
    path.parent.name: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((ROOT / "pipelines").glob("*/dvc.yaml"))
}
"""Those beside the main line. A name of theirs is written <pipeline>/<name>: the stage, verb or dataset reflection/pairs."""


def written() -> dict[str, Any]:
    """Stage -> what dvc.yaml says of it, of the main line and of all other pipelines."""
    root = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    others = ((f"{name}/{stage}", said) for name, file in PIPELINES.items() for stage, said in file["stages"].items())
    return {**root, **dict(others)}


STAGES: dict[str, Any] = {name: stage.get("do", stage) for name, stage in written().items()}
PARAMS: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def resolve(dotted: str) -> Any:
    value = PARAMS
    for name in dotted.split("."):
        value = value[name]
    return value


def loop(foreach: Any) -> dict[str, Any]:
    """Key -> item of a loop in dvc.yaml, which may stand in params.yaml."""
    items = resolve(foreach[2:-1]) if isinstance(foreach, str) else foreach
    return items if isinstance(items, dict) else dict(zip(items, items, strict=True))


ITEMS: dict[str, Any] = {name: loop(stage["foreach"]) for name, stage in written().items() if "foreach" in stage}


def commands() -> dict[str, click.Command]:
    """Every verb; those of a group under <group>/<verb>."""
    found: dict[str, click.Command] = {}
    for name, command in main.commands.items():
        if isinstance(command, click.Group):
            found |= {f"{name}/{verb}": inner for verb, inner in command.commands.items()}
        else:
            found[name] = command
    return found


def qualified(stage: str, name: str) -> str:
    """A name that stands in the dvc.yaml of a stage, as it is known everywhere."""
    pipeline = stage.rpartition("/")[0]
    return f"{pipeline}/{name}" if pipeline else name


VERBS = list(commands())
CHECKED: dict[str, str] = {
    qualified(stage, dataset): qualified(stage, maker)
    for stage, items in ITEMS.items()
    if stage.split("/")[-1] == "check"
    for dataset, maker in items.items()
}
"""Dataset -> the stage that makes it."""

NO_STAGES = (
    "init",
    "upgrade",
    "explain",
    "why",
    "review",
    "votes",
    "what-if",
    "diff",
    "compare",
    "plan",
    "doctor",
    "summary",
    "fetch",
    "publish",
    "glan/propose",
    "dynosaur/grow",
)
MODEL_STAGES = ("perplexity", "corpus", "train", "evaluate", "label", "judge", "polish", "losses", "select")
MODEL_STAGES += ("dynosaur/proposals", "dynosaur/replay", "experience/choose", "experience/train")
MODEL_STAGES += tuple(f"glan/{stage}" for stage in ("lists", "subjects", "syllabi", "sessions", "questions", "answers"))
MODEL_STAGES += tuple(f"reflection/{stage}" for stage in ("instructions", "by_ifd", "answers", "by_rifd"))
SHARED_SECTIONS = ("model", "engine")
NOT_IN_RESULTS = {
    "launch",
    "executor",
    "engine.batch_tokens",
    "engine.max_rows",
    "engine.max_failed_share",
    "engine.server",
}
"""How work is done, not what comes out: a change must not run anything again."""
SERVED = {"engine.server.models", "engine.server.extra"}
"""What of engine.server does decide results."""

LAYERS = (
    ("kun", "errors"),
    ("params", "schemas", "project", "processes", "terminal"),
    ("config", "tables", "prompts"),
    ("lazily",),
    ("engine",),
    ("models",),
    ("work",),
    ("corpus", "votes"),
    ("backtranslate", "gate"),
    ("select", "mix"),
    ("release",),
    ("report",),
    ("train", "reflection", "glan", "dynosaur"),
    ("start",),
    ("forecast", "doctor", "explain", "sharing"),
    ("whatif", "compare"),
    ("review",),
    ("cli",),
    ("reference", "__main__"),
)
"""From the ground up; a module imports from its own folder and from lower layers."""

SHARED_NAMES = {
    "kun.corpus.text": None,
    "kun.corpus.language": None,
    "kun.corpus.letters": None,
    "kun.corpus.minhash": None,
    "kun.corpus.neardup": None,
    "kun.corpus.meaning": None,
    "kun.corpus.items": None,
    "kun.corpus.readers": None,
    "kun.corpus.files": None,
    "kun.corpus.encoding": None,
    "kun.corpus.evals": None,
    "kun.backtranslate.measures": None,
    "kun.backtranslate.phrases": None,
    "kun.select.losses": {"pair_losses", "scorer", "REASONS"},
    "kun.select.templates": {"template_of"},
    "kun.train.sft": {"Units", "learn"},
    "kun.select.scores": None,
    "kun.release.facts": None,
    "kun.release.files": None,
    "kun.release.funnel": None,
    "kun.report.draw": None,
    "kun.report.style": None,
    "kun.backtranslate.label": {"label_prompt"},
    "kun.backtranslate.judge": {"judge_prompt", "verdict_margins", "verdict_scores", "GOOD", "BAD"},
    "kun.backtranslate.polish": {"polish_prompt"},
}
"""What stages may take from another stage's module (None: all of it): pure helpers, prompts and the judge's scores."""

HEAVY = (
    "torch",
    "transformers",
    "accelerate",
    "peft",
    "polars",
    "pandas",
    "numpy",
    "great_expectations",
    "dvc",
    "pyarrow",
)


@dataclass(frozen=True)
class Import:
    """One imported name; `name` is "" for `import module`."""

    file: str
    module: str
    name: str
    at_top: bool


def python_files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports() -> list[Import]:
    return [found for path in python_files() for found in imports_of(path)]


def imports_of(path: Path) -> Iterator[Import]:
    inside = {node for function in functions(tree(path)) for node in ast.walk(function)}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(relative(path), alias.name, "", node not in inside)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: relative imports hide the layer"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"  # `from kun.backtranslate import phrases` names a module
                yield Import(
                    relative(path), whole if module_file(whole) else node.module, alias.name, node not in inside
                )


def functions(module: ast.Module) -> Iterator[ast.AST]:
    return (node for node in ast.walk(module) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def module_file(module: str) -> Path | None:
    path = ROOT / Path(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def part_of(module: str) -> str:
    """kun.corpus.text -> corpus, kun -> kun."""
    return [*module.split("."), "kun"][1]


def stage_modules() -> dict[str, str]:
    """Verb -> the module that its function is imported from, by reading cli/stages.py and cli/<pipeline>.py."""
    found = {}
    for file, group in [("stages", ""), *((name, name) for name in PIPELINES)]:
        for function in tree(PACKAGE / "cli" / f"{file}.py").body:
            verb = f"{group}/{function.name}".strip("/") if isinstance(function, ast.FunctionDef) else ""
            for node in ast.walk(function) if verb in VERBS and verb not in NO_STAGES else ():
                if isinstance(node, ast.ImportFrom) and any(f"{group}/{a.name}".strip("/") == verb for a in node.names):
                    found[verb] = str(node.module)
    return found


@cache
def imported_with(module: str) -> frozenset[str]:
    """The module and all of kun that it imports, directly or not."""
    file = module_file(module)
    assert file is not None
    direct = {found.module for found in imports() if found.file == relative(file) and found.module.startswith("kun")}
    return frozenset({module}).union(*(imported_with(other) for other in direct - {module}))


def section_of(stage: str) -> str:
    """Its section of params.yaml; the stages of a pipeline beside the main line share one."""
    return stage.split("/")[0]


def keys_of(section: str) -> list[str]:
    value = PARAMS[section]
    return [f"{section}.{key}" for key in value] if isinstance(value, dict) else [section]


def referenced(stage: str) -> list[str]:
    """Keys of params.yaml that DVC watches for a stage, loops unrolled, what its strings are filled with included."""
    found = []
    for key, item in ITEMS.get(stage, {"": ""}).items():
        found += [unrolled(text, key, item) for text in STAGES[stage].get("params", [])]
    filled = re.findall(r"\$\{([\w.]+)\}", json.dumps(written()[stage]))
    return found + [name for name in filled if name.split(".")[0] not in ("item", "key")]


def unrolled(text: str, key: str, item: Any) -> str:
    """A string of a loop, as it is for one item."""
    parts = {f"item.{name}": value for name, value in item.items()} if isinstance(item, dict) else {"item": item}
    for name, value in {**parts, "key": key}.items():
        text = text.replace(f"${{{name}}}", value)
    return text


def outs(stage: str) -> list[str]:
    entries = [*STAGES[stage].get("outs", []), *STAGES[stage].get("metrics", [])]
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


@cache
def steps() -> dict[str, tuple[list[str], list[str]]]:
    """Every single stage of all pipelines, loops unrolled, parameters filled in -> (deps, outs)."""
    found = {}
    for name, stage in STAGES.items():
        for key, item in ITEMS.get(name, {"": ""}).items():
            deps, made = (
                [filled(unrolled(text, key, item)) for text in texts] for texts in (stage.get("deps", []), outs(name))
            )
            found[f"{name}@{key}" if key else name] = (deps, made)
    return found


def filled(text: str) -> str:
    """With the values of params.yaml in place of their names."""
    return re.sub(r"\$\{([\w.]+)\}", lambda name: str(resolve(name[1])), text)


@cache
def ancestors(step: str) -> frozenset[str]:
    """All steps that DVC runs before it."""
    deps = steps()[step][0]
    parents = {
        name
        for name, (_, made) in steps().items()
        if name != step and any(_meet(dep, out) for dep in deps for out in made)
    }
    return frozenset(parents).union(*(ancestors(parent) for parent in parents))


def _meet(dep: str, out: str) -> bool:
    return dep == out or dep.startswith(f"{out}/") or out.startswith(f"{dep}/")


# Names agree


def test_stages_are_verbs_in_the_same_order() -> None:
    """`kun check` is for the datasets of every pipeline."""
    stages = [stage for stage in STAGES if not stage.endswith("/check")]
    assert stages == [verb for verb in VERBS if verb not in NO_STAGES]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_runs_its_own_verb(stage: str) -> None:
    start = "${launch}" if stage in MODEL_STAGES else "kun"
    argument = {"train": " ${item}", "source": " ${key}"}.get(stage, "")
    if stage.split("/")[-1] == "check":
        assert STAGES[stage]["cmd"] == f"{start} check {qualified(stage, '${key}')}"
    else:
        assert STAGES[stage]["cmd"] == f"{start} {stage.replace('/', ' ')}{argument}"


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_beside_the_main_line_runs_in_the_root_with_its_parameters(name: str) -> None:
    """As a user starts it: dvc repro pipelines/NAME/dvc.yaml."""
    assert PIPELINES[name]["vars"] == ["../../params.yaml"]
    for stage in PIPELINES[name]["stages"].values():
        assert stage.get("do", stage)["wdir"] == "../.."
    assert name in PARAMS and isinstance(main.commands[name], click.Group)


def test_no_group_of_verbs_is_without_its_pipeline() -> None:
    assert {name for name, command in main.commands.items() if isinstance(command, click.Group)} == set(PIPELINES)


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_a_description(stage: str) -> None:
    assert len(STAGES[stage]["desc"]) > 10


def test_sections_are_stages() -> None:
    sections = [name for name, value in PARAMS.items() if isinstance(value, dict) and name not in SHARED_SECTIONS]
    owners = list(dict.fromkeys(section_of(stage) for stage in STAGES))
    assert sections == [owner for owner in owners if owner in sections], "sections stand in the order of dvc.yaml"
    assert set(owners) - set(sections) == {"base", "teacher", "source", "report"}, (
        "only these have no section of their own"
    )


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_refers_to_existing_params(stage: str) -> None:
    for dotted in referenced(stage):
        try:
            resolve(dotted)
        except KeyError:
            pytest.fail(f"dvc.yaml: {stage} refers to {dotted}, which params.yaml lacks")


def test_every_knob_that_decides_a_result_is_watched() -> None:
    watched = {dotted for stage in STAGES for dotted in referenced(stage)}
    keys = [key for section in PARAMS for key in keys_of(section)]
    unwatched = {key for key in keys if key not in watched and key.split(".")[0] not in watched}
    assert unwatched == NOT_IN_RESULTS - watched
    assert watched.isdisjoint(NOT_IN_RESULTS - {"launch"}), "these must not make a stage run again"


@pytest.mark.parametrize("stage", STAGES)
def test_who_watches_the_backend_watches_the_server_behind_it(stage: str) -> None:
    watched = set(referenced(stage))
    assert watched.isdisjoint(SERVED) or watched >= SERVED
    assert ("engine.backend" in watched) == (watched >= SERVED)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if section_of(stage) in PARAMS])
def test_a_stage_watches_its_own_section(stage: str) -> None:
    own = "check" if stage.endswith("/check") else section_of(stage)
    assert any(dotted.split(".")[0] == own for dotted in referenced(stage))


@pytest.mark.parametrize("stage", STAGES)
def test_dependencies_on_files_exist(stage: str) -> None:
    for dep in STAGES[stage].get("deps", []):
        if dep.startswith("kun/"):
            assert (ROOT / dep).exists(), f"{stage} depends on {dep}"


@pytest.mark.parametrize(("stage", "module"), stage_modules().items())
def test_a_stage_depends_on_the_packages_that_it_imports(stage: str, module: str) -> None:
    parts = {part_of(name) for name in imported_with(module)} - {
        "params",
        "schemas",
    }  # DVC watches the values; columns come with the code that fills them
    packages = {f"kun/{part}" for part in parts if (PACKAGE / part).is_dir()}
    assert packages <= set(STAGES[stage]["deps"]), f"{stage} must run again when the code that it uses changes"


def test_every_verb_but_helpers_has_a_module_of_its_own() -> None:
    stages = {stage for stage in STAGES if not stage.endswith("/check")}
    assert set(stage_modules()) == stages - {"base", "teacher"}, (
        "those are models.py: their results are pinned by hashes"
    )


# Datasets


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_dataset_has_a_suite_a_gate_and_a_maker(dataset: str) -> None:
    suite = json.loads((ROOT / "expectations" / f"{dataset}.json").read_text(encoding="utf-8"))
    maker = CHECKED[dataset]
    assert suite["dataset"] == dataset
    assert suite["stage"] == maker
    assert {f"data/{dataset}", f"data/rejects/{maker}", PROJECT.counts(maker).as_posix()} <= set(outs(maker))
    if suite["parent"]:
        assert f"data/{suite['parent']}" in STAGES[maker]["deps"]


def test_there_is_no_suite_or_gate_without_a_dataset() -> None:
    suites = (ROOT / "expectations").rglob("*.json")
    names = {path.relative_to(ROOT / "expectations").with_suffix("").as_posix() for path in suites}
    assert names == set(DATASETS) == set(CHECKED)


@pytest.mark.parametrize("step", steps())
def test_nothing_is_built_on_a_dataset_before_its_gate(step: str) -> None:
    deps, _ = steps()[step]
    if step.split("/")[-1].startswith("check@"):
        return
    for dataset, maker in CHECKED.items():
        if f"data/{dataset}" in deps:
            gate = qualified(maker, f"check@{dataset.split('/')[-1]}")
            assert gate in ancestors(step), f"{step} reads data/{dataset}"


# Speed


def test_a_model_stage_tells_what_its_work_cost() -> None:
    for stage in set(MODEL_STAGES) - {"train"}:
        figures = PROJECT.work(stage).with_suffix("").as_posix()
        assert any(out.startswith(figures) for out in outs(stage)), stage


def test_nothing_but_the_report_hangs_on_speed() -> None:
    """It differs from run to run: whatever depended on it would run again for nothing."""
    readers = {
        stage for stage in STAGES for dep in STAGES[stage].get("deps", []) if re.match("reports/(.*/)?work", dep)
    }
    assert readers == {"report"}


def test_the_main_line_hangs_on_no_other_pipeline() -> None:
    """It must not run them; they may run it."""
    for step in steps():
        if "/" not in step:
            assert {parent for parent in ancestors(step) if "/" in parent} == set(), step


# Help and documentation


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_help_with_an_example(verb: str) -> None:
    group = click.Context(main, info_name="kun", **main.context_settings)
    command = commands()[verb]
    text = command.get_help(click.Context(command, group, verb))
    assert f"kun {verb.replace('/', ' ')}" in text.split("Example:")[1]
    assert len(command.get_short_help_str()) > 10


@pytest.mark.parametrize("name", PIPELINES)
def test_a_group_of_verbs_tells_how_its_pipeline_is_run(name: str) -> None:
    group = click.Context(main, info_name="kun", **main.context_settings)
    text = main.commands[name].get_help(click.Context(main.commands[name], group, name))
    assert f"dvc repro pipelines/{name}/dvc.yaml" in text.split("Example:")[1]


def test_the_command_reference_is_up_to_date() -> None:
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert page == reference(), "run `python -m kun.reference > docs/cli.md`"


def test_the_command_reference_has_every_verb() -> None:
    listed = [words.replace(" ", "/") for words in re.findall(r"^## kun ([\w-]+(?: \w+)?)$", reference(), re.MULTILINE)]
    assert [name for name in listed if name not in PIPELINES] == VERBS


def test_every_knob_is_explained() -> None:
    """By a comment in params.yaml or by the docstring of its field in kun/params."""
    commented, section = set(), ""
    for line in (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines():
        if found := re.match(r"( *)(\w+):", line):
            section = section if found[1] else found[2]
            key = f"{section}.{found[2]}" if found[1] else section
            commented |= {key} if "  #" in line else set()
    assert {key for section in PARAMS for key in keys_of(section)} - commented - described_fields() == set()


def described_fields() -> set[str]:
    found = set()
    for node in (node for file in (PACKAGE / "params").glob("*.py") for node in tree(file).body):
        if isinstance(node, ast.ClassDef):
            for field, after in zip(node.body, node.body[1:], strict=False):
                text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and text:
                    found.add(f"{node.name.lower()}.{field.target.id}")
    return found


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    return {re.match(r"[\w-]+", entry).group() for group in groups for entry in group}  # type: ignore[union-attr]


@pytest.mark.parametrize("name", sorted(declared()))
def test_a_dependency_is_explained(name: str) -> None:
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    assert re.search(rf"^\| {name} \|", page, re.MULTILINE), f"docs/dependencies.md lacks {name}"


def test_what_is_imported_is_declared() -> None:
    """Under the name of the distribution; the first four come with what is declared, opencc is asked for when used."""
    spelled = {
        "yaml": "pyyaml",
        "great_expectations": "great-expectations",
        "fasttext": "fasttext-predict",
        "ruamel": "ruamel-yaml",
        "sklearn": "scikit-learn",
        "vl_convert": "vl-convert-python",
        "sentence_transformers": "sentence-transformers",
    }
    roots = {found.module.split(".")[0] for found in imports()} - set(sys.stdlib_module_names) - {"kun"}
    assert {spelled.get(root, root) for root in roots} - declared() <= {
        "pandas",
        "psutil",
        "safetensors",
        "huggingface_hub",
        "opencc",
    }


# Imports


@pytest.mark.parametrize("file", [relative(path) for path in python_files()])
def test_imports_go_downwards(file: str) -> None:
    rank = {name: place for place, names in enumerate(LAYERS) for name in names}
    own = part_of(file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    for found in imports():
        if found.file == file and found.module.split(".")[0] == "kun":
            other = part_of(found.module)
            assert own == other or rank[other] < rank[own], f"{file} imports {found.module}"


def test_stages_do_not_import_each_other() -> None:
    """Neither across folders nor inside one, but for the shared names."""
    modules = set(stage_modules().values()) - {"kun.gate"}
    folders = {"corpus", "backtranslate", "select", "train", "release", "report", "gate", *PIPELINES}
    for found in imports():
        own = found.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        other = found.module
        across = {part_of(own), part_of(other)} <= folders and part_of(own) != part_of(other)
        inside = own in modules and other in modules and own != other
        if across or inside:
            allowed = SHARED_NAMES.get(other, set())
            assert allowed is None or found.name in allowed, f"{found.file} imports {found.name} from {other}"


TENSORS = {"kun/engine/hf.py", "kun/engine/loading.py", "kun/engine/cache.py", "kun/train/"}
HEADS = {"kun/engine/devices.py", "kun/engine/head.py", "kun/engine/draws.py", "kun/engine/grammar.py"}


@pytest.mark.parametrize(
    ("package", "at_top", "inside_functions"),
    [
        (
            "torch",
            TENSORS | HEADS,
            {"kun/models.py", "kun/doctor.py"},
        ),
        ("transformers", TENSORS, {"kun/models.py"}),
        ("peft", {"kun/train/"}, {"kun/engine/loading.py"}),
        ("accelerate", set(), {"kun/processes.py"}),
        ("openai", {"kun/engine/connection.py", "kun/engine/listing.py"}, set()),
        ("great_expectations", set(), {"kun/gate/engine.py"}),
        ("pandas", set(), {"kun/gate/"}),
        ("click", {"kun/cli/", "kun/reference.py"}, set()),
    ],
)
def test_a_package_is_imported_only_where_it_belongs(
    package: str, at_top: set[str], inside_functions: set[str]
) -> None:
    for found in imports():
        if found.module.split(".")[0] == package:
            places = at_top if found.at_top else at_top | inside_functions
            assert any(found.file.startswith(place) for place in places), f"{found.file} imports {package}"


@pytest.mark.parametrize("words", [["--help"], ["label", "--help"], ["no-such-verb"]])
def test_the_command_line_starts_without_anything_heavy(words: list[str]) -> None:
    code = (
        "import sys; from kun.cli import main\n"
        f"try: main({words!r})\n"
        f"finally: print('LOADED', sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "LOADED []" in done.stderr
    assert done.returncode == (2 if words == ["no-such-verb"] else 0)


# Safety and tidiness


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in python_files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                yield relative(path), node


def test_no_text_becomes_code() -> None:
    for file, call in calls():
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        assert name not in ("eval", "exec", "compile", "__import__"), f"{file}:{call.lineno} calls {name}"
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        assert "trust_remote_code" not in keywords, f"{file}:{call.lineno} would run code of a model"
        assert "shell" not in keywords, f"{file}:{call.lineno} starts a shell"
        loads = isinstance(call.func, ast.Attribute) and ast.unparse(call.func) in ("yaml.load", "torch.load")
        assert not loads, f"{file}:{call.lineno} calls {ast.unparse(call.func)}, which can run what it reads"


def test_nothing_is_unpickled() -> None:
    found = {one.module.split(".")[0] for one in imports()}
    assert found.isdisjoint({"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"})


def test_no_exception_is_swallowed_whole() -> None:
    """A handler for everything may only turn one error into another."""
    for path in python_files():
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ExceptHandler):
                broad = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
                assert not broad or isinstance(node.body[-1], ast.Raise), f"{relative(path)}:{node.lineno}"


def test_no_file_names_a_path_of_this_machine() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    own = {str(ROOT), str(Path.home())} - {"/"}
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.is_file():
            content = path.read_text(encoding="utf-8", errors="replace")
            found = [place for place in own if re.search(rf"{re.escape(place)}(?![\w-])", content)]
            assert not found, f"{name} names {found}"


# Prompts and configurations


def prompts(lang: str) -> dict[str, set[str]]:
    """Name -> variables of each prompt."""
    environment = jinja2.Environment()
    return {
        path.stem: jinja2.meta.find_undeclared_variables(environment.parse(path.read_text(encoding="utf-8")))
        for path in sorted((PACKAGE / "prompts" / lang).glob("*.j2"))
    }


def test_prompts_exist_in_both_languages_with_the_same_variables() -> None:
    languages = {path.name for path in (PACKAGE / "prompts").iterdir() if path.is_dir()} - {"__pycache__"}
    assert languages == {"zh", "en"}
    assert prompts("zh") == prompts("en")
    assert prompts("zh")


def test_every_prompt_is_used_and_every_used_prompt_exists() -> None:
    used = [
        prompt_pattern(call.args[0])
        for file, call in calls()
        if isinstance(call.func, ast.Name)
        and call.func.id == "render"
        and file.split("/")[1] in ("backtranslate", "select", "train", *PIPELINES)
    ]
    names = prompts("zh")
    assert used
    for pattern in used:
        assert any(re.fullmatch(pattern, name) for name in names), f"no prompt {pattern}"
    for name in names:
        assert any(re.fullmatch(pattern, name) for pattern in used), f"nothing renders {name}"


def prompt_pattern(argument: ast.expr) -> str:
    """The names that the first argument of `render` can be: a string, or one with a part filled in."""
    if isinstance(argument, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else r"\w+" for part in argument.values)  # type: ignore[misc]
    assert isinstance(argument, ast.Constant), f"line {argument.lineno}: name the prompt"
    return str(argument.value)


@pytest.mark.parametrize("path", sorted((ROOT / "configs/accelerate").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_configuration_is_one_that_accelerate_reads(path: Path) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    assert load_config_from_file(str(path)).num_processes >= 1
