"""Objects as the collector lands them: their layout, writing them, reading them back."""
