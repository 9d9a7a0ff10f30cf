"""DySample in a model of your own: swaps, feature pyramids, checkpoints."""
