"""How fast the product is, beside the least that Django and RQ cost on the same machine in the same rounds.

    uv run python -m tests.benchmarks [case …]

Figures and ratios are printed; nothing here passes or fails. The servers are embedded and started for the run, with a
fleet of ten thousand workspaces. Times differ between machines and with what else runs there, so ratios count.
"""
