"""The project and its only application."""
