"""What every page shares: its frame, words, assets, forms and errors."""
