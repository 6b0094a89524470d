"""The office: members, extensions, devices, numbers, trunks and rules, as immutable values."""
