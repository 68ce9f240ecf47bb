"""The catalogue in the database: kept by versions, applied from files, and watched by every process."""
