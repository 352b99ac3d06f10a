"""The doors: each one turns what comes from outside into the core's words, and answers back.

A door never imports the engine, a store or another door. It is handed what it may call.
"""
