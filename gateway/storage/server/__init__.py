"""The database server itself: our own PostgreSQL, pools of connections, migrations, and what its errors mean."""
