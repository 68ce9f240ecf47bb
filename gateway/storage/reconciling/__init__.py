"""Reconciliation in the database: loading statements (`loading`), comparing a day (`comparing`), what differs."""
