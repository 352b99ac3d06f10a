"""The demonstration: a real server, real messages, a real crash, and what comes of them.

It starts the server as a program of its own, registers a small town over HTTP, sends its day over
TCP, plays the fraud scenes, kills the server in the middle of traffic, and proves afterwards that
no acknowledged decision was lost or counted twice.
"""
