"""What people and programs read of a run: live table, summary, report."""
