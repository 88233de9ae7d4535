"""The broker: the one process that holds the container engine's socket, and so the power of root that comes with it.

The front asks it by typed verbs alone (`protocol`): which image by the name in the allow-list, which runtime of two,
which limits. What a container is, is decided here and in one place (`spec`); no request can name a mount, a capability, a
network, an image of its own, or a container that is not ours. The attached stream goes to the front as a descriptor, so no
byte of a guest's is ever read in this process.
"""
