"""What is measured: `single.py` for one environment, `series.py` and `growth.py` for its versions, `plan.py` which of them run."""
