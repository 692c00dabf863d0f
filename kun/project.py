"""Where everything lies. Stage, command, params section and dataset share a name, so no path is ever passed around.

Names of pipelines beside the main line have its name before them: the stage or dataset `reflection/pairs`.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Project:
    """The folder that holds params.yaml and dvc.yaml; by default the current one (DVC runs stages there)."""

    root: Path = Path()
    pinned: str = "base"
    """Which pin counts as the base model: models/<pinned>.json."""
    kept_in: Path | None = None
    """Scratch of work outside of any project; else it is found as `scratch` says."""

    def dataset(self, name: str) -> Path:
        """Folder of parquet shards."""
        return self.root / "data" / name

    def rejects(self, stage: str) -> Path:
        """Folder of parquet shards in the REJECT schema."""
        return self.root / "data" / "rejects" / stage

    def counts(self, stage: str) -> Path:
        """JSON: rows in, kept, dropped, failed, by reason and by source."""
        return self._report("counts", stage)

    def work(self, stage: str) -> Path:
        """JSON: what the model work of a stage cost; speed is no data, so only the report reads it."""
        return self._report("work", stage)

    def check(self, dataset: str) -> Path:
        """JSON result of the dataset's gate; the HTML lies beside it."""
        return self._report("checks", dataset)

    def _report(self, kind: str, name: str) -> Path:
        """reports/<kind>/<name>.json; of <pipeline>/<name> reports/<pipeline>/<kind>/<name>.json.

        The main line depends on whole folders of its reports: what another pipeline wrote there would run it again.
        """
        pipeline, _, own = name.rpartition("/")
        return self.root / "reports" / pipeline / kind / f"{own}.json"

    def adapter(self, name: str) -> Path:
        """Folder of a trained model: `label` or `chat`."""
        return self.root / "models" / name

    @property
    def base(self) -> Path:
        """The pin of the base model."""
        return self.root / "models" / f"{self.pinned}.json"

    @property
    def scratch(self) -> Path:
        """Where finished model work survives: `KUN_SCRATCH`, else `.kun` of the real repository.

        A queued experiment runs in a copy under `.dvc/tmp/exps/<name>`; walking out of it lets all runs share results.
        """
        if chosen := self.kept_in or os.environ.get("KUN_SCRATCH"):
            return Path(chosen)
        root = self.root.resolve()
        for parent in root.parents:
            if parent.name == "exps" and parent.parent.name == "tmp" and parent.parent.parent.name == ".dvc":
                return parent.parent.parent.parent / ".kun"
        return root / ".kun"
