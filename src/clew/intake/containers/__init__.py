"""How the bytes of a disk image lie in its files: every function here opens one kind of container, inside a worker.

Each takes the descriptors of the image's files and gives a ByteSource of the image itself. What a container cannot
read it gives as zeros, and names in `bad`: whoever reads must ask.
"""
