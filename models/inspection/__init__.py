"""Looking into any Keras model: its layers, their graph, and what each of them computes."""
