"""The reference pages of `docs/reference/`, made from the code itself.

`python -m scripts.reference` (`make reference`) writes them. The code is the only source: what a
page says beside a name is the docstring, the `#:` comment, the catalogue of sentences or the help
text that stands in the code. `tests/test_docs.py` fails when a page is not current.
"""
