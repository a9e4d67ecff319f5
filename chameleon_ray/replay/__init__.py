"""Search spaces with recorded measurements, which answer in place of compiler and device."""
