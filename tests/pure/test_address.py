"""Addresses of clusters: those that no Ray can have are refused."""

import pytest

from chameleon_ray.cluster.address import AddressError, resolve


@pytest.mark.parametrize("address", ["a..b:6379", f"{'x' * 64}:6379", "127.0.0.1:99999"])
def test_an_odd_address_is_refused_in_a_sentence(address: str) -> None:
    with pytest.raises(AddressError, match="no Ray at"):
        resolve(address, 1.0)
