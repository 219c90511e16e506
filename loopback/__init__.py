"""The composition root: settings, addresses, the schedule, the worker and the embedded services."""
