"""The HTTP door: the guardian's API in JSON, for the issuer's systems, desks and cardholders' apps.

One file for each resource. What the door needs of the house is handed to it as one value
(`house.House`); it never imports the engine, a store or another door. Every answer that is not a
success is a problem document (RFC 9457), and none of them repeats what was sent.
"""

from __future__ import annotations
