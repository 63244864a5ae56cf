"""Bars as SVG, without a library: a chart is groups of named bars, each group on a scale of its own from 0."""

from __future__ import annotations

from html import escape
from pathlib import Path

BAR, GAP, NAME, WIDTH = 18, 6, 190, 420

Groups = dict[str, dict[str, float]]
"""By the group's name, values by the bar's."""


def write(path: Path, title: str, unit: str, groups: Groups) -> None:
    """Writes the chart. Values are 0 or more."""
    parts, y = [_text(0, 16, f"{title} ({unit})", "bold")], 30
    for group, bars in groups.items():
        most = max(bars.values(), default=0) or 1
        parts.append(_text(0, y + 14, group, "bold"))
        y += BAR + GAP
        for place, (name, value) in enumerate(bars.items()):
            width = WIDTH * value / most
            color = "#2563eb" if place == 0 else "#94a3b8"
            parts.append(_text(NAME - 8, y + 13, name, anchor="end"))
            parts.append(f'<rect x="{NAME}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{color}"/>')
            parts.append(_text(NAME + width + 6, y + 13, number(value)))
            y += BAR + GAP
        y += GAP
    size = f'width="{NAME + WIDTH + 100}" height="{y}"'
    style = 'font-family="sans-serif" font-size="12" fill="#111"'
    white = '<rect width="100%" height="100%" fill="white"/>'
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{white}{"".join(parts)}</svg>\n')


def number(value: float) -> str:
    """Three digits, or the whole number."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _text(x: float, y: float, text: str, weight: str = "normal", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y}" font-weight="{weight}" text-anchor="{anchor}">{escape(text)}</text>'
