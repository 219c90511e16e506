"""How Django's own pages write times and dates (the setting FORMAT_MODULE_PATH). The console has filters of its own."""
