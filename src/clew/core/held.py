"""Descriptors that a worker was born with: an exhibit's own files, read-only, for as long as the worker lives.

A disk image may lie in a thousand segments; handing them over once, at birth, costs a task nothing.
"""

descriptors: list[int] = []
