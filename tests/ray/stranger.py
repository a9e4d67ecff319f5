"""A program with a Ray running, its address wherever Ray looks, when it starts a session."""

import os

import ray
from chaos_nodes import Nodes

from chameleon_ray.cluster import ray_session


def main() -> None:
    """Starts a session of its own; then joins the other one, as it is asked to."""
    nodes = Nodes(0)
    try:
        os.environ["RAY_ADDRESS"] = nodes.address
        del os.environ["RAY_AUTH_MODE"]  # a session of one's own has a token again
        with ray_session.start(cpus=1):
            assert ray.get_runtime_context().gcs_address != nodes.address
            assert ray.cluster_resources()["CPU"] == 1
        os.environ["RAY_AUTH_MODE"] = "disabled"
        with ray_session.start("auto"):
            assert ray.get_runtime_context().gcs_address == nodes.address
        print("left alone")
    finally:
        nodes.close()


if __name__ == "__main__":
    main()
