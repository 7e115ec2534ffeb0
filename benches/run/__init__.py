"""Runs siox and its peers under the same load, again and again in turn, and says what came out.

`python -m benches.run` from the top of the repository, or `make bench`. `peers` has the servers, `rows` what
is measured, `targets` what siox must reach; `session` runs them and keeps every report of the generator in
a file (`results`), and all else (`figures`, `table`, `charts`, `readme`) is made from such a file alone.
"""
