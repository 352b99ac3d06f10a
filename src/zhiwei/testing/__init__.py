"""Testing: what the house's own tests use; public, so that issuers test their settings."""

from __future__ import annotations
