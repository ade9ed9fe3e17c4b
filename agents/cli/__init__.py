"""The command line: one command per file, thin; `exits` maps errors to exit codes."""
