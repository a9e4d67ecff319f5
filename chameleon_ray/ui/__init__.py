"""The local page of ``chameleon ui``: runs at hand in a browser, for reading only."""
