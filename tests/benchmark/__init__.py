"""The benchmark: this tool, ``cp -r`` and the peers from PyPI over the same trees, in turn and in one run.
Not here: tests. Run it with ``python -m tests.benchmark`` from the repository's root.
"""
