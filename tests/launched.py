"""`python -m tests.launched WORDS`: the command line of kun in a process of a launch, with faults and sharding for tests.

accelerate shards models (FSDP) on GPUs only and passes over the wish elsewhere. With KUN_TEST_SHARD it takes processes on
processors for shardable too: all behind that is torch's own FSDP2, over gloo. KUN_TEST_DIE=STEP: rank 1 dies there.
"""

import os
import signal
from typing import Any

from accelerate.state import AcceleratorState
from accelerate.utils import DistributedType
from torch.distributed.tensor import DTensor

from kun.cli import main
from kun.train import fit


def shard_on_processors() -> None:
    own = AcceleratorState.__init__

    def begin(self: Any, *args: Any, fsdp_plugin: Any = None, **named: Any) -> None:
        own(self, *args, fsdp_plugin=fsdp_plugin, **named)
        self.fsdp_plugin = fsdp_plugin or self.fsdp_plugin
        self.distributed_type = DistributedType.FSDP

    AcceleratorState.__init__ = begin


def watch() -> None:
    """Look at the weights in each step: a flag that says `sharded` proves nothing."""
    own = fit._Epochs.on_step_end

    def seen(self: Any, args: Any, state: Any, control: Any, model: Any, **named: Any) -> None:
        own(self, args, state, control, **named)
        weights = list(model.parameters())
        assert all(isinstance(weight, DTensor) for weight in weights) == bool(os.environ.get("KUN_TEST_SHARD"))
        if os.environ.get("KUN_TEST_SHARD"):
            assert sum(w.to_local().numel() for w in weights) < 0.6 * sum(w.numel() for w in weights)
        if str(state.global_step) == os.environ.get("KUN_TEST_DIE") and os.environ.get("RANK") == "1":
            os.kill(os.getpid(), signal.SIGKILL)

    fit._Epochs.on_step_end = seen


if __name__ == "__main__":
    if os.environ.get("KUN_TEST_SHARD"):
        shard_on_processors()
    watch()
    main()
