"""Registers: where an address was assigned or used, and what kind of network it lies in. One file each."""
