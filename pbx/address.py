"""Addresses as text."""


def hostport(host: str, port: int) -> str:
    """As RFC 3261 §25.1 writes it: an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
