"""The sample fleet of the demo: its tenants (`sample`), their world (`world`), rows (`rows`), prices and `history`."""
