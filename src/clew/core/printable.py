"""What may reach a terminal of a text that others wrote."""


def printable(text: str) -> str:
    """One line of it: names from evidence and peers may hold control codes, and none of them, nor a line's end, is
    shown.
    """
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
