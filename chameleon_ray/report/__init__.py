"""Reports of a run for people and for programs: live table, logs, summary, report."""
