"""How fast e4 is: both backends, and the same messages composed by hand with `cryptography`.

``python -m benches`` measures and prints one table; ``pytest benches`` shows pytest-benchmark's own.
"""
