from pathlib import Path

import pytest
from click.testing import CliRunner

from kun.cli import main
from kun.errors import ConfigError, InputError
from kun.glan.nodes import judged, read_nodes, read_votes
from kun.glan.taxonomy import taxonomy
from kun.project import Project
from tests.copies import ROOT
from tests.glan.scripted import TAXONOMY, params, write_taxonomy
from tests.made import read_dataset, reasons

PROPOSED = "disciplines:\n  acoustics: {parent: physics, zh: 声学, en: Acoustics}\n"


def test_the_taxonomy_of_the_project_is_sound_and_wide() -> None:
    nodes = read_nodes(ROOT / "data/glan")
    kinds = [node.kind for node in nodes]
    assert kinds.count("discipline") >= 120
    parents = {node.parent for node in nodes}
    assert all(node.key in parents for node in nodes if node.kind != "discipline"), "nothing without disciplines"
    assert {"medicine", "crafts", "services", "agriculture"} <= {node.key for node in nodes}
    read_votes(ROOT / "data/glan/votes.csv", {node.key: node for node in nodes})


FAULTS = {
    "a key twice": (TAXONOMY + "  optics: {parent: physics, zh: 光, en: Light}\n", "optics"),
    "a name twice": (
        TAXONOMY + "  light: {parent: physics, zh: 光学。, en: Light}\n",
        "is called '光学。' like `optics`",
    ),
    "unknown parent": (TAXONOMY + "  x: {parent: nowhere, zh: 甲, en: X}\n", "no node has that key"),
    "below a discipline": (TAXONOMY + "  x: {parent: optics, zh: 甲, en: X}\n", "it is a discipline"),
    "a cycle": (
        TAXONOMY.replace("subfields:", "subfields:\n  a: {parent: b, zh: 甲, en: A}\n  b: {parent: a, zh: 乙, en: B}"),
        "stands below itself",
    ),
    "unknown key": (TAXONOMY + "  x: {parent: physics, zh: 甲, en: X, de: X}\n", "unknown key `de`"),
    "unknown section": (TAXONOMY + "topics: {}\n", "unknown key `topics`"),
    "no name": (TAXONOMY + "  x: {parent: physics, zh: 甲}\n", "`en` is missing"),
    "no mapping": (TAXONOMY + "  x: 甲\n", "must be a mapping"),
    "a bad key": (TAXONOMY + "  X y: {parent: physics, zh: 甲, en: X}\n", "small letters"),
    "a list": ("- optics\n", "must map"),
    "no YAML": ("fields: {a: [\n", "not valid YAML"),
    "empty": ("  \n", "is empty"),
    "no nodes": ("fields: {}\n", "names no field"),
    "no section": ("fields: 3\n", "must map keys to names"),
}


@pytest.mark.parametrize(("text", "told"), FAULTS.values(), ids=FAULTS)
def test_a_taxonomy_that_is_no_tree_ends_in_one_line(tmp_path: Path, text: str, told: str) -> None:
    folder = write_taxonomy(tmp_path, text)
    with pytest.raises(InputError) as error:
        read_nodes(folder)
    assert told in str(error.value)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)


VOTES = {
    "unknown node": ("opticks,ann,keep\n", ":2: no node `opticks`"),
    "no vote": ("optics,ann,maybe\n", ":2: a vote is"),
    "nobody": ("optics,,keep\n", ":2: a vote is"),
    "twice": ("optics,ann,keep\noptics,ann,remove\n", ":3: ann has voted"),
}


@pytest.mark.parametrize(("votes", "told"), VOTES.values(), ids=VOTES)
def test_a_vote_that_counts_for_nothing_ends_in_one_line(tmp_path: Path, votes: str, told: str) -> None:
    folder = write_taxonomy(tmp_path, votes=votes)
    with pytest.raises(InputError, match=told):
        read_votes(folder / "votes.csv", {node.key: node for node in read_nodes(folder)})


