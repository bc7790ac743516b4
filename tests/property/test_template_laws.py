"""Laws of location: what is taken out goes back in, at this place and at any other, and comes out the same again."""

from __future__ import annotations

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from snapshot.relocate import Place, Places, link_template, script_template
from snapshot.substitution import render

from .strategies import AFTER, BEFORE, DIRECTORIES

law = settings(deadline=None)


def places_of(prefix, base, source):
    return Places(
        (
            Place("prefix", (prefix,), ""),
            Place("base", (base,), ".envparity/python"),
            Place("source:x", (source,), ".envparity/src/x"),
        )
    )


def values_of(prefix, base, source):
    return {"prefix": prefix.encode(), "base": base.encode(), "source:x": source.encode()}


@st.composite
def captured(draw):
    """Three directories of an environment where it was captured."""
    found = draw(st.lists(DIRECTORIES, min_size=3, max_size=3, unique=True))
    assume(not any(one != other and one.startswith(other) for one in found for other in found))
    return tuple(found)


@st.composite
def restored(draw):
    """The same three where it is restored: everything lies in the prefix."""
    prefix = draw(DIRECTORIES)
    return prefix, f"{prefix}/.envparity/python", f"{prefix}/.envparity/src/x"


@st.composite
def texts(draw, directories):
    """Bytes that name the directories, at the boundaries of paths and elsewhere."""
    pieces = []
    for _ in range(draw(st.integers(0, 5))):
        directory = draw(st.sampled_from(directories)).encode()
        kind = draw(st.sampled_from(["path", "path", "path", "glued", "noise"]))
        if kind == "path":
            pieces.append(draw(BEFORE) + directory + draw(AFTER))
        elif kind == "glued":
            pieces.append(
                draw(st.sampled_from([b"x", b"9", b"_", b"."])) + directory + draw(st.sampled_from([b"x", b"-", b"."]))
            )
        else:
            pieces.append(draw(st.binary(max_size=12)))
    return b"".join(pieces)


@law
@given(st.data(), captured())
def test_rendering_a_template_where_it_came_from_gives_the_bytes_back(data, here):
    text = data.draw(texts(here))
    assume(not text.startswith(b"#!"))
    template, at = places_of(*here).template(text)
    assert render(template, at, values_of(*here)) == text


@law
@given(st.data(), captured(), restored())
def test_capturing_what_was_restored_gives_the_same_template(data, here, there):
    text = data.draw(texts(here))
    assume(not text.startswith(b"#!"))
    template, at = places_of(*here).template(text)
    # By chance the new place may be named in what is no path of the old one.
    assume(places_of(*there).template(template) == (template, ()))
    again = render(template, at, values_of(*there))
    assert places_of(*there).template(again) == (template, at)


@law
@given(st.data(), captured())
def test_a_template_names_no_place_at_a_boundary_and_offsets_ascend(data, here):
    text = data.draw(texts(here))
    template, at = places_of(*here).template(text)
    assert list(at) == sorted(at, key=lambda pair: pair[0])
    assert all(0 <= offset <= len(template) for offset, _ in at)
    assert len(template) == len(text) - sum(len(values_of(*here)[token.removesuffix("+url")]) for _, token in at)


@law
@given(captured(), BEFORE, AFTER)
def test_a_directory_is_found_wherever_a_path_may_stand(here, before, after):
    text = before + here[0].encode() + after
    token = "prefix+url" if before.endswith(b"file://") else "prefix"
    assert places_of(*here).template(text) == (before + after, ((len(before), token),))


@law
@given(captured(), st.sampled_from([b"x", b"0", b"_", b".", b"-"]))
def test_a_longer_name_is_another_directory(here, after):
    text = b" " + here[0].encode() + after
    assert places_of(*here).template(text) == (text, ())


@law
@given(captured())
def test_the_longest_name_wins(here):
    prefix, base, _ = here
    nested = places_of(prefix, f"{prefix}/{base}", f"{prefix}/src")
    text = f"{prefix}/{base}/bin {prefix}/bin {prefix}/src/a".encode()
    assert nested.template(text)[1] == ((0, "base"), (5, "prefix"), (10, "source:x"))


