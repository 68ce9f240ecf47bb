"""Catalogue files: commented TOML or YAML, read whole and checked whole before anything changes.

A file that has a problem gives every problem of its stage: first the syntax, then the shape and the references, then
what the parts mean together. What it says is put in force by `gateway.storage.catalogue.store`.
"""

from gateway.catalogue_file.checks import is_sample_key
from gateway.catalogue_file.reading import CatalogueFileError, read_catalogue
from gateway.catalogue_file.transaction_rules import FileRule, read_rules
from gateway.catalogue_file.writing import written
from gateway.domain.catalogue_content import CatalogueFile

__all__ = [
    "CatalogueFile",
    "CatalogueFileError",
    "FileRule",
    "is_sample_key",
    "read_catalogue",
    "read_rules",
    "written",
]
