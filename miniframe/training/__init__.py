"""Training: the step, the loops around it, data, history, callbacks and progress."""
