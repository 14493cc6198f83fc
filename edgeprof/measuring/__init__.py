"""The harness seen from Python: jobs, records, machine state and its rules, runtimes."""