@pytest.mark.parametrize("name", ["taxonomy.yaml", "proposed.yaml", "votes.csv"])
@pytest.mark.parametrize(
    ("content", "told"), [("光学".encode("gb18030"), "is not UTF-8"), (b"", "is empty"), (None, "not found")]
)
def test_a_file_that_cannot_be_read_ends_in_one_line_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: bytes | None, told: str
) -> None:
    path = write_taxonomy(tmp_path) / name
    (tmp_path / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    path.unlink() if content is None else path.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["glan", "taxonomy"])
    assert done.exit_code == 2
    assert done.output.startswith(f"kun: data/glan/{name}") and told in done.output
    assert done.output.count("\n") == 1


def test_the_majority_decides_and_a_tie_keeps(tmp_path: Path) -> None:
    votes = "heat,ann,remove\nheat,bob,remove\nheat,eve,keep\noptics,ann,keep\noptics,bob,remove\n"
    write_taxonomy(tmp_path, votes=votes)
    counts = taxonomy(Project(tmp_path), params())
    nodes = read_dataset(Project(tmp_path).dataset("glan/nodes"))
    assert set(nodes["key"]) == {"science", "crafts", "physics", "optics", "pottery"}
    assert dict(nodes.select("key", "tie").iter_rows())["optics"] is True
    assert counts["reasons"] == {"removed": 1}
    assert counts["ties"] == 1


def test_with_a_field_go_all_nodes_below_it(tmp_path: Path) -> None:
    write_taxonomy(tmp_path, votes="science,ann,remove\noptics,ann,keep\n")
    project = Project(tmp_path)
    counts = taxonomy(project, params())
    assert set(read_dataset(project.dataset("glan/nodes"))["key"]) == {"crafts", "pottery"}
    assert counts["reasons"] == {"parent_not_kept": 3, "removed": 1}
    assert len(reasons(project, "glan/taxonomy")) == 4


@pytest.mark.parametrize(
    ("votes", "fault"), [("", "proposed"), ("acoustics,ann,keep\n", ""), ("acoustics,ann,remove\n", "removed")]
)
def test_what_a_model_proposed_waits_for_votes(tmp_path: Path, votes: str, fault: str) -> None:
    folder = write_taxonomy(tmp_path, votes=votes, proposed=PROPOSED)
    nodes = read_nodes(folder)
    keys = {node.key: node for node in nodes}
    assert judged(nodes, read_votes(folder / "votes.csv", keys))["acoustics"] == fault
    assert keys["acoustics"].origin == "model"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [("optic", "did you mean `optics`"), ("law", "no such key"), ("acoustics", r"not kept \(proposed\)")],
)
def test_a_discipline_that_is_not_kept_cannot_be_chosen(tmp_path: Path, wanted: str, told: str) -> None:
    write_taxonomy(tmp_path, proposed=PROPOSED)
    with pytest.raises(ConfigError, match=told):
        taxonomy(Project(tmp_path), params(disciplines=[wanted]))


def test_chosen_are_the_disciplines_of_the_parameters_or_all(tmp_path: Path) -> None:
    write_taxonomy(tmp_path)
    for wanted, chosen in ((["heat"], {"heat"}), ([], {"heat", "optics", "pottery"})):
        taxonomy(Project(tmp_path), params(disciplines=wanted))
        nodes = read_dataset(Project(tmp_path).dataset("glan/nodes"))
        assert set(nodes.filter("chosen")["key"]) == chosen


def test_an_id_hangs_on_the_place_and_the_key_alone(tmp_path: Path) -> None:
    def ids(text: str) -> dict[str, str]:
        write_taxonomy(tmp_path, text)
        taxonomy(Project(tmp_path), params())
        return dict(read_dataset(Project(tmp_path).dataset("glan/nodes")).select("key", "id").iter_rows())

    before = ids(TAXONOMY)
    renamed = ids(TAXONOMY.replace("zh: 光学", "zh: 光的科学"))
    moved = ids(TAXONOMY.replace("heat: {parent: physics", "heat: {parent: science"))
    assert renamed == before
    assert moved["heat"] != before["heat"]
    assert moved["optics"] == before["optics"]
