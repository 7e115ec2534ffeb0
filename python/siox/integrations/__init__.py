"""siox inside other servers and frameworks."""
