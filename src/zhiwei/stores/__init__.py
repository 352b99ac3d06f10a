"""Stores: where the cards' files and journals are kept. `tests/stores` says what each must do."""
