"""Export of checkpoints to models that run without PyTorch: graph, quantisation, and comparison with PyTorch."""
