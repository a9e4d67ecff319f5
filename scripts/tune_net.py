"""Tunes a network on the cluster it was submitted to.

    ray submit cluster.yaml scripts/tune_net.py -- resnet-18 --target cuda --gpus 4 --trials 20000
    ray job submit -- python scripts/tune_net.py resnet-18 --nodes 2 --trials 200 --out ~/runs/r18

Everything but the options below goes to ``chameleon tune``, or to ``chameleon zoo`` where the model
is a ``.yaml`` file. A cluster that grows on demand is asked for what the run is to have; the run
begins when it is there, or after ``--wait`` seconds with what there is, and uses what comes later.
"""

import argparse
import sys
import time

import ray
from ray.autoscaler.sdk import request_resources

from chameleon_ray.__main__ import main as chameleon
from chameleon_ray.cluster import ray_session
from chameleon_ray.cluster.placement import nodes


def parsed() -> tuple[argparse.Namespace, list[str]]:
    """What is for this script, and what is for ``chameleon``."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", help="as chameleon tune has it, or a zoo's .yaml file")
    parser.add_argument("--address", default="auto", help="the cluster; this machine's by default")
    parser.add_argument("--gpus", type=int, default=0, help="wait for so many GPUs")
    parser.add_argument("--nodes", type=int, default=1, help="wait for so many nodes with cores")
    parser.add_argument("--wait", type=float, default=600.0, help="seconds, at most")
    return parser.parse_known_args()


def gather(gpus: int, machines: int, wait: float) -> None:
    """Asks for GPUs, and waits until the cluster has them and as many nodes.

    Raises:
        SystemExit: It has no GPU in time though some were asked for, or no node with cores.
    """
    if gpus:
        request_resources(bundles=[{"GPU": 1}] * gpus)
    deadline = time.monotonic() + wait
    while True:
        found = [node for node in nodes() if node.cpus or node.gpus]
        there = sum(node.gpus for node in found)
        if (there >= gpus and len(found) >= machines) or time.monotonic() > deadline:
            break
        time.sleep(1)
    cores = sum(node.cpus for node in found)
    said = f"nodes: {len(found)}, cores: {cores}, GPUs: {there}"
    if not found or (gpus and not there):
        raise SystemExit(f"Error: after {wait:g} s this is the cluster: {said}; see ray status.")
    print(f"The cluster: {said}.", flush=True)


def main() -> None:
    """Gathers what is wanted, then runs ``chameleon``."""
    args, rest = parsed()
    command = "zoo" if args.model.endswith((".yaml", ".yml")) else "tune"
    try:
        with ray_session.start(args.address):
            gather(args.gpus, args.nodes, args.wait)
            sys.argv = ["chameleon", command, args.model, *rest, "--address", args.address]
            try:
                chameleon()
            finally:
                if args.gpus and ray.is_initialized():
                    request_resources(num_cpus=0)
    except ray_session.SessionError as error:
        raise SystemExit(f"Error: {error}") from error


if __name__ == "__main__":
    main()
