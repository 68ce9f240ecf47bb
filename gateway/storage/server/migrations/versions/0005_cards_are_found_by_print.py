"""The indexes by which cards are found: by their print, and until they are rewritten as the first version wrote them."""

from gateway.storage.server.ddl import create_index

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

tolerates = "0005"


def upgrade() -> None:
    create_index("cards_print_key", "cards", ["merchant_id", "user_id", "print"], unique=True, where="print IS NOT NULL")
    create_index(
        "cards_first_version_idx", "cards", ["merchant_id", "user_id", "masked"], where="fingerprint IS NOT NULL"
    )
    create_index("cards_same_as_idx", "cards", ["merchant_id", "same_as"], where="same_as IS NOT NULL")
