"""Words: every sentence that a person reads, zh and en, and what helps against a refusal."""

from __future__ import annotations

from zhiwei.words.sentences import LANGUAGES, SIGNATURES, Sentences, catalogue, load_sentences

__all__ = ["LANGUAGES", "SIGNATURES", "Sentences", "catalogue", "load_sentences"]
