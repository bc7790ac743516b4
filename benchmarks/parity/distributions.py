"""Changes to distributions: other versions, other builds, missing, added, disputed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.parity.catalogue import INTEGRITY, Catalogue
from diffing.verdict import Verdict

if TYPE_CHECKING:
    from benchmarks.parity.laboratory import Serving

DISTRIBUTIONS = Catalogue()
change = DISTRIBUTIONS.change
COMPATIBLE, DRIFTED, INCOMPATIBLE = Verdict.COMPATIBLE, Verdict.DRIFTED, Verdict.INCOMPATIBLE


def _version(name: str, what: str, rule: str, verdict: Verdict, pin: str) -> None:
    change(name, what, rule, verdict)(lambda serving: serving.install(pin))


_version("numpy-major", "numpy 2.1.3 to 1.26.4, with a pickle", "numpy-2-to-1-pickled", INCOMPATIBLE, "numpy==1.26.4")
_version("numpy-minor", "numpy 2.1.3 to 2.2.6", "numpy-minor", DRIFTED, "numpy==2.2.6")
_version("numpy-patch", "numpy 2.1.3 to 2.1.2", "numpy-patch", DRIFTED, "numpy==2.1.2")
_version("scikit-learn-minor", "scikit-learn 1.5.2 to 1.6.1", "scikit-learn", DRIFTED, "scikit-learn==1.6.1")
_version("scikit-learn-patch", "scikit-learn 1.5.2 to 1.5.1", "scikit-learn", DRIFTED, "scikit-learn==1.5.1")
_version("cloudpickle", "cloudpickle 3.0.0 to 3.1.0", "cloudpickle", DRIFTED, "cloudpickle==3.1.0")
_version("click-patch", "click 8.1.7 to 8.1.8", "distribution-version", DRIFTED, "click==8.1.8")
_version(
    "werkzeug-unreachable",
    "werkzeug, which the model cannot reach",
    "distribution-version",
    COMPATIBLE,
    "werkzeug==3.0.6",
)


@change("distribution-added", "a distribution that the model cannot reach", "distribution-added", COMPATIBLE)
def _(serving: Serving) -> None:
    serving.install("idna==3.10")


@change("distribution-removed", "joblib, which scikit-learn requires", "distribution-removed", INCOMPATIBLE)
def _(serving: Serving) -> None:
    serving.pip("uninstall", "-y", "joblib")


@change("distribution-removed-unreachable", "blinker, which only flask requires", "distribution-removed", COMPATIBLE)
def _(serving: Serving) -> None:
    serving.pip("uninstall", "-y", "blinker")


@change("local-version", "click 8.1.7 to 8.1.7+fixed, which ==8.1.7 accepts", "distribution-local-version", DRIFTED)
def _(serving: Serving) -> None:
    before = serving.metadata("click")
    after = before.with_name("click-8.1.7+fixed.dist-info")
    before.rename(after)
    serving.substitute(after / "METADATA", "Version: 8.1.7", "Version: 8.1.7+fixed")
    record = after / "RECORD"
    serving.write(record, record.read_text().replace("click-8.1.7.dist-info", "click-8.1.7+fixed.dist-info"))


@change("other-build", "MarkupSafe built here from its source", "distribution-wheel", COMPATIBLE, INTEGRITY)
def _(serving: Serving) -> None:
    serving.install("--reinstall", "--no-binary", "markupsafe", "markupsafe==2.1.5")


@change(
    "other-build-reachable",
    "click of the same version with another file, by pip from a changed wheel",
    "file-changed",
    DRIFTED,
)
def _(serving: Serving) -> None:
    path = serving.laboratory.repacked("click==8.1.7", "click/core.py", b"\n# another build\n")
    serving.install("--reinstall", path)


@change("metadata-lost", "the .dist-info of packaging; its files stay", "distribution-removed", INCOMPATIBLE)
def _(serving: Serving) -> None:
    from shutil import rmtree

    rmtree(serving.metadata("packaging"))


@change("disputed-file", "a second distribution that also owns click/core.py", "file-disputed", DRIFTED, INTEGRITY)
def _(serving: Serving) -> None:
    serving.install(serving.laboratory.wheel("click-twin", "1.0", {"click/core.py": b"x = 1\n"}))


@change("from-repository", "click from a commit of its repository, with other files", "distribution-source", DRIFTED)
def _(serving: Serving) -> None:
    serving.write(
        serving.metadata("click") / "direct_url.json",
        '{"url":"https://example.org/click.git","vcs_info":{"vcs":"git","commit_id":"' + "a1" * 20 + '"}}',
    )
    serving.append(serving.site / "click" / "core.py", "\n# that commit\n")
