"""How rooms are found on a drawing; knows no job, no store and no network."""
