"""What is shown of a run and of a graph: plain values in, what a page or a viewer is handed out."""
