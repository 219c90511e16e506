"""The sample fleet of the demo: its tenants (`sample`), the world they live in (`world`), and their rows (`rows`)."""
