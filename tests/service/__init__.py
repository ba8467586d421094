"""The daemon as a service, end to end: a real process, a local index, faults on demand."""
