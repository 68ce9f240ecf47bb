"""Pages for payers: templates, and the few files that they need. What they say is Chinese first, and English."""
