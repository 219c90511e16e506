"""Times carry their zone, as everywhere in the product; dates are entered so that no country reads them differently."""

DATETIME_FORMAT = SHORT_DATETIME_FORMAT = r"j M Y H:i \U\T\C"
TIME_FORMAT = "H:i"
DATE_INPUT_FORMATS = ["%Y-%m-%d", "%d/%m/%Y"]
