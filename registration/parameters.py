"""Options and value types that several subcommands have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Function = TypeVar("Function", bound=Callable[..., Any])
    _ParamType = click.ParamType[int]
    _DurationType = click.ParamType[float]
else:
    _ParamType = _DurationType = click.ParamType  # not generic in older releases of click

_SIZE = r"(?i)\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*\Z"
_DECIMAL = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BINARY = {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
_UNITS = _DECIMAL | _BINARY


class Size(_ParamType):
    """Bytes: `1GB` is 1,000,000,000 of them, `1GiB` 1,073,741,824."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_size(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def parse_size(text: str) -> int:
    """Bytes. Raises ValueError."""
    found = re.match(_SIZE, text)
    unit = _UNITS.get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise ValueError(f"{text!r} is no size; write 1GB, 500MB, 1GiB or a number of bytes")
    from decimal import Decimal

    amount = int(Decimal(found[1]) * unit)
    if amount < 1:
        raise ValueError(f"{text!r} is less than one byte")
    return amount


_DURATION = r"(?i)\s*(\d+(?:\.\d+)?)\s*([smhd])\s*\Z"
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Duration(_DurationType):
    """Seconds: `90s`, `30m`, `12h`, `7d`, or `0`."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, (int, float)):
            return float(value)
        if value.strip() == "0":
            return 0.0
        found = re.match(_DURATION, value)
        if found is None:
            self.fail(f"{value!r} is no duration; write 90s, 30m, 12h, 7d or 0", param, ctx)
        return float(found[1]) * _SECONDS[found[2].lower()]


def json_option(function: Function) -> Function:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object, and nothing else.")(function)


def deploy_options(function: Function) -> Function:
    """What `deploy` and `serve` have in common."""
    options = (
        click.option(
            "--policy", metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="What may differ (TOML)."
        ),
        click.option("--tracking-uri", metavar="URI", help="MLflow's tracking or registry URI. Default: MLflow's own."),
        click.option(
            "--verify",
            type=click.Choice(["full", "quick"]),
            default="quick",
            show_default=True,
            help="Check every byte, or size, mode and time, which depend on the content.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function
