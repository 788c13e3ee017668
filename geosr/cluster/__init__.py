"""The work shared among processes, of this machine or of many, on `dask.distributed`.

In the order in which data flows: `crew` (workers, called once they are needed), `workers` and
`local` (who they are), `job` (what each of them needs to know, sent once), `fitness` (what they are
asked first), `worker` (a block from the source to a part, there), `parts` (the parts, in a folder
beside the output), `run` (parts into the output, in order, here). Pixels travel through files only.
"""

from geosr.cluster.crew import Crew
from geosr.cluster.errors import ClusterError
from geosr.cluster.local import settle_for_processes
from geosr.cluster.run import run_on_cluster
from geosr.cluster.workers import Workers, open_workers

__all__ = [
    "ClusterError",
    "Crew",
    "Workers",
    "open_workers",
    "run_on_cluster",
    "settle_for_processes",
]
