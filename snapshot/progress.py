"""How a long call tells its caller how far it is."""

from __future__ import annotations

from collections.abc import Callable

#: Called with the stage, what is done and what there is to do, e.g. `("check", bytes_done, bytes_total)`. Always from
#: the thread that made the call.
Progress = Callable[[str, int, int], None]
