"""The small predictor that is shipped to boards: tables and a residual net in an ``.edgp`` file."""
