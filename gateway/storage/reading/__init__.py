"""What is read for people: payments, timelines, events, the doctor. Nothing here locks or changes a row."""
