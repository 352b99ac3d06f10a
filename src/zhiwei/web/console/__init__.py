"""The operator's console (运营控制台): what the bank's desk sees and does."""
