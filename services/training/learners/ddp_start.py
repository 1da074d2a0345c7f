"""Starts PyTorch's torchrun, in a process of its own, on one machine.

    python -m services.training.learners.ddp_start FOLDER WORKERS

Its standard input, which all workers inherit, is the pipe that they hang on: where the fit's
process ends, this one removes the folder and ends too. They find each other by files in it, since
`--standalone` would listen on every network of the machine; what they send goes over loopback.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from multiprocessing.connection import Connection

from driftloop.kit.child import end_with
from services.training.learners.ddp import RESTARTS_MAX

RANK = "services.training.learners.ddp_rank"
LOOPBACK = {"linux": "lo", "darwin": "lo0"}
CUDA_SPACE = ":4096:8"  # cuBLAS repeats its sums only with a workspace of a fixed size


def main(arguments: Sequence[str]) -> None:
    """Ends with torchrun's own exit status."""
    from torch.distributed import run  # the pipe is watched before 3 s of imports

    folder, workers = arguments
    os.environ |= {
        "GLOO_SOCKET_IFNAME": LOOPBACK.get(sys.platform, "lo"),
        "NCCL_SOCKET_IFNAME": LOOPBACK.get(sys.platform, "lo"),
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        "CUBLAS_WORKSPACE_CONFIG": CUDA_SPACE,
        "OMP_NUM_THREADS": "1",
    }
    run.main(
        [
            *("--rdzv-backend", "c10d", "--rdzv-conf", "store_type=file"),
            *("--rdzv-endpoint", f"{folder}/agent", "--local-addr", "127.0.0.1"),
            *("--nproc-per-node", workers, "--max-restarts", str(RESTARTS_MAX)),
            *("--log-dir", f"{folder}/logs", "--module", RANK, folder),
        ]
    )


if __name__ == "__main__":
    end_with(Connection(0), partial(shutil.rmtree, sys.argv[1], ignore_errors=True))
    main(sys.argv[1:])
