"""From a checkpoint to models that run without PyTorch: the graph, its quantisation, and the proof that it is equal."""
