"""The same join of two endpoints, done by the kernel's NAT (docs/decisions/kernel.md)."""
