"""Configuration files: text to validated types, and from there to domain types."""
