"""Coding: how files and journal entries are written as bytes, the same bytes in every store.

Flat MessagePack lists, each with its format number first; what is stored is never changed, only
read by the format it was written in. Equal values give equal bytes, and every blob of a card's file
ends in a checksum that covers the card's key, so a flipped bit or a row in the wrong place shows.
"""
