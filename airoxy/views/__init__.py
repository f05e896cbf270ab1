"""What people and programs are shown: documents, figures, tables and charts, made of rows."""
