"""The tables of the recommendations: one module each, with its contract, its inputs and what must add up."""
