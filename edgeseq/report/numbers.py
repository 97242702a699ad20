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


def _leading(value: float, digits: int) -> int:
    """Return the decimals at which a number below 1 shows `digits` digits."""
    exponent = int(f"{abs(value):e}".partition("e")[2])
    return digits - 1 - exponent


def micro(value: float) -> str:
    """Return microseconds in the unit that suits them.

    >>> micro(17.04), micro(2500.0)
    ('17.0 µs', '2.50 ms')
    """
    return f"{short(value)} µs" if value < 1000 else f"{short(value / 1000)} ms"


def scientific(value: float) -> str:
    """Return a small number by its power of ten: `3.1·10⁻⁷`."""
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}·10{raised}"


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
