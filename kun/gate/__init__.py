"""Gates: a stored dataset against its expectations/<dataset>.json, told as JSON and HTML in reports/checks/.

suite.py    the suite file, read and checked
facts.py    what no single shard can tell, computed in polars
engine.py   Great Expectations (the only place that imports it)
report.py   findings of all shards -> report, page, message
run.py      `check`, which ties them together
"""

from kun.gate.run import check

__all__ = ["check"]
