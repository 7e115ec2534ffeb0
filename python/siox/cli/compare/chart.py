"""What was measured as a picture: an SVG of bars, each pair on a scale of its own."""

from __future__ import annotations

from xml.sax.saxutils import escape

from siox.cli.compare.report import TIMES, Pair, number

WIDTH, LEFT, BAR, HEIGHT, HEAD, FOOT = 780, 275, 320, 58, 74, 46
PLAIN_COLOUR, SIOX_COLOUR, FAINT = "#b9b4a7", "#c2410c", "#78716c"
FONT = "font-family='system-ui, Helvetica, Arial, sans-serif'"


def svg(title: str, note: str, found: list[Pair]) -> str:
    """Draw it."""
    height = HEAD + HEIGHT * len(found) + FOOT
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}'"
        f" viewBox='0 0 {WIDTH} {height}' {FONT} font-size='14' fill='#1c1917'>",
        f"<rect width='{WIDTH}' height='{height}' fill='#ffffff'/>",
        _text(24, 32, title, size=18, weight=600),
        _key(24, "python-socketio", PLAIN_COLOUR),
        _key(170, "siox", SIOX_COLOUR),
        _text(WIDTH - 24, 57, "times better", size=13, colour=FAINT, anchor="end"),
    ]
    for place, pair in enumerate(found):
        parts += _row(HEAD + HEIGHT * place, pair)
    parts += [_text(24, height - 18, note, size=11, colour=FAINT), "</svg>"]
    return "\n".join(parts) + "\n"


def _row(top: int, pair: Pair) -> list[str]:
    most = max(pair.plain, pair.siox, 1e-9)
    unit = pair.row.unit if pair.row.unit != "/s" else "per second"
    parts = [
        _text(24, top + 24, pair.row.title),
        _text(24, top + 42, unit, size=12, colour=FAINT),
    ]
    for down, value, colour in ((8, pair.plain, PLAIN_COLOUR), (28, pair.siox, SIOX_COLOUR)):
        length = max(2.0, max(value, 0) / most * BAR)
        parts.append(
            f"<rect x='{LEFT}' y='{top + down}' width='{length:.1f}' height='17' rx='2' fill='{colour}'/>"
        )
        parts.append(_text(LEFT + length + 8, top + down + 13, number(value), size=13))
    if pair.ratio is not None:
        better = f"{number(pair.ratio)} {TIMES}"
        parts.append(_text(WIDTH - 24, top + 32, better, size=16, weight=600, anchor="end"))
    return parts


def _key(left: int, name: str, colour: str) -> str:
    return f"<rect x='{left}' y='46' width='12' height='12' rx='2' fill='{colour}'/>" + _text(
        left + 18, 57, name, size=13
    )


def _text(
    left: float,
    base: float,
    text: str,
    *,
    size: int = 14,
    weight: int = 400,
    colour: str = "#1c1917",
    anchor: str = "start",
) -> str:
    return (
        f"<text x='{left:.1f}' y='{base:.1f}' font-size='{size}' font-weight='{weight}' fill='{colour}'"
        f" text-anchor='{anchor}'>{escape(text)}</text>"
    )