BODIES = st.binary(max_size=30)
ARGUMENTS = st.sampled_from([b"", b" -E", b" -s -E"])
INTERPRETERS = st.sampled_from([b"/bin/python", b"/bin/python3", b"/bin/python3.11", b"/bin/pypy3"])


def forms(interpreter, arguments, body):
    """The forms in which pip, distlib and uv call an interpreter from a script."""
    end = b" \"$0\" \"$@\"\n' '''\n" + body
    yield b"#!" + interpreter + arguments + b"\n" + body
    yield b"#!/bin/sh\n'''exec' " + interpreter + arguments + end
    yield b"#!/bin/sh\n'''exec' \"" + interpreter + b'"' + arguments + end


@law
@given(captured(), restored(), INTERPRETERS, ARGUMENTS, BODIES)
@example(("/a b/env", "/c/d", "/e/f"), ("/g h/i", "/g h/i/j", "/g h/i/k"), b"/bin/python", b"", b"")
@example(("/" + "p" * 200 + "/env", "/c/d", "/e/f"), ("/g/h", "/g/h/j", "/g/h/k"), b"/bin/python", b" -E", b"")
@example(
    ("/c/d", "/" + "p" * 200 + "/e", "/e/f"), ("/" + "g" * 300 + "/h", "/g/h/j", "/g/h/k"), b"/bin/python", b"", b"x"
)
def test_every_form_of_a_script_has_one_template_that_survives_a_restore(here, there, interpreter, arguments, body):
    written = list(forms(here[0].encode() + interpreter, arguments, body))
    if b" " in written[0].partition(b"\n")[0].removesuffix(arguments):
        written.pop(1)  # without quotes it would not run
    templates = {script_template(script, places_of(*here)) for script in written}
    template, at = (b"#!" + interpreter + arguments + b"\n" + body, ((2, "prefix"),))
    assert templates == {(template, at)}
    again = render(template, at, values_of(*there))
    assert again.endswith(b"\n" + body)
    assert script_template(again, places_of(*there)) == (template, at)


@law
@given(captured(), st.binary(max_size=60))
def test_the_body_of_a_script_is_left_alone(here, body):
    text = b"#!" + here[0].encode() + b"/bin/python\n" + body + here[0].encode()
    template, at = script_template(text, places_of(*here))
    assert template == b"#!/bin/python\n" + body + here[0].encode()
    assert len(at) == 1


PARTS = st.sampled_from(["a", "b", "..", "lib", "."])


@law
@given(captured(), st.lists(PARTS, max_size=5), st.lists(st.sampled_from(["d", "e"]), min_size=1, max_size=3))
def test_a_link_leads_to_the_same_file_after_its_template_is_rendered(here, parts, where):
    prefix, base, source = here
    path = "/".join([*where, "link"])
    for target in ("/".join(parts) or ".", "/".join([prefix, *parts]), "/".join([base, *parts])):
        text, at, outside = link_template(target, path, prefix, places_of(prefix, base, source))
        if outside:
            assert (text, at) == (target, ())
        elif not at:
            # Within one directory: relative, so that it is the same wherever that lies.
            assert text == target or target[0] == "/"
            meant = target if target[0] == "/" else f"{prefix}/{'/'.join(where)}/{target}"
            assert _normal(f"{prefix}/{'/'.join(where)}/{text}") == _normal(meant)
        else:
            ((offset, token),) = at
            assert offset == 0
            assert not outside
            assert ".." not in text.split("/")
            rendered = values_of(prefix, base, source)[token].decode() + text
            # normpath of both: nothing here is a link itself
            assert _normal(rendered) == _normal(f"{prefix}/{'/'.join(where)}/{target}" if target[0] != "/" else target)


def _normal(path):
    import posixpath

    return posixpath.normpath(path)
