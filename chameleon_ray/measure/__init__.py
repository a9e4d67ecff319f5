"""The one door to hardware: building and running configurations."""
