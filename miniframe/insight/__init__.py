"""Looking inside a model: traces, steps, Jacobians, and the flight recorder."""
