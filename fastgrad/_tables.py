"""Tables in text: for a terminal, and in Markdown."""

from collections.abc import Iterable, Sequence


def aligned(rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """Lay rows of text out in columns, two spaces apart.

    Parameters
    ----------
    rows : iterable of sequence of str
        The cells, as many in each row.
    left : int, optional
        How many of the first columns are flush left; the others are flush right.

    Returns
    -------
    str
        A line for each row; the last line has no end.

    Examples
    --------
    >>> print(aligned([("", "seconds"), ("ours", "1.5"), ("theirs", "10.25")]))
            seconds
    ours        1.5
    theirs    10.25
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i >= left else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in rows
    )


def markdown(rows: Iterable[Sequence[str]]) -> str:
    """Write rows as a table in Markdown, the first as its head.

    Examples
    --------
    >>> print(markdown([("name", "biased"), ("rloo", "no")]))
    | name | biased |
    | --- | --- |
    | rloo | no |
    """
    head, *rest = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rest))
