"""Each card under a key of its own, found by prints that do not depend on the ring; orders say the form of their hash.

Cards stay as the first version wrote them until `sluice cards rewrap` rewrites them; both forms are read.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

tolerates = "0004"


def upgrade() -> None:
    # The hashes that are there were made of requests as they were typed. A default is a change of the catalogue alone:
    # no row is written anew.
    op.add_column(
        "payments",
        sa.Column(
            "hash_form",
            sa.SmallInteger(),
            nullable=False,
            server_default="1",
            comment="1: the request as typed; 2: its card in one form",
        ),
    )
    op.alter_column("payments", "hash_form", server_default=None)
    op.alter_column("payments", "hash_version", comment="0: by the order key; else the ring's key")
    for name, kind, comment in (
        ("data_key", sa.LargeBinary(), "the card's own key, wrapped by a key of the ring"),
        ("print", sa.LargeBinary(), "keyed print of the four elements in one form: finds the card"),
        ("number_print", sa.LargeBinary(), None),
        ("phone_print", sa.LargeBinary(), None),
        ("id_print", sa.LargeBinary(), None),
        ("same_as", sa.Uuid(), "the card that is found in this one's place: the same one, typed differently"),
        ("erased_at", sa.DateTime(timezone=True), None),
    ):
        op.add_column("cards", sa.Column(name, kind, nullable=True, comment=comment))
    op.alter_column(
        "cards", "elements", nullable=True, comment="the four elements under the card's own key, AES-GCM"
    )
    op.alter_column(
        "cards",
        "fingerprint",
        nullable=True,
        comment="the first version's print; until the card is rewritten",
    )
    op.alter_column("cards", "key_version", nullable=True, comment="the ring's key of the fingerprint")
    op.drop_constraint("cards_fingerprint_key", "cards", type_="unique")
    _check("cards", "cards_elements_check", "(erased_at IS NULL) = (elements IS NOT NULL)")
    _check(
        "cards",
        "cards_erased_check",
        "erased_at IS NULL OR num_nonnulls(data_key, print, number_print, phone_print, id_print, fingerprint) = 0",
    )
    _check("cards", "cards_fingerprint_check", "(fingerprint IS NULL) = (key_version IS NULL)")
    _check("cards", "cards_same_as_check", "same_as IS NULL OR (print IS NULL AND fingerprint IS NULL)")
    op.alter_column("agreements", "agreement_no", nullable=True)
    op.alter_column("agreements", "key_version", comment="0: under the card's own key; else the ring's key")
    _check("agreements", "agreements_number_check", "status = 'void' OR agreement_no IS NOT NULL")


def _check(table: str, name: str, condition: str) -> None:
    op.create_check_constraint(name, table, condition)
