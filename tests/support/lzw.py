"""LZW with a dictionary, against what packs GIFs."""

FULL, WIDEST = 4096, 12  # codes in a table, bits of a code


def codes(pixels, others, bits):
    """Return the codes of pixels, each of which may have another value, and their widths."""
    clear = 1 << bits
    found, widths, table = [clear], [bits + 1], {}
    following, width = clear + 2, bits + 1
    current = others[0]
    for pixel, other in zip(pixels[1:], others[1:]):
        code = table.get((current, other))
        if code is None and pixel != other:
            code = table.get((current, pixel))
        if code is not None:
            current = code
            continue
        found.append(current)
        widths.append(width)
        if following == 1 << width:
            width += 1
        table[current, other] = following
        following += 1
        if following == FULL:
            found.append(clear)
            widths.append(width)
            table, following, width = {}, clear + 2, bits + 1
        current = other
    found.append(current)
    widths.append(width)
    if following == 1 << width and width < WIDEST:
        width += 1
    return [*found, clear + 1], [*widths, width]


def packed(found, widths):
    """Return codes as bytes, the lowest bit first."""
    total = place = 0
    for code, width in zip(found, widths):
        total |= code << place
        place += width
    return total.to_bytes(-(-place // 8), "little")
