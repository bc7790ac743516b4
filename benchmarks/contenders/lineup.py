"""Who takes part in the workloads of a series, and who is left out, by name and with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from benchmarks.contenders import env_pack
from benchmarks.contenders.archives import tar_gz, tar_zstd
from benchmarks.contenders.borg import Borg
from benchmarks.contenders.casync import Casync
from benchmarks.contenders.env_pack import EnvPack
from benchmarks.contenders.ours import EVERYTHING, NO_DELTAS, SAME_FILES, Envparity
from benchmarks.contenders.restic import Restic
from benchmarks.contenders.venv_pack import VenvPack

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.contenders.base import Packer
    from benchmarks.environments import Built
    from benchmarks.tools import Rivals, Tools

OURS_WHOLE = "envparity, with interpreter and bytecode"
#: A quick look does without these.
SLOW = ("borg-10", "restic-auto", "restic-max", "casync", "tar-gz", "venv-pack", "env-pack-linkless")
OURS_FULL = f"envparity {NO_DELTAS}"


@dataclass(frozen=True, slots=True)
class Lineup:
    """`ours` and `whole` differ in what they hold, and `whole` takes no part in a quick look; `full` writes no deltas.

    `others` by slug, in the order of reports.
    """

    ours: Envparity
    whole: Envparity | None
    full: Envparity
    others: Mapping[str, Packer]
    absent: Mapping[str, str] = field(default_factory=dict)

    def of(self, slugs: Iterable[str]) -> list[Packer]:
        """Those of the others that are here."""
        return [self.others[slug] for slug in slugs if slug in self.others]


def line_up(tools: Tools, rivals: Rivals, versions: Sequence[Built], *, quick: bool = False) -> Lineup:
    """Everyone who can take part with these `versions`; not the slow ones when it has to be `quick`."""
    absent = dict(rivals.absent)
    found: list[Packer] = []
    if "borg" in rivals.found:
        found += [Borg(rivals.found["borg"], tools.env, level) for level in (3, 10)]
    if "restic" in rivals.found:
        found += [Restic(rivals.found["restic"], tools.env, compression) for compression in ("auto", "max")]
    if "casync" in rivals.found:
        found.append(Casync(rivals.found["casync"]))
    found += [tar_zstd(tools), tar_gz(tools)]
    if "venv-pack" in rivals.found:
        found.append(VenvPack(rivals.found["venv-pack"], tools.tar))
    packing = env_pack.find(versions)
    if packing:
        found += [EnvPack(packing.python, tools, linkless) for linkless in (True, False)]
    else:
        absent[env_pack.NAME] = "no version of this series has an mlflow with this packer"
    if quick:
        absent |= {packer.name: "too slow for a quick look" for packer in found if packer.slug in SLOW}
        found = [packer for packer in found if packer.slug not in SLOW]
    return Lineup(
        Envparity(tools.envparity),
        None if quick else Envparity(tools.envparity, EVERYTHING, OURS_WHOLE, "envparity-whole"),
        Envparity(tools.envparity, (*SAME_FILES, NO_DELTAS), OURS_FULL, "envparity-full"),
        {packer.slug: packer for packer in found},
        absent,
    )
