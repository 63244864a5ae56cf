"""Workers on a Ray cluster: each an actor that runs `dpp serve worker` in its own process and tells a fleet where it is.

>>> import ray, dpp.ray
>>> ray.init(address="auto")
>>> workers = dpp.ray.start_workers(8, fleet="fleet://head:7400", cpus=4)
>>> loader = dpp.DataLoader(table, plan, batch_size=8192, service="fleet://head:7400")

Ray places the actors and replaces those that die, with their nodes or alone. It must be initialised, and dpp be installed on
its nodes. Importing this module imports Ray; `import dpp` does not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import ray
from ray.util import get_node_ip_address

from dpp import _dpp
from dpp._settings import count
from dpp.errors import InvalidRequest, Unavailable

__all__ = ["Workers", "start_workers"]


def start_workers(
    n: int,
    *,
    fleet: str,
    cpus: float = 1.0,
    resources: Mapping[str, float] | None = None,
    insecure: bool = False,
    arguments: Iterable[str] = (),
) -> Workers:
    """Start `n` workers as actors, spread over the nodes, and return at once; trainers find them through the fleet.

    fleet      "fleet://host:port", which the nodes must reach
    cpus       of each worker: what Ray reserves, and its compute threads (at least one)
    resources  more that Ray reserves for each
    insecure   listen beyond loopback although everybody is let in, as `dpp serve worker --insecure`
    arguments  more options of `dpp serve worker`, as ("--memory", "8GiB", "--keys", "/etc/dpp/keys.json"); files are those of
               the nodes. Certificates and tokens are named by options or by the nodes' environment

    Raises `InvalidRequest` for numbers and a fleet that can't be meant, and `Unavailable` when Ray is not initialised.
    """
    workers = count("n", n, least=1)
    if not fleet.startswith("fleet://"):
        raise InvalidRequest(f"fleet is fleet://host:port, not {fleet!r}")
    if not cpus > 0:
        raise InvalidRequest(f"cpus is a number above 0, not {cpus!r}")
    if not ray.is_initialized():
        raise Unavailable("Ray is not initialised: call ray.init(address=...) first")
    options = ["--fleet", fleet, "--threads", str(max(1, int(cpus)))]
    if insecure:
        options.append("--insecure")
    actor = ray.remote(_Worker).options(
        num_cpus=cpus,
        resources=dict(resources or {}),
        scheduling_strategy="SPREAD",
        max_restarts=-1,
        max_task_retries=-1,
    )
    return Workers([actor.remote() for _ in range(workers)], [*options, *arguments])


class Workers:
    """Workers that serve as long as this is held by the process that started them."""

    def __init__(self, actors: list[Any], options: list[str]) -> None:
        self.actors = actors
        # What an actor serves when it dies is served anew by the one in its place.
        self._serving = [actor.serve.remote(options) for actor in actors]

    def __len__(self) -> int:
        return len(self.actors)

    def check(self) -> None:
        """Raise what stopped a worker, if one could not serve: an address or an option that is wrong."""
        ended, _ = ray.wait(self._serving, num_returns=len(self._serving), timeout=0)
        for serving in ended:
            try:
                ray.get(serving)
            except ray.exceptions.RayActorError:
                continue  # it was asked to leave
            except ray.exceptions.RayTaskError as error:
                raise Unavailable(str(error.cause)) from error

    def stop(self) -> None:
        """End all of them at once; trainers go on with other workers. `dpp fleet drain` lets one finish its reads first."""
        for actor in self.actors:
            ray.kill(actor, no_restart=True)


class _Worker:
    """An actor that serves until it is asked to leave."""

    def serve(self, options: list[str]) -> None:
        listen = ["--listen", f"{get_node_ip_address()}:0"]
        status = _dpp.run_command(["dpp", "serve", "worker", *listen, *options])
        if status != 0:
            raise RuntimeError(f"dpp serve worker ended with status {status}: its log says why")
        ray.actor.exit_actor()
