"""What knows nothing of networks: errors, units, files, tables, YAML, executors, extras."""
