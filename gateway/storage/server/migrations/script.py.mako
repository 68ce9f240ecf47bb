"""${message}"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None

tolerates = ${repr(down_revision)}
# The oldest revision whose programs run on what this leaves; its own number when none of those before does.


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}
