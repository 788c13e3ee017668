"""An invented landscape in Central Europe, painted from seeds with NumPy alone."""
