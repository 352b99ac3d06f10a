"""The tests of zhiwei.

This file exists because a test dependency installs a package `tests` of its own: without it, that
one would be found in the place of ours.
"""
