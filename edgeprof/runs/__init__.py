"""Many things measured in one go, on this machine or on boards: what, where, and until when."""
