"""Measures the key server: a real server, a real mosquitto, SQLite on disk. ``python -m benches.c2``."""
