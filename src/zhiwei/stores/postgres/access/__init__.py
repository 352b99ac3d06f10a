"""Access: API keys, and the sessions, passkeys, codes, operators and deeds of the two faces.

With a database they stand in it, so that every server knows whom any of them let in, and whoever is
sent home at one is sent home at all. Connections of their own: the path never waits for a page.
"""
