"""Facts of all shapes: every aspect there or not, every text with bytes that are no UTF-8."""

from __future__ import annotations

from hypothesis import strategies as st

from snapshot.facts.model import (
    Build,
    DistributionFacts,
    Facts,
    Host,
    Measurement,
    Module,
    Native,
    Numeric,
    Source,
    StartupHook,
    SystemLibrary,
    Variable,
    Variables,
)
from snapshot.scan import decode

#: As names of files and values of variables come from the system: lone surrogates stand for bytes that are no UTF-8 (PEP 383).
TEXTS = st.one_of(
    st.sampled_from(["", "numpy", "lib/x.py", "é\n", "\udcff"]), st.text(max_size=6), st.binary(max_size=6).map(decode)
)


def many(of):
    return st.lists(of, max_size=3).map(tuple)


_PAIRS = st.tuples(TEXTS, TEXTS)
_TRIPLES = st.tuples(TEXTS, TEXTS, TEXTS)
_SOURCES = st.builds(Source, TEXTS, TEXTS, TEXTS, TEXTS, st.booleans())
_DISTRIBUTIONS = st.builds(
    DistributionFacts,
    TEXTS,
    TEXTS,
    TEXTS,
    many(TEXTS),
    many(TEXTS),
    many(_TRIPLES),
    st.none() | _SOURCES,
    st.booleans(),
    many(TEXTS),
    many(TEXTS),
    many(TEXTS),
)
_VARIABLES = st.builds(Variable, TEXTS, TEXTS, st.none() | TEXTS, st.none() | TEXTS)
_LIBRARIES = st.builds(SystemLibrary, TEXTS, TEXTS, TEXTS, TEXTS, many(TEXTS))
FACTS = st.builds(
    Facts,
    build=st.none() | st.builds(Build, TEXTS, TEXTS, many(_PAIRS)),
    host=st.none() | st.builds(Host, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS),
    distributions=st.none() | many(_DISTRIBUTIONS),
    startup=st.none() | many(st.builds(StartupHook, TEXTS, TEXTS, st.booleans(), TEXTS)),
    search_path=st.none() | many(TEXTS),
    modules=st.none() | many(st.builds(Module, TEXTS, TEXTS, TEXTS, many(TEXTS))),
    native=st.none() | st.builds(Native, many(_LIBRARIES), TEXTS, TEXTS),
    variables=st.none() | st.builds(Variables, many(_VARIABLES), TEXTS),
    numeric=st.none()
    | st.builds(Numeric, many(_TRIPLES), many(st.builds(Measurement, TEXTS, TEXTS, TEXTS, TEXTS, many(TEXTS)))),
)
