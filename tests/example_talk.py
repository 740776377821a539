"""The conversation that an example of a network plug-in holds, and what comes in while it does."""

from clew.observe.api import ENTROPY_BYTES, Ask, Conversation, Example, Limits, Network

LIMITS, ENTROPY = Limits(), bytes(range(ENTROPY_BYTES))


def begin(network: Network, example: Example) -> Conversation:
    """The conversation, not opened yet."""
    if isinstance(example.about, Ask):
        return network.ask(example.about, LIMITS, ENTROPY)
    return network.contact(example.about, LIMITS, example.transport, ENTROPY)


def heard(example: Example) -> list[bytes]:
    """What comes in, in an example's script."""
    return [data for direction, data in example.script if direction == "in"]
