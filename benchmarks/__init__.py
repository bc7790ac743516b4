"""How fast and how big, as ratios to what others take for the same job in the same run: `python -m benchmarks`.

`environments.py` builds what `recipes.py` lists, `running.py` takes each of them through its `workloads/`, in which ours
and the other `contenders/` take turns. `measuring.py` runs them, `figures.py` makes medians and ratios, `bounds.py` says
how large these may be, `reports/` tells. `settling.py` keeps one measurement from disturbing the next.
"""
