"""The journal as a whole: verify it, carry it elsewhere, back it up."""
