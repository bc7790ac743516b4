"""What the measured environments hold: requirements, and the day as of which the index is asked."""

from __future__ import annotations

from dataclasses import dataclass

#: What the index offered on this day is what gets installed.
DATE = "2025-12-01"
#: Only a CPU build carries this local version: without such a wheel at hand the installation fails and fetches nothing.
TORCH = "torch==2.13.0+cpu"
#: A year of a model's environment: the versions of the series.
DATES = (
    "2025-01-01",
    "2025-02-01",
    "2025-03-01",
    "2025-04-01",
    "2025-05-01",
    "2025-06-01",
    "2025-09-01",
    "2025-12-01",
)
#: Two versions for a quick look: in between numpy and flask have moved.
QUICK_DATES = ("2025-01-01", "2025-02-01")

_REAL = ("mlflow", "scikit-learn", "pandas", "lightgbm")
_SMALL = ("flask", "numpy")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What goes into an environment. `series` names the series that it is a version of."""

    name: str
    requirements: tuple[str, ...]
    about: str
    date: str = DATE
    bytecode: bool = False
    torch: bool = False
    series: str | None = None

    @property
    def group(self) -> str:
        """Under which name its figures appear."""
        return self.series or self.name


def _versions(series: str, dates: tuple[str, ...], requirements: tuple[str, ...]) -> tuple[Recipe, ...]:
    return tuple(
        Recipe(f"{series}-{date}", requirements, "a version of the series", date=date, series=series) for date in dates
    )


#: By the name that reports and `--only` use: one environment, or all versions of a series from old to new.
RECIPES = {
    "plain": (Recipe("plain", _REAL, "installed by uv, so without bytecode"),),
    "bytecode": (Recipe("bytecode", _REAL, "the same with all of its bytecode", bytecode=True),),
    "torch": (Recipe("torch", (*_REAL, "transformers"), f"with {TORCH}", torch=True),),
    "service": (Recipe("service", ("fastapi", "uvicorn"), "a small service"),),
    "series": _versions("series", DATES, _REAL),
    "scale": (Recipe("plain", _REAL, "its layers make all snapshots", series="scale"),),
    "quick": (Recipe("quick", _SMALL, "small, for a quick look"),),
    "quick-series": _versions("quick-series", QUICK_DATES, _SMALL),
}
