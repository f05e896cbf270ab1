"""From where the requests of a client key may come."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from airoxy.core.limits.holders import KeyLimits
from airoxy.errors import Forbidden


def check_address(limits: KeyLimits, address: str) -> None:
    """Raises Forbidden where the key is not for requests from `address`."""
    if not all(_is_in(networks, address) for networks in limits.networks):
        raise Forbidden(f"This API key may not be used from {address}.")


@lru_cache(maxsize=1024)
def _is_in(networks: tuple[str, ...], address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # nobody knows it
        return False
    return any(parsed in ipaddress.ip_network(network) for network in networks)
