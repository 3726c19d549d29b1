"""The command line: one module per verb. What a verb needs is imported when it runs, so that it starts
quickly."""
