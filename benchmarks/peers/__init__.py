"""Other projects' training loops, run from their own files. None of their code is kept here."""
