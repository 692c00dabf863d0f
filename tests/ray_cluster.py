"""Two raylets on this machine run the corpus stages; one of them is killed in the middle.

`python -m tests.ray_cluster FOLDER NODES [--kill]` runs ingest, dedup and decontaminate on the project in FOLDER, and prints
how many pieces were done when the node went.
"""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from kun.config import load_params
from kun.corpus.decontaminate import decontaminate
from kun.corpus.dedup import dedup
from kun.corpus.ingest import ingest
from kun.project import Project
from kun.schemas.corpus import CLEAN
from kun.tables.shards import read_dataset, write_dataset

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}


def run_stages(project: Project, executor: Any) -> None:
    """The stages that work shard by shard; cleaning needs a tokenizer, here it is left out."""
    params = load_params(Path(__file__).parents[1] / "params.yaml")
    ingest(project, params.ingest, executor)
    rows = read_dataset(project.dataset("ingested")).with_columns(n_tokens="n_chars")
    write_dataset(project.dataset("cleaned"), list(rows.iter_slices(200)), CLEAN)
    dedup(project, params.dedup, executor)
    decontaminate(project, params.decontaminate, executor)


def main(folder: Path, nodes: int, kill: bool) -> None:
    """Start a cluster of one-processor nodes, run the stages on it, and stop it."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args=NODE | {"include_dashboard": False})
    others = [cluster.add_node(**NODE) for _ in range(nodes - 1)]
    ray.init(address=cluster.address, log_to_driver=False)
    project = Project(folder)

    def kill_node() -> None:
        while not (done := list(project.scratch.glob("parts/ingest/*/*/facts.json"))):
            time.sleep(0.01)
        cluster.remove_node(others[0], allow_graceful=False)
        print(f"killed after {len(done)}", flush=True)

    killer = threading.Thread(target=kill_node) if kill else None
    if killer:
        killer.start()
    try:
        run_stages(project, "ray")
    finally:
        if killer:
            killer.join(timeout=60)
        ray.shutdown()
        cluster.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), "--kill" in sys.argv)
