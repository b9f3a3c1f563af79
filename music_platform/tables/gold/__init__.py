"""The tables of gold, one module each: contract, transform, inputs and reconciliations. catalogue.py collects them."""
