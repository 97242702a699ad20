"""Numbers as a person reads them: three digits that mean something, a unit, and no false zeros."""

NOT_MEASURED = "not measured"


def short(value: float, digits: int = 3) -> str:
    """Return `value` with `digits` significant digits, thousands grouped, never an exponent.

    >>> short(1234.5), short(17.04), short(0.0567), short(0)
    ('1,234', '17.0', '0.0567', '0')
    """
    if value == 0:
        return "0"
    decimals = digits - len(str(int(abs(value)))) if abs(value) >= 1 else _leading(value, digits)
    return f"{value:,.{max(decimals, 0)}f}"


def maybe(value: float | None) -> str:
    """Return `value` as `short` does, or say that it was not measured."""
    return NOT_MEASURED if value is None else short(value)


def _leading(value: float, digits: int) -> int:
    """Return the decimals at which a number below 1 shows `digits` digits."""
    return digits - 1 - int(f"{abs(value):e}".partition("e")[2])


def micro(value: float) -> str:
    """Return microseconds in the unit that suits them.

    >>> micro(0.06), micro(17.04), micro(2500.0)
    ('60.0 ns', '17.0 µs', '2.50 ms')
    """
    if 0 < value < 1:
        return f"{short(1000 * value)} ns"
    return f"{short(value)} µs" if value < 1000 else f"{short(value / 1000)} ms"


def scientific(value: float) -> str:
    """Return a number by its power of ten, `3.1·10⁻⁷`, unless it can be read as it is."""
    if value == 0 or 0.01 <= abs(value) < 1000:
        return short(value, 2)
    return f"{f'{value:.1e}'.partition('e')[0]}·10{exponent(value)}"


def exponent(value: float) -> str:
    """Return the power of ten of a number, raised: `⁻⁷`."""
    digits = str(int(f"{value:.1e}".partition("e")[2]))
    return digits.translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def percent(share: float, decimals: int = 2) -> str:
    """Return a share from 0 to 1 in per cent; a tiny one is not shown as none at all.

    >>> percent(0.0023), percent(0.000001), percent(0)
    ('0.23 %', '< 0.01 %', '0 %')
    """
    least = 10.0**-decimals / 100
    if 0 < share < least:
        return f"< {10.0**-decimals:.{decimals}f} %"
    return "0 %" if share == 0 else f"{100 * share:.{decimals}f} %"


def duration(seconds: float) -> str:
    """Return a time that somebody waited: `48 s`, `3 min 12 s`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes:
        return f"{minutes} min {rest} s"
    return f"{rest} s" if seconds >= 10 else f"{seconds:.1f} s"
