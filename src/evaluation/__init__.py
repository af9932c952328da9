"""How good found rooms are: labelled plans read, rooms matched, figures worked out and shown."""
