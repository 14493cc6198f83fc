"""One board: what it is, what is deployed there, its queue of jobs, its prepared state."""
