"""Keeps what others wrote from steering the terminal that shows it."""


def printable(text: str) -> str:
    """Keep what others wrote from steering the terminal that shows it.

    Lines stay. Every other character that does not print shows as "?", also half of
    one, as names of files hold that are not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in text)


def one_line(text: str) -> str:
    """Return a text for a place in a line, such as a column's name."""
    return printable(text).replace("\n", "?")
