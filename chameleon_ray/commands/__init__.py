"""The commands: one function per command, in a module of its name."""
