"""The work shared among processes, of this machine or of many, on `dask.distributed`.

In the order in which data flows: `workers` (who shares the work; `crew` calls them when they are
needed), `job` (what each of them needs to
know, sent once), `worker` (a block from the source to a part, there), `parts` (the parts, in a
folder beside the output), `run` (parts into the output, in order, here). Pixels travel through
files only. Nothing here is imported before somebody asks for workers.
"""

from geosr.cluster.crew import Crew
from geosr.cluster.errors import ClusterError
from geosr.cluster.run import run_on_cluster
from geosr.cluster.workers import Workers, open_workers, settle_for_processes

__all__ = [
    "ClusterError",
    "Crew",
    "Workers",
    "open_workers",
    "run_on_cluster",
    "settle_for_processes",
]
