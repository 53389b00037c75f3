"""Pictures and HTML of anything that has the attributes in `adaptstft.display.protocols`."""
