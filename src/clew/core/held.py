"""Descriptors that a worker was born with: read-only, for as long as the worker lives.

A disk image may lie in a thousand segments; handing them over once, at birth, costs a task nothing.
"""

descriptors: tuple[int, ...] = ()  # the exhibit's own files; set once, at birth: another tuple means other files
lists: list[int] = []  # sorted lists of known hashes, see `core.sorted_keys`
